import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/eventually.ts";
import { collectingLog } from "../../test/harness/log.ts";
import { SignalboxError } from "../contract/errors.ts";
import { createLog, openLogFile } from "./log.ts";
import { Secret } from "./secret.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("log lines", () => {
  it("are JSON with level, time and fields, from the asked level on", () => {
    const lines: string[] = [];
    const log = collectingLog(lines, "warn");
    log.info("quiet");
    log.warn({ run_id: "run_1" }, "loud");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { level: 40, time: expect.stringMatching(/^\d{4}-.*Z$/), run_id: "run_1", msg: "loud" },
    ]);
  });

  it("show no secret, whether it is one by its kind or by the name of its field", () => {
    const lines: string[] = [];
    const log = collectingLog(lines);
    const secret = new Secret("planted");
    log.info({ secret, list: [secret], text: `${secret}` }, "by kind");
    log.info(
      { token: "planted", headers: { authorization: "planted" }, a: { b: { password: "planted" } } },
      "by name",
    );
    const cause = new Error("inner", { cause: { token: "x" } });
    log.error(
      { err: new SignalboxError("forbidden", "no", { details: { token: secret }, cause }) },
      "an error",
    );
    expect(lines).toHaveLength(3);
    expect(lines.join("\n")).not.toContain("planted");
    expect(lines[2]).toContain("inner");
  });
});

describe("the log file", () => {
  it("begins anew at its size and keeps as many as it should, closed to others", async () => {
    const file = join(folder, "logs", "service.log");
    const stream = openLogFile(file, 1, 2);
    const log = createLog("info", [stream]);
    const text = "x".repeat(50_000);
    for (let n = 0; n < 100; n++) {
      log.info({ n, text }, "line");
      // As in life: lines come over time, and the file has a chance to follow.
      if (n % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise<void>((resolve) => stream.end(resolve));
    const names = readdirSync(join(folder, "logs")).filter((name) => name.startsWith("service.log"));
    expect(names.sort()).toEqual(["service.log", "service.log.1", "service.log.2"]);
    for (const name of names) expect(statSync(join(folder, "logs", name)).mode & 0o777).toBe(0o600);
    const kept = names.flatMap((name) =>
      readFileSync(join(folder, "logs", name), "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line).n as number),
    );
    expect(Math.max(...kept)).toBe(99);
    expect(new Set(kept).size).toBe(kept.length);
  });

  it("goes on with a file that is there", async () => {
    const file = join(folder, "service.log");
    for (const word of ["first", "second"]) {
      const stream = openLogFile(file, 1, 1);
      createLog("info", [stream]).info(word);
      await new Promise<void>((resolve) => stream.end(resolve));
    }
    expect(readFileSync(file, "utf8")).toMatch(/first[\s\S]*second/);
  });

  it("that can't be written is no reason to stop", async () => {
    const file = join(folder, "service.log");
    mkdirSync(file);
    const errors: Error[] = [];
    const log = createLog("info", [openLogFile(file, 1, 1, (error) => errors.push(error))]);
    log.info("into the void");
    await eventually(() => errors.length > 0);
    log.info("and on");
  });
});
