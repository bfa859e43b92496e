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

/** One way to come to the rows of an answer: an index that every one of them is in. */
export interface Route<Row> {
  /** What comes next in `range`, `take` at the most. */
  next(range: Range, take: number): Stretch;
  /** Those of the candidates that belong to the answer, in the same order. */
  keep(seqs: number[]): Row[];
}

const FIRST = 64;
const MOST = 2_048;

/**
 * The first `limit` rows of an answer. With several routes it goes a stretch on each in turn, so that the shortest
 * one decides how long it takes; between the rounds others get their turn.
 */
export async function collect<Row>(routes: Route<Row>[], range: Range, limit: number): Promise<Row[]> {
  const walkers = routes.map((route) => ({ route, range: { ...range }, rows: [] as Row[] }));
  if (range.low > range.high) return [];
  for (let take = Math.min(FIRST, limit); ; take = Math.min(take * 2, MOST)) {
    for (const walker of walkers) {
      const { seqs, reached } = walker.route.next(walker.range, take);
      for (const row of walker.route.keep(seqs)) walker.rows.push(row);
      if (walker.rows.length >= limit) return walker.rows.slice(0, limit);
      if (reached === null || !advance(walker.range, reached)) return walker.rows;
    }
    await nextTurn();
  }
}

/** False when nothing of the range is left. */
function advance(range: Range, reached: number): boolean {
  if (range.order === "ASC") range.low = reached + 1;
  else range.high = reached - 1;
  return range.low <= range.high;
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
