import { describe, expect, it } from "vitest";
import { alternate, compare, inFlight, median, percentile, rate, timings, until } from "./measure.ts";

describe("median and percentile", () => {
  it("take the middle of an odd number and the mean of the two in the middle of an even one", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([1, 10, 2, 4])).toBe(3);
  });

  it("give the ends for 0 and 100 and a place in proportion between two values", () => {
    const values = [10, 20, 30, 40, 50];
    expect(percentile(values, 0)).toBe(10);
    expect(percentile(values, 100)).toBe(50);
    expect(percentile(values, 90)).toBeCloseTo(46);
  });

  it("leave the values as they were, and refuse to speak of none", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
    expect(() => median([])).toThrow(RangeError);
  });
});

describe("alternate", () => {
  it("gives everyone one turn a round, and each round another first place", async () => {
    const turns: string[] = [];
    const contestant = (name: string) => () => turns.push(name);
    const figures = await alternate(3, { a: contestant("a"), b: contestant("b") });
    expect(turns).toEqual(["a", "b", "b", "a", "a", "b"]);
    expect(figures).toEqual({ a: [1, 4, 5], b: [2, 3, 6] });
  });
});

describe("compare", () => {
  it("divides figures of the same round only, so that a slow machine cancels out", () => {
    // The machine was ten times slower in the second round; both were, so the ratio stays.
    expect(compare([200, 20, 210], [100, 10, 100])).toEqual({
      ours: 200,
      theirs: 100,
      ratio: 2,
      spread: [2, 2.1],
    });
  });

  it("refuses rounds without a counterpart", () => {
    expect(() => compare([1, 2], [1])).toThrow(RangeError);
  });
});

describe("inFlight", () => {
  it("does all of it, in order of their start, and never more at once than asked", async () => {
    let now = 0;
    let most = 0;
    const started: number[] = [];
    await inFlight(20, 4, async (index) => {
      started.push(index);
      most = Math.max(most, ++now);
      await Promise.resolve();
      now -= 1;
    });
    expect(started).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(most).toBe(4);
  });
});

describe("rate and timings", () => {
  it("a rate is a positive number a second", async () => {
    expect(await rate(100, () => {})).toBeGreaterThan(0);
  });

  it("there is a time for every call", async () => {
    const seen: number[] = [];
    const times = await timings(3, (index) => seen.push(index));
    expect(seen).toEqual([0, 1, 2]);
    expect(times).toHaveLength(3);
    expect(await timings(1_000, () => {}, 0)).toHaveLength(1);
  });
});

describe("until", () => {
  it("resolves when the condition holds, and names it when it never does", async () => {
    let looks = 0;
    await until(() => ++looks === 3, "the third look", 1_000, 1);
    expect(looks).toBe(3);
    await expect(until(() => false, "a miracle", 5, 1)).rejects.toThrow("a miracle");
  });
});
