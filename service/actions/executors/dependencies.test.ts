import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../../test/harness/eventually.ts";
import { findProgram } from "../../lib/bubblewrap.ts";
import { silentLog } from "../../lib/log.ts";
import { type Files, type GitRepository, makeGitRepository, writeFiles } from "../fixtures/git-repository.ts";
import { call, makeProgram, makeRequest } from "../fixtures/program.ts";
import { makeWheel } from "../fixtures/wheel.ts";
import { resolveSource } from "../sources/resolve.ts";
import type { ActionProgram, Executor } from "./executor.ts";
import { createExecutors } from "./executors.ts";

let base: string;
let native: Executor;
beforeEach(() => {
  base = mkdtempSync("/var/tmp/actions-dependencies-");
  native = executor();
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

// Without the machine's own indexes: whatever is installed here comes from the repository.
const offline = {
  ...process.env,
  ...{
    PIP_INDEX_URL: "https://packages.invalid/simple",
    PIP_EXTRA_INDEX_URL: "",
    PIP_FIND_LINKS: "",
    PIP_CONFIG_FILE: "/dev/null",
  },
  ...{ NPM_CONFIG_REGISTRY: "https://packages.invalid/", NPM_CONFIG_FETCH_RETRIES: "0" },
};
function executor(env: NodeJS.ProcessEnv = offline): Executor {
  const made = createExecutors({ cacheDir: join(base, "cache"), log: silentLog, env });
  return made.all.find(({ id }) => id === "native")!;
}
const made = () => readdirSync(join(base, "cache/programs"));

const PYTHON: Files = {
  "query/requirements.txt": "# what it needs\nsignalbox-greeting==1.0\n",
  "query/main.py":
    "import json, sys\nfrom signalbox_greeting import greet\nprint(json.dumps(greet(json.load(sys.stdin)['name'])))\n",
};
const NODE: Files = {
  "shout/package.json": JSON.stringify({
    name: "shout",
    version: "1.0.0",
    type: "module",
    dependencies: { loud: "file:./loud" },
  }),
  "shout/loud/package.json": JSON.stringify({
    ...{ name: "loud", version: "1.0.0", main: "index.js", type: "module" },
    scripts: {
      preinstall: "touch ../ran",
      install: "touch ../ran",
      postinstall: "touch ../ran",
      prepare: "touch ../ran",
    },
  }),
  "shout/loud/index.js": "export const loud = (text) => text.toUpperCase();\n",
  "shout/index.js":
    'import { loud } from "loud";\nlet text = "";\nfor await (const chunk of process.stdin) text += chunk;\nconsole.log(JSON.stringify(loud(JSON.parse(text).name)));\n',
};

describe("K23 K1 actions of a git repository, with dependencies, offline", () => {
  let repository: GitRepository;
  beforeEach(() => {
    repository = makeGitRepository(join(base, "repository"));
    makeWheel(
      join(repository.dir, "query/wheels/signalbox_greeting-1.0-py3-none-any.whl"),
      ...(["signalbox_greeting", "1.0", "def greet(name):\n    return {'hello': name}\n"] as const),
    );
    repository.commit({ ...PYTHON, ...NODE });
  });
  async function fromGit(subdir: string): Promise<ActionProgram> {
    const signal = new AbortController().signal;
    const request = {
      source: repository.url,
      subdir,
      base,
      cacheDir: join(base, "cache"),
      signal,
      env: process.env,
    };
    const { dir, commit, digest } = await resolveSource(request);
    return makeProgram(base, {}, { source: repository.url, dir, commit, digest });
  }

  it("K23 a Python program has its wheel, in an environment of its own", async () => {
    const told: string[] = [];
    const program = await fromGit("query");
    const first = await native.run(
      program,
      makeRequest({ params: { name: "Ada" }, progress: (text) => told.push(text) }),
    );
    expect(first.result).toEqual({ hello: "Ada" });
    expect(told).toEqual(["building the Python environment", "installing its packages"]);
    // The second time there is nothing to do.
    expect(
      await call(native, program, { params: { name: "Bob" }, progress: (text) => told.push(text) }),
    ).toEqual({
      hello: "Bob",
    });
    expect(told).toHaveLength(2);
    expect((await native.describe(program)).notes.at(-1)).toContain("requirements.txt");
    expect(made()).toHaveLength(2);
  });

  it("K23 a Node program has its modules, whose scripts did not run", async () => {
    const program = await fromGit("shout");
    expect(await call(native, program, { params: { name: "ada" } })).toBe("ADA");
    const home = made().find((name) => name.includes("."))!;
    expect(existsSync(join(base, "cache/programs", home, "files/ran"))).toBe(false);
  });

  it("K23 installs exactly what the lock file says where there is one", async () => {
    const lock = {
      ...{ name: "shout", version: "1.0.0", lockfileVersion: 3, requires: true },
      packages: {
        "": { name: "shout", version: "1.0.0", dependencies: { loud: "file:./loud" } },
        loud: { version: "1.0.0", hasInstallScript: true },
        "node_modules/loud": { resolved: "loud", link: true },
      },
    };
    repository.commit({ "shout/package-lock.json": JSON.stringify(lock) });
    const program = await fromGit("shout");
    const told: string[] = [];
    expect(
      await call(native, program, { params: { name: "ada" }, progress: (text) => told.push(text) }),
    ).toBe("ADA");
    expect(told).toEqual(["installing its packages"]);
  });
});

describe("installing", () => {
  const wheel = (dir: string, source = "X = 1\n") =>
    makeWheel(join(dir, "wheels/signalbox_x-1.0-py3-none-any.whl"), "signalbox_x", "1.0", source);
  async function python(files: Files, given: Partial<ActionProgram> = {}) {
    const dir = join(base, "test.program");
    wheel(dir);
    return makeProgram(
      base,
      { "main.py": "import signalbox_x\nprint(signalbox_x.X)\n", ...files },
      { dir, ...given },
    );
  }

  it("K23 takes the dependencies of a pyproject.toml too", async () => {
    const text = '[project]\nname = "p"\nversion = "1"\ndependencies = ["signalbox-x>=1,<2"]\n';
    expect(await call(native, await python({ "pyproject.toml": text }))).toBe(1);
  });

  it("B19 takes packages that the action file names, and has others installed when these change", async () => {
    const program = await python({}, { deps: ["signalbox-x==1.0"] });
    expect(await call(native, program)).toBe(1);
    expect(await native.describe(program)).toMatchObject({ packages: ["signalbox-x==1.0"] });
    expect((await native.describe(program)).notes.at(-1)).toContain("signalbox-x==1.0 is installed");
    await expect(call(native, { ...program, deps: ["signalbox-x==2.0"] })).rejects.toMatchObject({
      code: "action_setup_failed",
    });
    await expect(call(native, { ...program, deps: [] })).rejects.toThrow("No module named 'signalbox_x'");
    for (const words of ["--pre", "-e .", "git+https://h/r", "a; rm"])
      await expect(
        native.describe({ ...program, language: "node", deps: [words] }),
        words,
      ).rejects.toMatchObject({
        code: "action_setup_failed",
      });
  });

  it("B19 npm gets the packages of the action file by their names, and no other folder to put them in", async () => {
    const seen = join(base, "seen");
    const bin = join(base, "bin");
    writeFiles(bin, { npm: `#!/bin/sh\nprintf '%s\\n' "$@" > ${seen}\n` });
    native = executor({ ...offline, PATH: `${bin}:${process.env.PATH}` });
    const program = await makeProgram(
      base,
      { "index.js": "console.log(1)" },
      { deps: ["@scope/loud@^1.2", "quiet"] },
    );
    expect(await call(native, program)).toBe(1);
    const words = readFileSync(seen, "utf8").trim().split("\n");
    expect(words.slice(0, 2)).toEqual(["install", "--ignore-scripts"]);
    expect(words.slice(-3)).toEqual(["--", "@scope/loud@^1.2", "quiet"]);
    expect(words.find((word) => word.startsWith("--prefix="))).toMatch(/\/files$/);
  });

  it("B19 shell programs say what the machine has to have", async () => {
    const program = await makeProgram(base, { "run.sh": "echo 1" }, { deps: ["jq", "curl"] });
    expect((await native.describe(program)).notes.at(-1)).toBe(
      "It needs jq, curl, which this machine has to have.",
    );
    expect(await call(native, program)).toBe(1);
  });

  it("B19 a named language counts more than a file's name", async () => {
    const program = await makeProgram(
      base,
      { query: "print(1)" },
      { entrypoint: "query", language: "python" },
    );
    expect(await call(native, program)).toBe(1);
    expect(native.argv({ ...program, language: "shell" })).toEqual(["sh", "query"]);
    expect(() => native.argv({ ...program, language: "other" })).toThrow("can't be started");
  });

  it("K23 does without a pip of the machine's own", async () => {
    const bin = join(base, "bin");
    const real = findProgram("python3", process.env.PATH);
    writeFiles(bin, { python3: `#!/bin/sh\n${real} "$@" | sed 's/"pip": "[^"]*"/"pip": null/'\n` });
    native = executor({ ...offline, PATH: `${bin}:${process.env.PATH}` });
    const program = await python({ "requirements.txt": "signalbox-x\n" });
    expect(await call(native, program)).toBe(1);
    const home = made().find((name) => name.includes("."))!;
    expect(existsSync(join(base, "cache/programs", home, "venv/bin/pip"))).toBe(true);
  });

  it("those who come at once share one build, and its progress", async () => {
    const program = await python({ "requirements.txt": "signalbox-x\n" });
    const told: string[][] = [[], [], []];
    const answers = told.map((list) => call(native, program, { progress: (text) => list.push(text) }));
    expect(await Promise.all(answers)).toEqual([1, 1, 1]);
    expect(made()).toHaveLength(2);
    expect(told[0]).toHaveLength(2);
  });

  it("one who leaves does not end the build of the others; the last one does", async () => {
    const program = await python({ "requirements.txt": "signalbox-x\n" });
    const stops = [new AbortController(), new AbortController()];
    const progress = () => stops[0]!.abort();
    const answers = stops.map(({ signal }) => native.prepare(program, { signal, progress }));
    await expect(answers[0]).rejects.toMatchObject({ code: "action_cancelled" });
    await answers[1];
    expect(made()).toHaveLength(2);

    const other = await python({ "requirements.txt": "signalbox-x==1.0\n" });
    const stop = new AbortController();
    const alone = native.prepare(other, { signal: stop.signal, progress: () => stop.abort() });
    await expect(alone).rejects.toMatchObject({ code: "action_cancelled" });
    await eventually(() => made().length === 2);
    expect(await call(native, other)).toBe(1);
  });

  it("a half-made one is never used", async () => {
    const program = await python({ "requirements.txt": "signalbox-x\n" });
    await native.prepare(program, { signal: new AbortController().signal, progress: () => {} });
    const link = made().find((name) => !name.includes("."))!;
    const whole = made().find((name) => name.includes("."))!;
    // As a process leaves it that was killed while it installed: files, and no link yet.
    rmSync(join(base, "cache/programs", link));
    rmSync(join(base, "cache/programs", whole, "venv"), { recursive: true });
    expect(await call(executor(), program)).toBe(1);
  });

  it("says what an installer said when it fails, and tries again the next time", async () => {
    const dir = join(base, "test.program");
    mkdirSync(join(dir, "wheels"), { recursive: true });
    wheel(dir);
    const files = {
      "main.py": "import signalbox_x\nprint(signalbox_x.X)\n",
      "requirements.txt": "signalbox-missing\n",
    };
    const program = await makeProgram(base, files);
    for (let round = 0; round < 2; round++)
      await expect(call(native, program)).rejects.toMatchObject({
        code: "action_setup_failed",
        message: expect.stringMatching(/^pip: .*signalbox-missing/),
      });
    expect(made()).toEqual([]);
    const broken = { "index.js": "", "package.json": '{"dependencies":{"left-out":"^1.0.0"}}' };
    await expect(call(native, await makeProgram(base, broken, { name: "b.c" }))).rejects.toMatchObject({
      code: "action_setup_failed",
      message: expect.stringMatching(/^npm: /),
    });
  });

  it("security list 14: installs nothing that would run code while it is installed", async () => {
    const bad = [
      ...[
        "./local",
        "-e .",
        "x @ git+https://h/r",
        "git+https://h/r",
        "--no-binary :all:",
        "x --global-option=y",
      ],
      ...[
        "../x.whl",
        "https://h/x.tar.gz",
        "x.tar.gz",
        "-f ../links",
        "--config-settings=a=b",
        "-r ../other.txt",
      ],
    ];
    for (const line of bad) {
      const program = await python(
        { "requirements.txt": `signalbox-x\n${line}\n` },
        { name: "test.program" },
      );
      await expect(
        native.prepare(program, { signal: new AbortController().signal, progress: () => {} }),
        line,
      ).rejects.toMatchObject({
        code: expect.stringMatching(/^action_(setup_failed|source)$/),
      });
    }
    writeFiles(join(base, "test.program"), { "more.txt": "signalbox-x ; python_version > '3'  # why\n" });
    const fine =
      "-r more.txt\nsignalbox_x[extra]>=1.0, <2 \\\n  ; sys_platform != 'x'\n./wheels/signalbox_x-1.0-py3-none-any.whl\n";
    expect(await call(native, await python({ "requirements.txt": fine }))).toBe(1);
  });

  it("security list 14: a source package beside the wheels is not built", async () => {
    const folder = join(base, "signalbox_y-1.0");
    writeFiles(folder, {
      "setup.py": `open(${JSON.stringify(join(base, "ran"))}, "w")\n`,
      "PKG-INFO": "Metadata-Version: 2.1\nName: signalbox_y\nVersion: 1.0\n",
    });
    mkdirSync(join(base, "test.program/wheels"), { recursive: true });
    const file = join(base, "test.program/wheels/signalbox_y-1.0.tar.gz");
    execFileSync("tar", ["-C", base, "-czf", file, "signalbox_y-1.0"]);
    await expect(call(native, await python({ "requirements.txt": "signalbox-y\n" }))).rejects.toMatchObject({
      code: "action_setup_failed",
      message: expect.stringMatching(/^pip: .*signalbox-y/),
      hint: expect.stringContaining("`wheels/`"),
    });
    expect(existsSync(join(base, "ran"))).toBe(false);
  });

  it("security list 14: a .npmrc can't name a program to start", async () => {
    const mark = join(base, "ran");
    const files = {
      "index.js": "console.log(1)",
      "package.json": '{"name":"p","version":"1.0.0","dependencies":{"x":"git+file:///nowhere/x.git"}}',
      ".npmrc": "git=./evil.sh\nignore-scripts=false\nscript-shell=./evil.sh\n",
      "evil.sh": `#!/bin/sh\ntouch ${mark}\n`,
    };
    await expect(call(native, await makeProgram(base, files))).rejects.toMatchObject({
      code: "action_setup_failed",
    });
    expect(existsSync(mark)).toBe(false);
  });

  it("says which interpreter or installer is missing", async () => {
    const bin = join(base, "bin");
    mkdirSync(bin);
    native = executor({ PATH: bin });
    await expect(
      call(native, await makeProgram(base, { "main.py": "" }, { name: "a.b" })),
    ).rejects.toMatchObject({
      code: "executor_missing",
      message: "Python is not installed",
    });
    writeFiles(bin, { python3: "#!/bin/sh\necho broken >&2\nexit 1\n" });
    await expect(
      call(executor({ PATH: bin }), await makeProgram(base, { "main.py": "" }, { name: "a.b" })),
    ).rejects.toThrow("does not work: broken");
  });

  it("U20 an installer sees no secret of the service", async () => {
    const seen = join(base, "seen");
    const bin = join(base, "bin");
    const real = findProgram("npm", process.env.PATH);
    writeFiles(bin, { npm: `#!/bin/sh\nenv > ${seen}\nexec ${real} "$@"\n` });
    native = executor({ ...offline, PATH: `${bin}:${process.env.PATH}`, SECRET_TOKEN: "hunter2" });
    const files = {
      "index.js": "console.log(1)",
      "package.json": '{"dependencies":{"a":"file:./a"}}',
      "a/package.json": '{"name":"a","version":"1.0.0"}',
    };
    expect(await call(native, await makeProgram(base, files))).toBe(1);
    expect(readFileSync(seen, "utf8")).toContain("NPM_CONFIG_REGISTRY=");
    expect(readFileSync(seen, "utf8")).not.toContain("hunter2");
  });

  it("clears away what nobody has used for a month, and what was left half made", async () => {
    const programs = join(base, "cache/programs");
    const [old, fresh] = [await makeProgram(base, { "a.py": "print(1)" }, { name: "a.b" }), await python({})];
    await call(native, old);
    const [link, home] = made().sort();
    mkdirSync(join(programs, "0-files.HALF"));
    const ago = (days: number) => new Date(Date.now() - days * 86_400_000);
    utimesSync(join(programs, home!), ago(29), ago(29));
    utimesSync(join(programs, "0-files.HALF"), ago(1), ago(1));
    await call(executor(), old);
    expect(made().sort()).toEqual([link, home]);
    expect(statSync(join(programs, home!)).mtimeMs).toBeGreaterThan(ago(1).getTime());
    utimesSync(join(programs, home!), ago(31), ago(31));
    await executor().prepare(fresh, { signal: new AbortController().signal, progress: () => {} });
    expect(made()).not.toContain(home);
    expect(made()).toHaveLength(2);
  });

  it("clears away what earlier processes left of their runs", async () => {
    const left = join(base, "cache/runs/999999999-OLD");
    mkdirSync(left, { recursive: true });
    writeFileSync(join(left, "secret"), "x");
    expect(await call(native, await makeProgram(base, { "main.py": "print(1)" }))).toBe(1);
    expect(existsSync(left)).toBe(false);
  });
});
