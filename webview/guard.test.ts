import { describe, expect, it } from "vitest";
import { LOOK_MS, PressGuard } from "./guard.ts";

describe("a press on a decision", () => {
  it("does not count in the first moments after the card appeared", () => {
    let now = 0;
    const guard = new PressGuard(() => now);
    now = 5_000;
    guard.show(["eff_1"]);
    expect(guard.counts(["eff_1"])).toBe(false);
    now += LOOK_MS;
    expect(guard.counts(["eff_1"])).toBe(true);
    guard.show(["eff_1", "eff_2"]);
    expect([guard.counts(["eff_1"]), guard.counts(["eff_2"]), guard.counts(["eff_1", "eff_2"])]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("does not count in the first moments after the view got the focus", () => {
    let now = 0;
    const guard = new PressGuard(() => now);
    guard.show(["eff_1"]);
    now = 10_000;
    guard.focus();
    expect(guard.counts(["eff_1"])).toBe(false);
    now += LOOK_MS;
    expect(guard.counts(["eff_1"])).toBe(true);
  });

  it("does not count for a card that is not in sight", () => {
    let now = 0;
    const guard = new PressGuard(() => now);
    now = 10_000;
    expect(guard.counts(["eff_1"])).toBe(false);
    guard.show(["eff_1"]);
    now += LOOK_MS;
    guard.show([]);
    expect(guard.counts(["eff_1"])).toBe(false);
  });

  it("does not count in the first moments after what it is about was brought into sight", () => {
    let now = 0;
    const guard = new PressGuard(() => now);
    guard.show(["eff_1"]);
    now = 10_000;
    guard.restart("eff_1");
    guard.restart("eff_2");
    expect(guard.counts(["eff_1"])).toBe(false);
    now += LOOK_MS;
    expect([guard.counts(["eff_1"]), guard.counts(["eff_2"])]).toEqual([true, false]);
  });
});
