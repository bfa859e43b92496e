import { describe, expect, it } from "vitest";
import { parseDuration, showDuration } from "./duration.ts";

describe("durations", () => {
  it("are read with their unit, in seconds without one", () => {
    const read = ["500ms", "10m", "1h30m", "2d", "1.5h", "30", "0.5", "1w"].map(parseDuration);
    expect(read).toEqual([500, 600_000, 5_400_000, 172_800_000, 5_400_000, 30_000, 500, 604_800_000]);
  });

  it("are refused when they are none", () => {
    expect(["", "m", "10x", "-5m", "1h x", "10 m"].map(parseDuration)).toEqual(Array(6).fill(null));
  });

  it("are shown with their two largest units", () => {
    expect([120, 8_000, 61_000, 7_200_000, 90_061_000].map(showDuration)).toEqual([
      "120 ms",
      "8 s",
      "1 min 1 s",
      "2 h",
      "1 d 1 h",
    ]);
  });
});
