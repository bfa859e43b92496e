import { setImmediate as nextTurn } from "node:timers/promises";

/** Part of the log, in the order it is read in. */
export interface Range {
  low: number;
  high: number;
  order: "ASC" | "DESC";
}

export interface Stretch {
  seqs: number[];
  /** Everything on this route up to here has been given; null: the range is through. */
  reached: number | null;
}

/** What comes next in `range`, `take` at the most. */
export type Next = (range: Range, take: number) => Stretch;

/** One way to come to the rows of an answer: an index that every one of them is in. */
export interface Route<Row> {
  next: Next;
  /** Those of the candidates that belong to the answer, in the same order. */
  keep(seqs: number[]): Row[];
}

export interface Collected<Row> {
  rows: Row[];
  /** The last `seq` that was looked at when the time was up; null: the answer is whole. */
  cut: number | null;
}

const FIRST = 64;
const MOST = 2_048;
/** A stretch that took longer is followed by a shorter one: others are to get their turn. */
const STEP_MS = 1;

/**
 * The first `limit` rows of an answer, or those found within `withinMs`. With several routes it goes a stretch on each
 * in turn, so that the shortest one decides how long it takes; between the rounds others get their turn.
 */
export async function collect<Row>(
  routes: Route<Row>[],
  range: Range,
  limit: number,
  withinMs: number,
): Promise<Collected<Row>> {
  const first = Math.min(FIRST, limit);
  const walkers = routes.map((route) => ({ route, range: { ...range }, rows: [] as Row[], take: first }));
  if (range.low > range.high) return { rows: [], cut: null };
  const begun = performance.now();
  for (;;) {
    for (const walker of walkers) {
      const stepBegun = performance.now();
      const { seqs, reached } = walker.route.next(walker.range, walker.take);
      for (const row of walker.route.keep(seqs)) walker.rows.push(row);
      if (walker.rows.length >= limit) return { rows: walker.rows.slice(0, limit), cut: null };
      if (reached === null || !advance(walker.range, reached)) return { rows: walker.rows, cut: null };
      const isSlow = performance.now() - stepBegun > STEP_MS;
      walker.take = isSlow ? Math.max(first, walker.take >> 1) : Math.min(walker.take * 2, MOST);
    }
    if (performance.now() - begun >= withinMs) break;
    await nextTurn();
  }
  const furthest = walkers.reduce((one, other) => (left(other.range) < left(one.range) ? other : one));
  const { low, high, order } = furthest.range;
  return { rows: furthest.rows, cut: order === "ASC" ? low - 1 : high + 1 };
}

function left({ low, high }: Range): number {
  return high - low;
}

/** False when nothing of the range is left. */
function advance(range: Range, reached: number): boolean {
  if (range.order === "ASC") range.low = reached + 1;
  else range.high = reached - 1;
  return range.low <= range.high;
}

export function seqsOf(rows: unknown[]): number[] {
  return (rows as { seq: number }[]).map((row) => row.seq);
}

/** A stretch of a route that simply gives its next rows. */
export function stretchOf(seqs: number[], take: number): Stretch {
  return { seqs, reached: seqs.length < take ? null : (seqs.at(-1) ?? null) };
}

/** Several sorted lists as one, as far as all of them were read. */
export function mergeStretches(parts: Stretch[], order: Range["order"]): Stretch {
  const sign = order === "ASC" ? 1 : -1;
  const reached = parts.reduce<number | null>((nearest, part) => {
    if (part.reached === null) return nearest;
    return nearest === null || sign * (part.reached - nearest) < 0 ? part.reached : nearest;
  }, null);
  const seqs = parts
    .flatMap((part) => part.seqs)
    .filter((seq) => reached === null || sign * (reached - seq) >= 0)
    .sort((a, b) => sign * (a - b));
  return { seqs, reached };
}

/** The newest part of the range, above `indexed`, by another way than the rest. */
export function splitAt(indexed: number, newest: Next, rest: Next): Next {
  return ({ low, high, order }, take) => {
    if (low > indexed) return newest({ low, high, order }, take);
    if (high <= indexed) return rest({ low, high, order }, take);
    if (order === "ASC") {
      const { seqs, reached } = rest({ low, high: indexed, order }, take);
      return { seqs, reached: reached ?? indexed };
    }
    const { seqs, reached } = newest({ low: indexed + 1, high, order }, take);
    return { seqs, reached: reached ?? indexed + 1 };
  };
}
