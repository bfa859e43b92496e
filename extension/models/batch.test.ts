import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createBatch, createPacer, createPortions } from "./batch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One event a millisecond, for so long. */
function pour(ms: number, add: (index: number) => void): void {
  for (let index = 0; index < ms; index++) {
    add(index);
    vi.advanceTimersByTime(1);
  }
}

describe("a batch", () => {
  it("draws 10,000 events of ten seconds in about twenty batches, and loses none", () => {
    const batches: (readonly number[])[] = [];
    const batch = createBatch<number>(150, (items) => batches.push(items), 500);
    pour(10_000, (index) => batch.add(index));
    vi.advanceTimersByTime(1_000);
    expect(batches.flat()).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
    expect(batches.length).toBeLessThanOrEqual(21);
  });

  it("shows a single event soon", () => {
    const batches: (readonly number[])[] = [];
    const batch = createBatch<number>(150, (items) => batches.push(items), 500);
    batch.add(1);
    vi.advanceTimersByTime(150);
    expect(batches).toEqual([[1]]);
    vi.advanceTimersByTime(600);
    batch.add(2);
    vi.advanceTimersByTime(150);
    expect(batches).toEqual([[1], [2]]);
  });
});

describe("a pacer", () => {
  it("reads at once, then once a second however many events come, and once after the last", () => {
    const reads: number[] = [];
    const pacer = createPacer(1_000, () => reads.push(performance.now()));
    pacer.wish();
    expect(reads).toHaveLength(1);
    pour(10_000, () => pacer.wish());
    vi.advanceTimersByTime(5_000);
    expect(reads.length).toBeLessThanOrEqual(12);
    expect(reads.length).toBeGreaterThanOrEqual(10);
    pacer.wish();
    expect(reads.at(-1)).toBe(performance.now());
  });

  it("reads no more once it is disposed of", () => {
    let reads = 0;
    const pacer = createPacer(1_000, () => {
      reads += 1;
    });
    pacer.wish();
    pacer.wish();
    pacer.dispose();
    vi.advanceTimersByTime(5_000);
    expect(reads).toBe(1);
  });
});

describe("portions", () => {
  it("redraw 1,000 agents a hundred at a time, each once, however often they change meanwhile", () => {
    const portions: (readonly number[])[] = [];
    const rows = createPortions<number>(100, 250, (items) => portions.push(items));
    const agents = Array.from({ length: 1_000 }, (_, index) => index);
    rows.add(agents);
    expect(portions.map(({ length }) => length)).toEqual([100]);
    rows.add(agents.slice(500));
    vi.advanceTimersByTime(5_000);
    expect(portions.map(({ length }) => length)).toEqual(Array.from({ length: 10 }, () => 100));
    expect(portions.flat()).toEqual(agents);
  });

  it("redraw a single row at once, and none that a whole redraw has covered", () => {
    const portions: (readonly number[])[] = [];
    const rows = createPortions<number>(1, 250, (items) => portions.push(items));
    rows.add([1]);
    expect(portions).toEqual([[1]]);
    rows.add([2, 3]);
    rows.clear();
    vi.advanceTimersByTime(5_000);
    expect(portions).toEqual([[1]]);
  });
});
