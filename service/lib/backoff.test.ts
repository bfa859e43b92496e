import { describe, expect, it } from "vitest";
import { backoffMs } from "./backoff.ts";

describe("back-off", () => {
  it("doubles up to its limit and takes up to half off", () => {
    const full = [1, 2, 3, 4, 5, 1_000].map((attempt) => backoffMs(attempt, 100, 1_000, () => 0));
    expect(full).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(backoffMs(3, 100, 1_000, () => 1)).toBe(200);
    expect(backoffMs(0, 100, 1_000, () => 0)).toBe(100);
  });
});
