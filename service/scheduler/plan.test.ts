import { describe, expect, it } from "vitest";
import { scheduleRow } from "../../test/conformance/store-drafts.ts";
import { planFirings } from "./plan.ts";

const minute = 60_000;
const limits = { lateMs: minute, catchUp: 3 };
const row = (missed: "skip" | "once" | "all") =>
  scheduleRow({ kind: "every", every_ms: 10 * minute, anchor_ms: 0, missed, next_ms: 10 * minute });
const plan = (missed: "skip" | "once" | "all", now: number) => planFirings(row(missed), now, limits);

describe("due times", () => {
  it("U11 one that came in time is fired under every policy", () => {
    for (const missed of ["skip", "once", "all"] as const) {
      expect(plan(missed, 10 * minute + 900)).toEqual({
        fire: [{ due_ms: 10 * minute, cause: "due", missed: 0 }],
        leave: null,
        next_ms: 20 * minute,
      });
    }
    expect(plan("once", 10 * minute - 1)).toEqual({ fire: [], leave: null, next_ms: 10 * minute });
  });

  it("U11 skip leaves those that were missed", () => {
    expect(plan("skip", 55 * minute)).toEqual({
      fire: [],
      leave: { outcome: "skipped", first_ms: 10 * minute, due_ms: 50 * minute, count: 5, isExact: true },
      next_ms: 60 * minute,
    });
    expect(plan("skip", 50 * minute)).toMatchObject({
      fire: [{ due_ms: 50 * minute, cause: "due" }],
      leave: { count: 4, due_ms: 40 * minute },
    });
  });

  it("U11 once makes up for all of them by the newest", () => {
    expect(plan("once", 55 * minute)).toEqual({
      fire: [{ due_ms: 50 * minute, cause: "missed", missed: 4 }],
      leave: { outcome: "settled", first_ms: 10 * minute, due_ms: 40 * minute, count: 4, isExact: true },
      next_ms: 60 * minute,
    });
    expect(plan("once", 50 * minute)).toMatchObject({
      fire: [{ due_ms: 50 * minute, cause: "due", missed: 4 }],
      leave: { outcome: "settled", count: 4 },
    });
    expect(plan("once", 15 * minute)).toMatchObject({
      fire: [{ due_ms: 10 * minute, missed: 0 }],
      leave: null,
    });
  });

  it("U11 all makes up for each, up to its limit, and says which were left", () => {
    expect(plan("all", 35 * minute).fire.map((one) => one.due_ms / minute)).toEqual([10, 20, 30]);
    expect(plan("all", 55 * minute)).toMatchObject({
      fire: [{ due_ms: 30 * minute }, { due_ms: 40 * minute }, { due_ms: 50 * minute, cause: "missed" }],
      leave: { outcome: "skipped", first_ms: 10 * minute, due_ms: 20 * minute, count: 2 },
      next_ms: 60 * minute,
    });
  });

  it("U11 a single time that was missed is fired late, or skipped, and never again", () => {
    const once = scheduleRow({ kind: "at", at_ms: 5_000, next_ms: 5_000, missed: "once" });
    expect(planFirings(once, 9 * minute, limits)).toEqual({
      fire: [{ due_ms: 5_000, cause: "missed", missed: 0 }],
      leave: null,
      next_ms: null,
    });
    expect(planFirings({ ...once, missed: "skip" }, 9 * minute, limits)).toMatchObject({
      fire: [],
      leave: { outcome: "skipped", count: 1 },
      next_ms: null,
    });
  });
});
