import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import { type Bubblewrap, probeBubblewrap } from "../../../lib/bubblewrap.ts";
import { silentLog } from "../../../lib/log.ts";
import { explain } from "../../policy.ts";
import type { EffectContext } from "../kind.ts";
import { actOf, checkedPayload } from "../registry.ts";
import { type ShellSettings, shellKind } from "./index.ts";

let dir: string;
let root: string;
let bin: string;
const real = await probeBubblewrap(process.env);
const noSandbox: Bubblewrap = { path: null, reason: "not on this machine" };

beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "signalbox-shell-")));
  [root, bin] = [join(dir, "workspace"), join(dir, "bin")];
  mkdirSync(root);
  mkdirSync(bin);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const settings = (given: Partial<ShellSettings> = {}): ShellSettings => ({
  ...{
    enabled: true,
    allow: ["echo", "cat", "ls", "sleep", "tool", "python3"],
    dir: root,
    timeoutMs: 10_000,
  },
  ...{ keepBytes: 1_000, env: [], network: false, runner: undefined, runnerArgs: [] },
  serviceEnv: { PATH: `${bin}:/usr/bin:/bin`, SECRET: "planted", SHOWN: "shown" },
  sandbox: async () => noSandbox,
  ...given,
});
const kindOf = (given: Partial<ShellSettings> = {}) => shellKind(settings(given));
const parse = (payload: JsonObject) => checkedPayload(kindOf(), payload);
const bind = (payload: JsonObject, kind = kindOf()) =>
  kind.bind?.(parse(payload)) ?? Promise.reject(new Error("no bind"));

async function run(
  payload: JsonObject,
  kind = kindOf(),
  signal = new AbortController().signal,
): Promise<JsonObject> {
  const context: EffectContext = {
    ...{ idempotencyKey: "eff_1", attempt: 1, bound: await bind(payload, kind), signal, log: silentLog },
    cause: { source: "cli", workflow: null, event_id: null, run_id: null, correlation_id: null, depth: 0 },
  };
  return (await kind.execute(parse(payload), context)) as JsonObject;
}
const failure = (work: Promise<unknown>): Promise<SignalboxError> =>
  work.then(
    () => Promise.reject(new Error("it succeeded")),
    (error: unknown) => (SignalboxError.is(error) ? error : Promise.reject(error)),
  );

function script(name: string, text: string, folder = bin): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** A process that nobody waited for is dead all the same. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false; // There is no such process.
  }
}

describe("a command", () => {
  it("R71 runs with a list of words, or with a text that is split at its spaces", async () => {
    expect(await run({ command: "echo", args: ["one two", "$HOME", "a;b"] })).toMatchObject({
      ...{ exit_code: 0, stdout: "one two $HOME a;b\n", truncated: false },
    });
    expect(await run({ command: "echo", args: " one  two " })).toMatchObject({ stdout: "one two\n" });
  });

  it.each(["a;b", "a|b", "$(id)", "`id`", "a && b", "'a b'", '"a b"', "a > b", "*", "~", "a\nb", "a\\ b"])(
    "R71 B17 the text %j is refused, since no shell reads it (security list 3)",
    (args) => {
      expect(() => parse({ command: "echo", args })).toThrow("more than one way");
    },
  );

  it.each(["/bin/ls", "./ls", "../ls", "bin/ls", "ls -la", "ls;id", "-x", "", ".", "l\0s", "C:\\x"])(
    "R72 %j is no bare name",
    (command) => {
      expect(() => parse({ command })).toThrow("bare name");
    },
  );

  it("R72 B17 what is not on the list is denied, and so is everything when commands are off", async () => {
    expect(await failure(bind({ command: "rm" }))).toMatchObject({ code: "forbidden" });
    expect((await failure(bind({ command: "echo" }, kindOf({ enabled: false })))).message).toContain(
      "switched off",
    );
  });

  it.each(["sh", "bash", "env", "sudo", "xargs", "nohup", "timeout", "find", "busybox"])(
    "B17 %s can't be put on the list: it would allow everything (security list 3)",
    async (command) => {
      expect(await failure(bind({ command }, kindOf({ allow: [command] })))).toMatchObject({
        ...{ code: "forbidden", message: `${command} runs whatever its words say, so it can't be allowed` },
      });
    },
  );

  it("R72 B17 no rule of the policy lets one through unasked", () => {
    const act = actOf(kindOf(), { args: ["x"] }, "echo");
    expect(act).toMatchObject({ target: "echo", action: "run", summary: "Run echo x" });
    const cause = { source: "cli", workflow: null };
    const rules = [{ label: "all", decision: "allow", origin: ["human"] } as const];
    expect(explain({ ...act, cause, familiar: true }, rules, 0).policy.decision).toBe("ask");
  });

  it.each(["..", "../bin", "/etc", "a/../../bin", "out", "out/deeper"])(
    "R71 %j is outside the workspace, also through a link",
    async (cwd) => {
      mkdirSync(join(bin, "deeper"));
      symlinkSync(bin, join(root, "out"));
      expect(await failure(bind({ command: "ls", cwd }))).toMatchObject({ code: "forbidden" });
    },
  );

  it("R71 works in its folder", async () => {
    mkdirSync(join(root, "a"));
    writeFileSync(join(root, "a/here.txt"), "");
    expect(await run({ command: "ls", cwd: "a" })).toMatchObject({ stdout: "here.txt\n" });
    expect(await failure(bind({ command: "ls", cwd: "b" }))).toMatchObject({ code: "not_found" });
  });

  it("R72 a program in the workspace is none, whatever PATH says", async () => {
    script("tool", "echo planted", root);
    const kind = kindOf({ serviceEnv: { PATH: `${root}:/usr/bin` } });
    expect(await failure(bind({ command: "tool" }, kind))).toMatchObject({ code: "forbidden" });
    const relative = kindOf({ serviceEnv: { PATH: ".:" } });
    expect(await failure(bind({ command: "tool" }, relative))).toMatchObject({ code: "not_found" });
  });

  it("U8 B17 an approval binds to the program's path and content, folder, environment and sandbox", async () => {
    script("tool", "echo one");
    const before = await bind({ command: "tool" });
    expect(before).toMatchObject({ program: join(bin, "tool"), cwd: root, env: [], sandbox: "none" });
    script("tool", "echo two");
    expect((await bind({ command: "tool" })).digest).not.toBe(before.digest);
    expect((await bind({ command: "tool" }, kindOf({ env: ["SHOWN"] }))).env).toEqual(["SHOWN"]);
  });

  it("B17 an approval of an interpreter binds to the scripts that its words name (security list 3)", async () => {
    script("python3", "echo");
    writeFileSync(join(root, "job.py"), "print(1)");
    const payload = { command: "python3", args: ["job.py", "--fast"] };
    const before = await bind(payload);
    expect(Object.keys(before.files as JsonObject)).toEqual(["job.py"]);
    writeFileSync(join(root, "job.py"), "print(2)");
    expect((await bind(payload)).files).not.toEqual(before.files);
  });

  it("R72 B17 gets a minimal environment and no secret of the service (security list 13)", async () => {
    script("tool", "/usr/bin/env");
    const { stdout } = await run({ command: "tool" }, kindOf({ env: ["SHOWN"] }));
    const names = String(stdout)
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    expect(names.filter((name) => !["PWD", "_", "SHLVL", "OLDPWD"].includes(name ?? "")).sort()).toEqual([
      "HOME",
      "LANG",
      "PATH",
      "SHOWN",
    ]);
    expect(stdout).not.toContain("planted");
  });

  it("R72 its output is cut", async () => {
    script("tool", "head -c 50000 /dev/zero | tr '\\0' a");
    const { stdout, truncated } = await run({ command: "tool" });
    expect([String(stdout).length, truncated]).toEqual([1_000, true]);
  });

  it("R58 it and all it started are ended at the deadline", async () => {
    script("tool", `(sleep 30; echo late > ${join(root, "late")}) & echo $! > ${join(root, "pid")}; wait`);
    expect(await failure(run({ command: "tool", timeout_ms: 300 }))).toMatchObject({
      code: "action_timeout",
    });
    const pid = Number(readFileSync(join(root, "pid"), "utf8"));
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(join(root, "late"))).toBe(false);
  });

  it("R58 a stop of the service ends it", async () => {
    const stop = new AbortController();
    script("tool", `echo > ${join(root, "begun")}; sleep 30`);
    const work = failure(run({ command: "tool" }, kindOf(), stop.signal));
    await expect.poll(() => existsSync(join(root, "begun"))).toBe(true);
    stop.abort();
    expect(await work).toMatchObject({ code: "action_cancelled" });
  });

  it("R58 goes through the runner that is set, but only for what is on the list", async () => {
    script("just-bash", 'echo "ran $*"');
    const kind = kindOf({ runner: "just-bash", runnerArgs: ["--quiet", "-c"] });
    expect(await run({ command: "ls", args: ["-l"] }, kind)).toMatchObject({
      stdout: "ran --quiet -c ls -l\n",
    });
    expect(await failure(bind({ command: "rm" }, kind))).toMatchObject({ code: "forbidden" });
  });

  it("R58 says its own words when it fails", async () => {
    script("tool", "echo 'no such thing' >&2; exit 3");
    expect(await failure(run({ command: "tool" }))).toMatchObject({
      ...{ code: "action_failed", message: "tool ended with 3: no such thing" },
    });
  });

  it("R72 an approval says plainly whether there is a sandbox", async () => {
    const risks = async (given: Partial<ShellSettings>) => {
      const kind = kindOf(given);
      return kind.risks(parse({ command: "python3" }), await bind({ command: "python3" }, kind));
    };
    script("python3", "echo");
    expect(await risks({})).toEqual([
      "It is NOT in a sandbox (not on this machine): it can read, write and send whatever you can.",
      "python3 runs what its words say: read them as a program.",
    ]);
    const [boxed] = await risks({ sandbox: async () => ({ path: "/usr/bin/bwrap", reason: null }) });
    expect(boxed).toBe(`It runs in a sandbox: it writes below ${root} alone, and reaches no network.`);
  });

  it("R72 a summary shows where one word ends and the next begins", () => {
    const kind = kindOf();
    expect(kind.summary(parse({ command: "echo", args: ["a b", "c", 'd"e'], cwd: "x" }))).toBe(
      'Run echo "a b" c "d\\"e" in x',
    );
  });
});

// Where the machine has bubblewrap, which the build machines have.
describe.runIf(real.path !== null)("a command in the sandbox", () => {
  it("R58 writes in the workspace and nowhere else, and reaches no network", async () => {
    script("tool", `echo in > inside; echo out > ${dir}/outside; cat /proc/net/dev | grep -c :`);
    const kind = kindOf({ sandbox: async () => real });
    const { stdout } = await run({ command: "tool" }, kind);
    expect(readFileSync(join(root, "inside"), "utf8")).toBe("in\n");
    expect(existsSync(join(dir, "outside"))).toBe(false);
    expect(String(stdout).trim()).toBe("1");
  });
});
