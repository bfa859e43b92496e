import { describe, expect, it } from "vitest";
import { scheduleRow } from "../../test/conformance/store-drafts.ts";
import { checkCron, checkZone, dueTimesFrom, dueTimesUntil, nextDue, readTime } from "./times.ts";

const at = (text: string) => Date.parse(text);
const iso = (times: (number | null)[]) =>
  times.map((ms) => (ms === null ? null : new Date(ms).toISOString()));
const cron = (text: string, time_zone = "Europe/Berlin") =>
  scheduleRow({ kind: "cron", cron: text, time_zone });
const runs = (text: string, after: string, count: number, zone?: string) => {
  const rhythm = cron(text, zone);
  return iso(dueTimesFrom(rhythm, nextDue(rhythm, at(after)), count));
};

describe("cron in a time zone", () => {
  it("U11 B16 keeps its local hour when daylight saving begins and ends", () => {
    expect(runs("0 9 * * 1-5", "2026-03-27T07:00:00Z", 2)).toEqual([
      "2026-03-27T08:00:00.000Z",
      "2026-03-30T07:00:00.000Z",
    ]);
    expect(runs("0 9 * * *", "2026-10-24T07:30:00Z", 2)).toEqual([
      "2026-10-25T08:00:00.000Z",
      "2026-10-26T08:00:00.000Z",
    ]);
  });

  it("U11 runs once, at the first time there is, where the clock jumps over its hour", () => {
    expect(runs("30 2 * * *", "2026-03-28T12:00:00Z", 2)).toEqual([
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
  });

  it("U11 runs once where an hour that it names comes twice, also among several hours", () => {
    expect(runs("30 2 * * *", "2026-10-24T12:00:00Z", 2)).toEqual([
      "2026-10-25T00:30:00.000Z",
      "2026-10-26T01:30:00.000Z",
    ]);
    expect(runs("0 1,2 * * *", "2026-10-24T22:30:00Z", 3)).toEqual([
      "2026-10-24T23:00:00.000Z",
      "2026-10-25T00:00:00.000Z",
      "2026-10-26T00:00:00.000Z",
    ]);
  });

  it("U11 keeps its step through both nights where it names no hour", () => {
    const steps = (text: string, hours: number) => {
      const times = runs("*/30 * * * *", text, hours * 2).map((one) => at(one ?? ""));
      return new Set(times.slice(1).map((ms, index) => ms - (times[index] ?? 0)));
    };
    expect(steps("2026-03-28T22:00:00Z", 6)).toEqual(new Set([1_800_000]));
    expect(steps("2026-10-24T22:00:00Z", 6)).toEqual(new Set([1_800_000]));
  });

  it("U11 a due time is never its own successor, to the millisecond", () => {
    const nine = at("2026-01-01T09:00:00Z");
    expect(nextDue(cron("0 9 * * *", "UTC"), nine - 1)).toBe(nine);
    expect(nextDue(cron("0 9 * * *", "UTC"), nine)).toBe(nine + 86_400_000);
    expect(nextDue(cron("0 9 * * *", "UTC"), nine + 500)).toBe(nine + 86_400_000);
  });

  it("U11 takes six fields and nicknames, and says what is wrong with others", () => {
    expect(runs("*/20 0 9 * * *", "2026-01-01T08:59:50Z", 3, "UTC")).toEqual([
      "2026-01-01T09:00:00.000Z",
      "2026-01-01T09:00:20.000Z",
      "2026-01-01T09:00:40.000Z",
    ]);
    expect(() => checkCron("@daily", "UTC")).not.toThrow();
    expect(() => checkCron("61 9 * * *", "UTC")).toThrow(/Invalid value for minute: 61/);
    expect(() => checkCron("0 9 * *", "UTC")).toThrow(/has 4 fields/);
    expect(() => checkCron("2026-01-01T00:00:00", "UTC")).toThrow(/has 1 fields/);
    expect(() => checkCron("0 0 30 2 *", "UTC")).toThrow(/is never due/);
    expect(() => checkZone("Europe/Atlantis")).toThrow(/no time zone Europe\/Atlantis/);
    expect(() => checkZone("Asia/Kolkata")).not.toThrow();
  });
});

describe("steps and single times", () => {
  const every = scheduleRow({ kind: "every", every_ms: 60_000, anchor_ms: 1_000 });

  it("U11 steps are counted from where they began, whenever one asks", () => {
    expect(nextDue(every, 0)).toBe(61_000);
    expect(nextDue(every, 61_000)).toBe(121_000);
    expect(nextDue(every, 61_000 + 59_999)).toBe(121_000);
    expect(nextDue(every, 3_600_000)).toBe(3_601_000);
  });

  it("U11 a single time comes once", () => {
    const once = scheduleRow({ kind: "at", at_ms: 5_000 });
    expect([nextDue(once, 4_999), nextDue(once, 5_000)]).toEqual([5_000, null]);
    expect(nextDue(scheduleRow({ kind: "event", pattern: "a.b" }), 0)).toBeNull();
  });

  it("U11 a local time is read in its zone, or in the one it names", () => {
    const read = (text: string) => new Date(readTime(text, "Europe/Berlin")).toISOString();
    expect(read("2026-12-01T09:00")).toBe("2026-12-01T08:00:00.000Z");
    expect(read("2026-07-01 09:00:30")).toBe("2026-07-01T07:00:30.000Z");
    expect(read("2026-12-01")).toBe("2026-11-30T23:00:00.000Z");
    expect(read("2026-12-01T09:00:00Z")).toBe("2026-12-01T09:00:00.000Z");
    expect(read("2026-12-01T09:00-05:00")).toBe("2026-12-01T14:00:00.000Z");
    for (const bad of ["tomorrow", "2026-13-01T09:00", "2026-12-01T25:00Z", "* * * * *"]) {
      expect(() => read(bad)).toThrow(expect.objectContaining({ code: "invalid_request" }));
    }
  });
});

describe("due times that went by", () => {
  it("U11 all are counted and the newest kept, without walking through millions of steps", () => {
    const every = scheduleRow({ kind: "every", every_ms: 1_000, anchor_ms: 0 });
    const year = 365 * 86_400_000;
    expect(dueTimesUntil(every, 1_000, year, 2)).toEqual({
      newest: [year - 1_000, year],
      count: year / 1_000,
      isExact: true,
    });
    expect(dueTimesUntil(every, 1_000, 3_500, 5)).toEqual({
      newest: [1_000, 2_000, 3_000],
      count: 3,
      isExact: true,
    });
    expect(dueTimesUntil(every, 1_500, 3_500, 5)).toEqual({
      newest: [1_500, 2_000, 3_000],
      count: 3,
      isExact: true,
    });
    expect(dueTimesUntil(every, 4_000, 3_500, 5)).toEqual({ newest: [], count: 0, isExact: true });
  });

  it("U11 of a cron expression that went by for a year the newest are found", () => {
    const minutely = cron("* * * * *", "UTC");
    const first = at("2026-01-01T00:01:00Z");
    const until = at("2027-01-01T00:00:00Z");
    const found = dueTimesUntil(minutely, first, until, 3);
    expect(iso(found.newest)).toEqual([
      "2026-12-31T23:58:00.000Z",
      "2026-12-31T23:59:00.000Z",
      "2027-01-01T00:00:00.000Z",
    ]);
    expect(found).toMatchObject({ count: 500, isExact: false });
    expect(dueTimesUntil(minutely, first, first + 119_999, 9)).toMatchObject({ count: 2, isExact: true });
  });
});
