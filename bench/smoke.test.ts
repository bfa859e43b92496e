import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Report } from "./report.ts";

const folder = mkdtempSync(join(tmpdir(), "sbbench-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("npm run bench", () => {
  it("measures one quick line through the real service, prints the table and writes the JSON", () => {
    const json = join(folder, "report.json");
    const flags = [
      "--quick",
      "--only",
      "claim",
      "--no-peers",
      "--rounds",
      "1",
      "--scale",
      "0.01",
      "--json",
      json,
    ];
    const run = spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), ...flags], {
      encoding: "utf8",
    });
    expect(run.stderr).toContain("… claim");
    expect(run.status).toBe(0);
    expect(run.stdout).toContain("claim + complete one by one, store in-process");
    expect(run.stdout).toContain("not compared: plainjob: left out with --no-peers");
    const report = JSON.parse(readFileSync(json, "utf8")) as Report;
    expect(report.command).toBe(["npm run bench --", ...flags].join(" "));
    const [line] = report.lines;
    expect(line?.name).toBe("claim");
    const raw = line?.rows.find((row) => row.peer?.name.startsWith("raw SQLite"));
    expect(raw?.ratio).toBeGreaterThan(0);
    expect(raw?.bar).toEqual({ of: "ratio", kind: "at least", value: 0.8 });
  });

  it("names the lines there are when asked for another", () => {
    const run = spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), "--only", "nothing"], {
      encoding: "utf8",
    });
    expect(run.status).not.toBe(0);
    expect(run.stderr).toContain("no line is called nothing");
    expect(run.stderr).toContain("push, claim, chain, lua, cli, query, idle, fanout");
  });
});
