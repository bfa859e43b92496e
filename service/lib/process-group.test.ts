import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/eventually.ts";
import { type GroupCommand, runProcessGroup } from "./process-group.ts";

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "process-group-"));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const env = { PATH: process.env.PATH ?? "" };
function sh(script: string, given: Partial<GroupCommand> = {}) {
  return runProcessGroup({
    ...{ argv: ["/bin/sh", "-c", script], cwd, env, stdin: null, timeoutMs: 20_000 },
    ...{ maxStdoutBytes: 1_000_000, overflow: "end", graceMs: 300 },
    ...given,
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    // No such process: that is the answer.
    return false;
  }
}
const pidIn = (file: string) => Number(readFileSync(join(cwd, file), "utf8"));
const written = (file: string) => eventually(() => existsSync(join(cwd, file)) && pidIn(file) > 0);

describe("a process group", () => {
  it("hands over stdin, stdout, the lines of stderr, and the exit code", async () => {
    const lines: string[] = [];
    const end = await sh("cat; echo one >&2; printf 'two é' >&2; exit 3", {
      stdin: "héllo",
      onStderr: (line) => lines.push(line),
    });
    expect(end).toMatchObject({ ended: "exit", exitCode: 3, signal: null, stderrTail: "one\ntwo é" });
    expect(end.stdout.toString()).toBe("héllo");
    expect(lines).toEqual(["one", "two é"]);
  });

  it("gives the program the named environment and nothing of ours", async () => {
    process.env.PROCESS_GROUP_SECRET = "hunter2";
    const end = await sh("env", { env: { PATH: env.PATH, A: "1" } });
    delete process.env.PROCESS_GROUP_SECRET;
    const names = end.stdout
      .toString()
      .split("\n")
      .map((line) => line.split("=")[0]);
    expect(names.filter((name) => !["PWD", "SHLVL", "_", "OLDPWD", ""].includes(name ?? "")).sort()).toEqual([
      "A",
      "PATH",
    ]);
  });

  it("R72 ends grandchildren too at the deadline, also those that ignore the polite signal", async () => {
    const end = await sh(
      `trap '' TERM; (trap '' TERM; sh -c 'echo $$ > deep; exec sleep 600') & echo $! > child; wait; sleep 600`,
      { timeoutMs: 400 },
    );
    expect(end).toMatchObject({ ended: "timeout", exitCode: null, signal: "SIGKILL" });
    for (const file of ["child", "deep"]) await eventually(() => !isAlive(pidIn(file)));
  });

  it("lets a program that heeds the polite signal end by itself", async () => {
    const end = await sh("trap 'echo bye; exit 7' TERM; echo $$ > up; while :; do sleep 0.05; done", {
      timeoutMs: 500,
      graceMs: 20_000,
    });
    expect(end).toMatchObject({ ended: "timeout", exitCode: 7 });
    expect(end.stdout.toString()).toBe("bye\n");
  });

  it("ends the group on abort, and starts nothing when it was aborted before", async () => {
    const stop = new AbortController();
    const running = sh("sleep 600 & echo $! > child; wait", { signal: stop.signal });
    await written("child");
    stop.abort();
    expect((await running).ended).toBe("cancelled");
    await eventually(() => !isAlive(pidIn("child")));
    expect(await sh("echo > started", { signal: stop.signal })).toMatchObject({ ended: "cancelled" });
    expect(() => readFileSync(join(cwd, "started"))).toThrow("ENOENT");
  });

  it("leaves nothing running behind a program that has ended", async () => {
    const end = await sh("sleep 600 & echo $! > child; echo done");
    expect(end).toMatchObject({ ended: "exit", exitCode: 0 });
    expect(end.stdout.toString()).toBe("done\n");
    await eventually(() => !isAlive(pidIn("child")));
  });

  it("does not wait for one who left the group and holds the pipes", async () => {
    const end = await sh("setsid sh -c 'echo $$ > away; exec sleep 600' & until [ -s away ]; do :; done");
    try {
      expect(end).toMatchObject({ ended: "exit", exitCode: 0 });
      expect(end.durationMs).toBeLessThan(20_000);
    } finally {
      process.kill(pidIn("away"), "SIGKILL");
    }
  });

  it("R72 ends a program that writes without end, or drops the rest", async () => {
    const ended = await sh("yes", { maxStdoutBytes: 1_000 });
    expect(ended).toMatchObject({ ended: "output", stdoutTruncated: true });
    expect(ended.stdout).toHaveLength(1_000);
    const dropped = await sh("yes | head -c 100000", { maxStdoutBytes: 1_000, overflow: "truncate" });
    expect(dropped).toMatchObject({ ended: "exit", exitCode: 0, stdoutTruncated: true });
    expect(dropped.stdout).toHaveLength(1_000);
  });

  it("keeps the end of a long stderr, whole in its characters", async () => {
    let lines = 0;
    const end = await sh("yes é | head -n 20000 >&2", { stderrTailBytes: 10, onStderr: () => (lines += 1) });
    expect(end.stderrTail).toBe("\né\né\né\n");
    expect(lines).toBe(20_000);
  });

  it("cuts a line without end into pieces", async () => {
    const lengths: number[] = [];
    await sh("head -c 40000 /dev/zero | tr '\\0' x >&2", { onStderr: (line) => lengths.push(line.length) });
    expect(Math.max(...lengths)).toBeLessThanOrEqual(16_384);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(40_000);
  });

  it("tells of a mebibyte of complaints, and then that there are more", async () => {
    const lines: string[] = [];
    const end = await sh("yes 0123456789abcde | head -n 200000 >&2; echo done", {
      onStderr: (line) => lines.push(line),
    });
    expect(end).toMatchObject({ ended: "exit", exitCode: 0 });
    expect(lines).toHaveLength(65_536);
    expect(lines.at(-1)).toBe("… more of its stderr is left out");
  });

  it("says why a program did not start", async () => {
    const end = await sh("", { argv: ["/nowhere/program"] });
    expect(end).toMatchObject({ ended: "not_started", error: { code: "ENOENT" } });
    expect(await sh("", { argv: ["a\0b"] })).toMatchObject({ ended: "not_started" });
  });

  it("is content with a program that reads nothing of a large input", async () => {
    expect(await sh("exec 0<&-; echo ok", { stdin: "x".repeat(5_000_000) })).toMatchObject({ exitCode: 0 });
  });
});
