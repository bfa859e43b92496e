import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Row } from "./line.ts";
import {
  formatBar,
  formatFigure,
  formatMarkdown,
  formatTable,
  isMet,
  type Report,
  replaceBetweenMarkers,
} from "./report.ts";

const row = (more: Partial<Row> = {}): Row => ({
  what: "push",
  unit: "events/s",
  ours: 9_000,
  peer: { name: "raw SQLite", value: 10_000 },
  ratio: 0.9,
  spread: [0.8, 1],
  bar: { of: "ratio", kind: "at least", value: 0.7 },
  ...more,
});

const report: Report = {
  date: "2026-01-02",
  command: "npm run bench",
  rounds: 7,
  machine: {
    cpu: "A CPU",
    cores: 2,
    memoryGb: 8,
    kernel: "linux 6.1",
    system: "Debian",
    node: "24.0.0",
    sqlite: "3.50.0",
    commit: "abc1234",
  },
  versions: { plainjob: "0.0.14" },
  lines: [
    {
      name: "push",
      title: "1. Durable push",
      rows: [row()],
      layers: [{ of: "service", layer: "commit", share: 0.5, perEventUs: 40 }],
    },
  ],
  skipped: ["NATS: nats-server is not installed"],
};

describe("a bar", () => {
  it("of a ratio is met from its value on", () => {
    expect(isMet(row({ ratio: 0.7 }))).toBe(true);
    expect(isMet(row({ ratio: 0.699 }))).toBe(false);
  });

  it("of our own figure looks at that, whatever the ratio", () => {
    const bar = { of: "ours", kind: "at most", value: 5 } as const;
    expect(isMet(row({ ours: 5, ratio: 100, bar }))).toBe(true);
    expect(isMet(row({ ours: 5.1, ratio: 0.1, bar }))).toBe(false);
  });

  it("that nobody asked for, or that can't be told without a peer, is neither met nor missed", () => {
    expect(isMet(row({ bar: null }))).toBeNull();
    expect(isMet(row({ peer: null, ratio: null }))).toBeNull();
  });

  it("says what it is, and whether it is only a goal", () => {
    expect(formatBar({ of: "ratio", kind: "at least", value: 0.7 }, "events/s")).toBe("≥ 0.7 ×");
    expect(formatBar({ of: "ours", kind: "at most", value: 300 }, "ms")).toBe("≤ 300 ms");
    expect(formatBar({ of: "ratio", kind: "at least", value: 1, isGoal: true }, "ms")).toBe("goal ≥ 1 ×");
  });
});

describe("a figure", () => {
  it.each([
    [0, "0.00"],
    [0.000_27, "0.00027"],
    [0.456, "0.46"],
    [12.34, "12.3"],
    [123.4, "123"],
    [9_876, "9,880"],
    [1_234_567, "1,230,000"],
  ])("%d is written %s", (value, text) => {
    expect(formatFigure(value)).toBe(text);
  });
});

describe("the table", () => {
  it("shows ours, the peer, the ratio, the bar and whether it is met, in columns", () => {
    const lines = formatTable([row(), row({ what: "a longer name", ratio: 0.5 })]).split("\n");
    expect(lines[1]).toMatch(
      /^push {2,}9,000 events\/s {2,}raw SQLite: 10,000 {2,}0\.90 × .*≥ 0\.7 × {2,}yes$/,
    );
    expect(lines[2]).toMatch(/NO$/);
    expect(lines[1]?.indexOf("9,000")).toBe(lines[2]?.indexOf("9,000"));
  });
});

describe("the part of BENCHMARKS.md", () => {
  const text = formatMarkdown(report);

  it("names machine, date, versions, command and rounds", () => {
    for (const part of [
      "A CPU, 2 cores, 8 GB",
      "2026-01-02",
      "plainjob 0.0.14",
      "`npm run bench`",
      "| rounds | 7",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("has a section a line, its layers, and who was not there", () => {
    expect(text).toContain("### 1. Durable push");
    expect(text).toContain("| service | commit | 50 % | 40.0 |");
    expect(text).toContain("- Not compared: NATS: nats-server is not installed");
  });

  it("escapes what would end a cell", () => {
    const lines = [{ name: "x", title: "X", rows: [row({ what: "a | b" })], layers: [] }];
    expect(formatMarkdown({ ...report, lines })).toContain("a \\| b");
  });

  it("goes between the markers and leaves the rest alone; without markers nothing is written", () => {
    const document = readFileSync(join(import.meta.dirname, "..", "BENCHMARKS.md"), "utf8");
    const once = replaceBetweenMarkers(document, "NEW");
    expect(once).toContain("\n\nNEW\n\n");
    expect(once.slice(0, 200)).toBe(document.slice(0, 200));
    expect(replaceBetweenMarkers(once, "NEW")).toBe(once);
    expect(() => replaceBetweenMarkers("no markers", "NEW")).toThrow("needs the lines");
  });
});
