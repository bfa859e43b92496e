import { describe, expect, it } from "vitest";
import { cut, fitTable, withoutEmptyColumns } from "./table.ts";
import { count, neutralise, showAge, showMoment, showTime, textOf, toJson } from "./text.ts";
import { graphemes, widthOf } from "./width.ts";

const lines = (rows: ReturnType<typeof fitTable>) => rows.map((row) => row.map(textOf).join("").trimEnd());

describe("tables", () => {
  const table = {
    head: ["ID", "NAME", "TEXT"],
    rows: [
      ["1", "short", "a text that goes on and on"],
      ["22", "a rather long name", "b"],
    ],
    flexible: [1, 2],
    empty: "",
  };

  it("are as wide as what is in them where there is room", () => {
    expect(lines(fitTable(table, 200))).toEqual([
      "ID  NAME                TEXT",
      "1   short               a text that goes on and on",
      "22  a rather long name  b",
    ]);
  });

  it("cut the widest columns first, evenly, down to a few characters", () => {
    expect(lines(fitTable(table, 36))).toEqual([
      "ID  NAME             TEXT",
      "1   short            a text that go…",
      "22  a rather long …  b",
    ]);
    expect(lines(fitTable(table, 5)).map((line) => line.length)).toEqual([18, 22, 15]);
  });

  it("leave out columns that say nothing on a terminal, and only there", () => {
    const sparse = { head: ["ID", "TOPIC", "BODY"], rows: [["1", "", "x"]], flexible: [1, 2], empty: "" };
    expect(withoutEmptyColumns(sparse, 80)).toEqual({
      head: ["ID", "BODY"],
      rows: [["1", "x"]],
      flexible: [1],
      empty: "",
    });
    expect(withoutEmptyColumns(sparse, Number.POSITIVE_INFINITY)).toBe(sparse);
  });

  it("keep one row on one line", () => {
    const rows = [["a\nb\tc", "x", "\u001b[2J"]];
    expect(lines(fitTable({ ...table, rows }, 80))[1]).toBe("a ⏎ b c  x     ␛[2J");
  });
});

describe("widths", () => {
  it("count columns, not characters", () => {
    const widths = ["abc", "äöü", "漢字", "👩‍👩‍👧", "e\u0301", "🇦🇹", "❤️", "日本 go", "\u200b"].map(widthOf);
    expect(widths).toEqual([3, 3, 4, 2, 1, 2, 2, 7, 0]);
  });

  it("cutting keeps whole characters", () => {
    expect(cut("漢字漢字", 5)).toBe("漢字…");
    expect(cut("👩‍👩‍👧👩‍👩‍👧", 3)).toBe("👩‍👩‍👧…");
    expect(cut("abc", 3)).toBe("abc");
    expect([...graphemes("e\u0301x")]).toEqual(["e\u0301", "x"]);
  });
});

describe("text", () => {
  it("control characters become visible, line breaks and tabs stay", () => {
    expect(neutralise("a\u001b[31m\u0000\u007f\u0085\u202e\tb\r\nc\rd")).toBe(
      "a␛[31m␀␡<U+0085><U+202E>\tb\nc␍d",
    );
  });

  it("JSON holds nothing that a terminal obeys, and reads back the same", () => {
    const value = { text: "\u001b[2J\u009b1m\u202e" };
    expect(toJson(value)).toBe('{"text":"\\u001b[2J\\u009b1m\\u202e"}');
    expect(JSON.parse(toJson(value))).toEqual(value);
  });

  it("moments say where their clock stands", () => {
    const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
    expect(Date.parse(showMoment(ms))).toBe(ms);
    expect(showMoment(ms)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:05\.006(Z|[+-]\d\d:\d\d)$/);
  });

  it("times of today are short", () => {
    const now = new Date(2026, 0, 2, 12).getTime();
    expect(showTime(new Date(2026, 0, 2, 3, 4, 5).getTime(), now)).toBe("03:04:05");
    expect(showTime(new Date(2025, 11, 31, 3, 4, 5).getTime(), now)).toBe("2025-12-31 03:04:05");
    expect([
      showAge(now - 90_000, now),
      showAge(now + 7_200_000, now),
      showAge(now, now),
      showAge(null),
    ]).toEqual(["1 min ago", "in 2 h", "now", "–"]);
    expect([count(1, "event"), count(2, "event")]).toEqual(["1 event", "2 events"]);
  });
});
