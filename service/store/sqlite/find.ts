import type { EventQuery, ListedEvent } from "../../contract/events.ts";
import type { Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { createSeqBefore } from "./events.ts";
import { type Condition, conditionOf, type Filters, listedColumns, type Prepare } from "./filter.ts";
import { byLog, type Index, routesOf } from "./routes.ts";
import { type ListedSql, toListed } from "./rows.ts";
import { collect, type Range, type Route } from "./walk.ts";

/** Children that are told of an event. */
const CAUSED = 200;

export function findMethods(
  context: SqliteContext,
  index: Index,
): Pick<Store, "findEvents" | "findWithin" | "getCaused"> {
  const { memory } = context;
  const { prepare, indexer } = index;
  const seqBefore = createSeqBefore(context);
  const find = async (query: EventQuery, withinMs: number) => {
    const filters = filtersIn(query);
    const range = seqRange(query, memory.lastSeq, seqBefore);
    const condition = conditionOf(filters);
    const keep = keepBy(prepare, condition);
    const indexed = condition.sql === "" ? 0 : await indexer.upTo(memory.lastSeq);
    const indexes = routesOf(index, filters, indexed);
    const ways = indexes.length > 0 ? indexes : [byLog(prepare, condition)];
    const routes: Route<ListedEvent>[] = ways.map((next) => ({ next, keep }));
    const { rows, cut } = await collect(routes, range, query.limit + 1, withinMs);
    return { events: rows, cut };
  };
  return {
    findWithin: find,
    findEvents: async (query) => (await find(query, Number.POSITIVE_INFINITY)).events,
    async getCaused(parent_id) {
      const query = { parent_id, oldest_first: true, limit: CAUSED - 1 };
      const { events } = await find(query, Number.POSITIVE_INFINITY);
      return events.map(({ status: _, ...event }) => event);
    },
  };
}

/** Reads those candidates that meet the condition. */
export function keepBy(prepare: Prepare, condition: Condition): (seqs: number[]) => ListedEvent[] {
  const read = readBy<ListedSql>(prepare, listedColumns, condition);
  return (seqs) => read(seqs).map(toListed);
}

/** One statement for all candidates, in their order: asking for each by itself takes ten times as long. */
export function readBy<Row>(
  prepare: Prepare,
  columns: string,
  condition: Condition,
): (seqs: number[]) => Row[] {
  const statement = prepare(
    `SELECT ${columns} FROM json_each(?) c CROSS JOIN events e ON e.seq = c.value WHERE true ${condition.sql} ORDER BY c.key`,
  );
  return (seqs) =>
    seqs.length === 0 ? [] : (statement.all(JSON.stringify(seqs), ...condition.values) as Row[]);
}

function seqRange(query: EventQuery, lastSeq: number, seqBefore: (recorded_ms: number) => number): Range {
  const order = query.oldest_first ? "ASC" : "DESC";
  let low = query.since_ms === undefined ? 1 : seqBefore(query.since_ms) + 1;
  let high = query.until_ms === undefined ? lastSeq : seqBefore(query.until_ms);
  if (query.before !== undefined) {
    if (order === "DESC") high = Math.min(high, query.before - 1);
    else low = Math.max(low, query.before + 1);
  }
  return { low, high, order };
}

/** Those that ask for something: `>` alone matches every subject. */
function filtersIn(query: EventQuery): Filters {
  const { limit: _limit, before: _before, since_ms: _since, until_ms: _until, ...rest } = query;
  const { oldest_first: _order, within_ms: _within, ...given } = rest;
  const asking = Object.entries(given).filter(
    ([key, value]) => value !== undefined && !(key === "subject" && value === ">"),
  );
  return Object.fromEntries(asking);
}
