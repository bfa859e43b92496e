/** Ratios of a noisy machine: contestants take turns, and only figures of the same round are divided. */

/** One figure of one round: a rate, or a time in milliseconds. */
export type Contest = () => Promise<number> | number;

export interface Comparison {
  /** Median of all rounds. */
  ours: number;
  theirs: number;
  /** Median of the rounds' own ratios, ours by theirs. */
  ratio: number;
  /** Smallest and largest ratio of a round. */
  spread: readonly [number, number];
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value below which `share` percent lie, between two values in proportion. @throws RangeError without values */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError("a percentile needs values");
  const sorted = [...values].sort((a, b) => a - b);
  const place = ((sorted.length - 1) * share) / 100;
  const low = sorted[Math.floor(place)] ?? 0;
  const high = sorted[Math.ceil(place)] ?? low;
  return low + (high - low) * (place - Math.floor(place));
}

/**
 * Runs every contestant once a round, each round beginning with the next one, so that drift and the warmth left by
 * a neighbour hit all alike. The figures come back by name, round by round.
 */
export async function alternate<Name extends string>(
  rounds: number,
  contestants: Readonly<Record<Name, Contest>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contestants) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      figures[name].push(await contestants[name]());
    }
  }
  return figures;
}

/** @throws RangeError when there is not one figure of each for every round */
export function compare(ours: readonly number[], theirs: readonly number[]): Comparison {
  if (ours.length !== theirs.length) throw new RangeError("both need a figure for every round");
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN));
  return {
    ours: median(ours),
    theirs: median(theirs),
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
  };
}

/** How many a second when `count` of them took as long as `work`. */
export async function rate(count: number, work: () => Promise<void> | void): Promise<number> {
  const begun = performance.now();
  await work();
  return (count * 1_000) / (performance.now() - begun);
}

/** Runs `work(0)` to `work(count - 1)`, `width` of them at any time. */
export async function inFlight(
  count: number,
  width: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}

/** How long each call took, in milliseconds, one after the other; fewer than `count` when the budget is spent. */
export async function timings(
  count: number,
  work: (index: number) => Promise<unknown> | unknown,
  budgetMs = Number.POSITIVE_INFINITY,
): Promise<number[]> {
  const times: number[] = [];
  const deadline = performance.now() + budgetMs;
  for (let index = 0; index < count && (index === 0 || performance.now() < deadline); index++) {
    const begun = performance.now();
    await work(index);
    times.push(performance.now() - begun);
  }
  return times;
}

/** Resolves when `isTrue` says so. @throws Error after `timeoutMs` */
export async function until(
  isTrue: () => Promise<boolean> | boolean,
  what: string,
  timeoutMs = 60_000,
  everyMs = 2,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
