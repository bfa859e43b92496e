import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../../test/harness/eventually.ts";
import { probeBubblewrap } from "../../lib/bubblewrap.ts";
import { silentLog } from "../../lib/log.ts";
import type { Files } from "../fixtures/git-repository.ts";
import { call, makeProgram, makeRequest } from "../fixtures/program.ts";
import type { ActionProgram, Executor } from "./executor.ts";
import { createExecutors } from "./executors.ts";

let base: string;
let native: Executor;
beforeEach(() => {
  // Not below /tmp, which in the sandbox is the run's own.
  base = realpathSync(mkdtempSync("/var/tmp/actions-native-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const shut = await probeBubblewrap(process.env);
const open = { path: null, reason: "bubblewrap (bwrap) is not installed" };
const ways = [
  { way: "bubblewrap", probe: async () => shut, works: shut.path !== null },
  { way: "none", probe: async () => open, works: true },
] as const;

function executor(probe: () => Promise<typeof shut>, env: NodeJS.ProcessEnv = process.env): Executor {
  const made = createExecutors({ cacheDir: join(base, "cache"), log: silentLog, env, probe });
  return made.all.find(({ id }) => id === "native")!;
}
const sh = (script: string, given: Partial<ActionProgram> = {}) =>
  makeProgram(base, { "main.sh": `#!/bin/bash\n${script}\n` }, given);
const py = (source: string, given: Partial<ActionProgram> = {}) =>
  makeProgram(base, { "main.py": source }, given);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    // No such process: that is the answer.
    return false;
  }
}

for (const { way, probe, works } of ways) {
  const why = works ? "" : ` (not tried: ${shut.reason})`;
  describe.skipIf(!works)(`a native program, sandbox ${way}${why}`, () => {
    beforeEach(() => {
      native = executor(probe);
    });

    it("K2 K14 gets JSON on stdin and answers with JSON on stdout, in any language", async () => {
      const languages: Files[] = [
        { "main.py": "import json, sys\nprint(json.dumps({'got': json.load(sys.stdin)}))" },
        {
          "index.mjs":
            "for await (const chunk of process.stdin) console.log(JSON.stringify({ got: JSON.parse(chunk) }))",
        },
        { "run.sh": 'read -r line; echo "{\\"got\\": $line}"' },
        { anything: '#!/usr/bin/env bash\nread -r line; printf \'{"got": %s}\' "$line"' },
      ];
      for (const [index, files] of languages.entries()) {
        const program = await makeProgram(base, files, { name: `language.n${index}` });
        const params = { query: "up", list: [1, 2.5, "é"], deep: { a: null } };
        const outcome = await native.run(program, makeRequest({ params }));
        expect(outcome).toMatchObject({ result: { got: params }, exitCode: 0, sandbox: way });
      }
    });

    it("K16 fails with the last words of its stderr", async () => {
      const program = await sh("echo trying >&2; printf '\\e[31mconnection refused\\e[0m\\n\\n' >&2; exit 4");
      await expect(call(native, program)).rejects.toMatchObject({
        code: "action_failed",
        message: "connection refused",
        details: { exit_code: 4, signal: null, stderr: "trying\nconnection refused\n\n" },
      });
      await expect(call(native, await sh("exit 7"))).rejects.toThrow("exit code 7, without a word");
    });

    it("K18 an error in its answer is data", async () => {
      expect(await call(native, await sh(`echo '{"error": "no such host"}'`))).toEqual({
        error: "no such host",
      });
    });

    it("K19 lists, texts, numbers and null are answers too", async () => {
      for (const text of ["[1,[2],{}]", '"word"', "12.5", "null", "false", "{}", "[]"])
        expect(await call(native, await sh(`echo '${text}'`, { name: "x.y" }))).toEqual(JSON.parse(text));
    });

    it("K14 what is no JSON is said so, with its beginning", async () => {
      const bad = [
        ["echo hello", "stdout is not JSON: hello"],
        ["true", "stdout is empty"],
        [`echo '{"a":1}{"b":2}'`, "stdout is not JSON"],
        ["echo NaN", "stdout is not JSON: NaN"],
        ["printf '\"\\xff\"'", "stdout is not UTF-8"],
        ["printf '[%.0s' {1..200}; printf ']%.0s' {1..200}", "stdout is nested more than 100 levels deep"],
      ] as const;
      for (const [script, message] of bad) {
        const failure = call(native, await sh(script));
        await expect(failure).rejects.toMatchObject({ code: "action_output" });
        await expect(failure).rejects.toThrow(message);
      }
    });

    it("K14 a giant output ends the program", async () => {
      await expect(call(native, await sh("yes"))).rejects.toMatchObject({
        code: "action_output",
        message: "wrote more than 8 MiB to stdout",
        hint: expect.stringContaining("_file"),
      });
    });

    it("K2 stderr goes to the log, line by line, as it comes", async () => {
      const lines: string[] = [];
      const outcome = await native.run(
        await sh("echo one >&2; echo two >&2; echo 1"),
        makeRequest({ log: (line) => lines.push(line) }),
      );
      expect(lines).toEqual(["one", "two"]);
      expect(outcome.stderrTail).toBe("one\ntwo\n");
    });

    it("B19 output as text and as lines, words and another stdin in place of params", async () => {
      const program = await sh(`echo "$#:$1"; cat`);
      const given = { args: ["--name=a b; rm"], stdin: "x\ny\n" };
      expect(await call(native, program, { ...given, output: "text" })).toBe("1:--name=a b; rm\nx\ny");
      expect(await call(native, program, { ...given, output: "lines" })).toEqual([
        "1:--name=a b; rm",
        "x",
        "y",
      ]);
      expect(await call(native, program, { stdin: null, output: "text" })).toBe("0:");
      expect(await call(native, await sh("true"), { output: "lines" })).toEqual([]);
    });

    it("K10 U20 sees a minimal environment and the names it declared, and no secret of the service", async () => {
      const env = {
        ...process.env,
        SECRET_TOKEN: "hunter2",
        AWS_PROFILE: "dev",
        SIGNALBOX_X: "1",
        LANG: "C",
      };
      native = executor(probe, env);
      const source = "import json, os\nprint(json.dumps(dict(os.environ)))";
      const seen = (await call(native, await py(source, { env: ["AWS_PROFILE", "NOT_SET"] }))) as Record<
        string,
        string
      >;
      const own = Object.keys(seen).filter(
        (name) => !["PWD", "SHLVL", "_", "LC_CTYPE", "container"].includes(name),
      );
      expect(own.sort()).toEqual([
        ...["AWS_PROFILE", "HOME", "IDEMPOTENCY_KEY", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "TMPDIR"],
      ]);
      expect(seen).toMatchObject({ AWS_PROFILE: "dev", IDEMPOTENCY_KEY: "key-1" });
      expect(seen.HOME).toContain(join(base, "cache/runs"));
      expect(JSON.stringify(seen)).not.toContain("hunter2");
    });

    it("U20 has a private folder to write to, gone afterwards", async () => {
      const program = await sh(
        `cd; echo x > file; echo y > $TMPDIR/other; echo "[\\"$(cat file)\\",\\"$HOME\\"]"`,
      );
      const [text, home] = (await call(native, program)) as [string, string];
      expect(text).toBe("x");
      expect(existsSync(home)).toBe(false);
      expect(readdirSync(join(base, "cache/runs"))).toEqual([]);
      await expect(call(native, await sh("touch $HOME/x; exit 1"))).rejects.toThrow();
      expect(readdirSync(join(base, "cache/runs"))).toEqual([]);
    });

    it("K11 the deadline ends it with its grandchildren", async () => {
      const mark = join(base, "mark");
      const program = await sh(
        `trap '' TERM; (trap '' TERM; exec sleep 612.345) & (sleep 612.345 & wait) & wait; wait; sleep 612.345`,
        { timeoutMs: 400 },
      );
      writeFileSync(mark, "");
      await expect(call(native, program)).rejects.toMatchObject({
        code: "action_timeout",
        message: "no end within 400 ms",
      });
      await eventually(() => processesWith("612.345").length === 0);
    });

    it("cancelling ends it with its grandchildren", async () => {
      const stop = new AbortController();
      const program = await sh("(sleep 613.456 & wait) & echo up >&2; wait");
      const running = call(native, program, { signal: stop.signal, log: () => stop.abort() });
      await expect(running).rejects.toMatchObject({ code: "action_cancelled" });
      await eventually(() => processesWith("613.456").length === 0);
      await expect(call(native, program, { signal: stop.signal })).rejects.toMatchObject({
        code: "action_cancelled",
      });
    });

    describe("large answers in a file", () => {
      const answer = (path: string, before = "") =>
        sh(`${before}\nprintf '{"_file": "%s"}' "${path}"`, { name: "x.file" });

      it("K26 are read from the run's own folders and deleted", async () => {
        for (const path of ["$HOME/data.json", "$TMPDIR/data.json"])
          expect(await call(native, await answer(path, `echo '[1,{"a":2}]' > ${path}`))).toEqual([
            1,
            { a: 2 },
          ]);
        const relative = sh(`echo '"rel"' > $HOME/r.json; echo '{"_file": "r.json"}'`);
        expect(await call(native, await relative)).toBe("rel");
      });

      it("K26 are refused from anywhere else, and nothing is deleted there", async () => {
        const secret = join(base, "secret.json");
        writeFileSync(secret, '"secret"');
        const bad = [
          [secret, "", "is outside"],
          ["/etc/passwd", "", "is outside"],
          ["$HOME/../../../secret.json", "", "is outside"],
          ["$HOME/link.json", `ln -s ${secret} $HOME/link.json`, "leads out|is not there"],
          ["$HOME/up/secret.json", `ln -s ${base} $HOME/up`, "leads out|is not there"],
          ["$HOME/none.json", "", "is not there"],
          ["$HOME", "", "is not a plain file"],
          ["$HOME/pipe", "mkfifo $HOME/pipe", "is not a plain file"],
          ["$HOME/b.json", "echo 1 > $HOME/a.json; ln $HOME/a.json $HOME/b.json", "has another name"],
          ["$HOME/large.json", "truncate -s 70M $HOME/large.json", "is larger than 64 MiB"],
          ["$HOME/bad.json", "echo hello > $HOME/bad.json", "_file is not JSON: hello"],
        ] as const;
        for (const [path, before, message] of bad) {
          const failure = call(native, await answer(path, before));
          await expect(failure, path).rejects.toMatchObject({ code: "action_output" });
          await expect(failure, path).rejects.toThrow(new RegExp(message));
        }
        expect(readFileSync(secret, "utf8")).toBe('"secret"');
      });

      it("K26 are taken only where the answer is that file and nothing else", async () => {
        const text = '{"_file": "/etc/passwd", "more": 1}';
        expect(await call(native, await sh(`echo '${text}'`))).toEqual(JSON.parse(text));
        expect(await call(native, await sh(`echo '{"a": {"_file": "/etc/passwd"}}'`))).toEqual({
          a: { _file: "/etc/passwd" },
        });
        await expect(call(native, await sh(`echo '{"_file": 1}'`))).rejects.toThrow("_file is not a path");
      });
    });

    it("U30 runs the bytes of its digest and no others (security list 3 and 14)", async () => {
      const program = await sh("echo 1");
      expect(await call(native, program)).toBe(1);
      writeFileSync(join(program.dir, "main.sh"), "#!/bin/bash\necho 2\n");
      expect(await call(native, program)).toBe(1);
      rmSync(join(base, "cache"), { recursive: true });
      await expect(call(native, program)).rejects.toMatchObject({ code: "action_changed" });
    });

    it("U30 a copy that was changed in the cache is made anew", async () => {
      const program = await sh("echo 1");
      await call(native, program);
      const [home] = readdirSync(join(base, "cache/programs")).filter((name) => name.includes("."));
      writeFileSync(join(base, "cache/programs", home!, "files/main.sh"), "#!/bin/bash\necho 2\n");
      expect(await call(native, program)).toBe(1);
    });

    it("U30 runs in the sandbox that was approved or not at all", async () => {
      const program = await sh("echo 1");
      expect(await call(native, program, { sandbox: way })).toBe(1);
      const other = way === "none" ? "bubblewrap" : "none";
      await expect(call(native, program, { sandbox: other })).rejects.toMatchObject({
        code: "action_changed",
      });
    });
  });
}

/** Ids of running processes with this word in their command line. */
function processesWith(word: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && isAlive(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(word);
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
}

describe.skipIf(shut.path === null)(
  `what the sandbox shuts${shut.reason ? ` (not tried: ${shut.reason})` : ""}`,
  () => {
    let server: Server;
    let port: number;
    beforeAll(async () => {
      server = createServer((socket) => socket.end('"reached"'));
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      port = (server.address() as { port: number }).port;
      return () => server.close();
    });
    beforeEach(() => {
      native = executor(async () => shut);
    });

    it("U20 the network, unless hosts are declared", async () => {
      const script = `exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3`;
      await expect(call(native, await sh(script))).rejects.toMatchObject({ code: "action_failed" });
      expect(await call(native, await sh(script, { powers: { hosts: ["localhost"], files: [] } }))).toBe(
        "reached",
      );
    });

    it("U20 writing outside, also to its own files", async () => {
      writeFileSync(join(base, "mine"), "kept");
      for (const path of [join(base, "mine"), "/usr/x", "/etc/x", "./x", "./main.sh", "$HOME/../x"])
        await expect(call(native, await sh(`echo x > ${path} && echo 1`)), path).rejects.toMatchObject({
          code: "action_failed",
          message: expect.stringMatching(/Read-only file system|No such file/),
        });
      expect(readFileSync(join(base, "mine"), "utf8")).toBe("kept");
    });

    it("U20 reading what is not declared", async () => {
      writeFileSync(join(base, "mine"), '"seen"');
      const program = (files: string[]) => sh(`cat ${join(base, "mine")}`, { powers: { hosts: [], files } });
      await expect(call(native, await program([]))).rejects.toThrow("No such file");
      expect(await call(native, await program([join(base, "mine")]))).toBe("seen");
      expect(await call(native, await program([base]))).toBe("seen");
    });

    it("U20 writing to what was declared for reading", async () => {
      writeFileSync(join(base, "mine"), "1");
      const program = (file: string) =>
        sh(`echo 2 > ${join(base, "mine")}; echo 0`, { powers: { hosts: [], files: [file] } });
      await call(native, await program(join(base, "mine")));
      expect(readFileSync(join(base, "mine"), "utf8")).toBe("1");
      await call(native, await program(`${join(base, "mine")}:rw`));
      expect(readFileSync(join(base, "mine"), "utf8")).toBe("2\n");
    });

    it("K26 /tmp is the run's own, as the original example has it", async () => {
      const name = `kael-data-${process.pid}.json`;
      const program = await sh(`echo '{"rows":[1]}' > /tmp/${name}; echo '{"_file":"/tmp/${name}"}'`);
      expect(await call(native, program)).toEqual({ rows: [1] });
      expect(existsSync(`/tmp/${name}`)).toBe(false);
    });

    it("U20 a process that leaves its group ends with the sandbox", async () => {
      const program = await sh("setsid sleep 614.567 & setsid sleep 614.567 & echo 1");
      expect(await call(native, program)).toBe(1);
      await eventually(() => processesWith("614.567").length === 0);
    });
  },
);

describe("what an approval shows", () => {
  const powers = { hosts: ["api.example.com"], files: ["/etc/hosts", "/srv/data:rw"] };

  it("U30 in the sandbox: what is shut and what is open", async () => {
    native = executor(async () => ({ path: "/usr/bin/bwrap", reason: null }));
    const program = await py("print(1)", { powers, env: ["AWS_PROFILE"] });
    const told = await native.describe(program);
    expect(told).toMatchObject({ argv: ["python3", "main.py"], sandbox: "bubblewrap" });
    expect(told.notes.join("\n")).toMatchInlineSnapshot(`
      "It runs in a sandbox (bubblewrap): it sees the system's programs and its own files, and writes only to a private folder that is deleted afterwards.
      It has the whole network, the local one too: this sandbox can't tell hosts apart. It says it calls api.example.com.
      It also reads /etc/hosts.
      It also reads and changes /srv/data.
      It is given the variables AWS_PROFILE."
    `);
    expect((await native.describe(await py("print(1)"))).notes).toContain("It has no network.");
  });

  it("U30 without one: that it may do anything, and what it claims", async () => {
    native = executor(async () => open);
    const told = await native.describe(await py("print(1)", { powers }));
    expect(told.sandbox).toBe("none");
    expect(told.notes.join("\n")).toMatchInlineSnapshot(`
      "It runs without a sandbox and may do whatever you may: bubblewrap (bwrap) is not installed.
      It says it calls api.example.com; nothing here holds it to that.
      It says it uses /etc/hosts, /srv/data (and changes it); nothing here holds it to that."
    `);
  });

  it("U30 powers that no program may have are refused", async () => {
    native = executor(async () => open);
    for (const file of [
      "/",
      "/proc/1",
      "/dev",
      "relative",
      "../x",
      "/a:b",
      "/a,b",
      "/../proc",
      "~x/y",
      "/a\nb",
    ])
      await expect(
        native.describe(await py("print(1)", { powers: { hosts: [], files: [file] } })),
        file,
      ).rejects.toMatchObject({ code: "action_source" });
  });
});

describe("the entrypoint", () => {
  beforeEach(() => {
    native = executor(async () => open);
  });
  const argv = async (files: Files, entrypoint: string | null = null) => {
    rmSync(join(base, "test.program"), { recursive: true, force: true });
    return native.argv(await makeProgram(base, files, { entrypoint }));
  };

  it("K7 is the file of that name, started by what it is", async () => {
    const files = {
      "a.py": "",
      "b.mjs": "",
      "c.sh": "",
      d: "#!/bin/sh\n",
      "sub/e.py": "",
      f: "#!/usr/bin/env python3\n",
    };
    const found = [];
    for (const file of Object.keys(files)) found.push((await argv(files, file)).join(" "));
    expect(found).toEqual(["python3 a.py", "node b.mjs", "sh c.sh", "./d", "python3 sub/e.py", "python3 f"]);
  });

  it("K7 is found by its usual name where none is given", async () => {
    const cases: [Files, string][] = [
      [{ "requirements.txt": "", "main.py": "", "index.js": "" }, "python3 main.py"],
      [{ "package.json": '{"main":"./lib/x.js"}', "lib/x.js": "", "main.py": "" }, "node lib/x.js"],
      [{ "package.json": "{}", "index.js": "" }, "node index.js"],
      [{ "run.sh": "", "README.md": "" }, "sh run.sh"],
      [{ "query.py": "", "README.md": "" }, "python3 query.py"],
      [{ query: "#!/bin/sh\n", LICENSE: "" }, "./query"],
    ];
    for (const [files, words] of cases) expect((await argv(files)).join(" ")).toBe(words);
    await expect(argv({ "a.py": "", "b.py": "" })).rejects.toThrow("it could be a.py, b.py");
    await expect(argv({ "README.md": "" })).rejects.toThrow("there is no program in it");
  });

  it("K7 lies inside the program", async () => {
    writeFileSync(join(base, "outside.py"), "");
    const program = await makeProgram(base, { "main.py": "", "sub/x.py": "" });
    symlinkSync("../outside.py", join(program.dir, "link.py"));
    for (const entrypoint of [
      "../outside.py",
      "/etc/passwd",
      "sub/../../outside.py",
      "link.py",
      "sub",
      "none.py",
    ])
      expect(() => native.argv({ ...program, entrypoint }), entrypoint).toThrow(
        expect.objectContaining({ code: "action_source" }),
      );
  });
});
