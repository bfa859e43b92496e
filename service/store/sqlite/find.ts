import type { EventQuery, ListedEvent } from "../../contract/events.ts";
import type { Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import {
  type Condition,
  conditionOf,
  type Filters,
  listedColumns,
  type Prepare,
  statementCache,
} from "./filter.ts";
import { byLog, routesOf } from "./routes.ts";
import { type ListedSql, toListed } from "./rows.ts";
import { collect, type Range, type Route } from "./walk.ts";

export function findMethods(
  context: SqliteContext,
  seqBefore: Store["seqBefore"],
): Pick<Store, "findEvents"> {
  const { db, memory } = context;
  const prepare = statementCache(db);
  return {
    async findEvents(query) {
      const {
        limit,
        before: _before,
        since_ms: _since,
        until_ms: _until,
        oldest_first: _order,
        ...given
      } = query;
      const filters = filtersIn(given);
      const range = await seqRange(query, memory.lastSeq, seqBefore);
      const condition = conditionOf(filters);
      const keep = keepBy(prepare, condition);
      const indexed = routesOf(prepare, filters);
      const ways = indexed.length > 0 ? indexed : [byLog(prepare, condition)];
      const routes: Route<ListedEvent>[] = ways.map((next) => ({ next, keep }));
      return collect(routes, range, limit + 1);
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

async function seqRange(query: EventQuery, lastSeq: number, seqBefore: Store["seqBefore"]): Promise<Range> {
  const order = query.oldest_first ? "ASC" : "DESC";
  let low = query.since_ms === undefined ? 1 : (await seqBefore(query.since_ms)) + 1;
  let high = query.until_ms === undefined ? lastSeq : await seqBefore(query.until_ms);
  if (query.before !== undefined) {
    if (order === "DESC") high = Math.min(high, query.before - 1);
    else low = Math.max(low, query.before + 1);
  }
  return { low, high, order };
}

/** Those that ask for something: `>` alone matches every subject. */
function filtersIn(given: { [Key in keyof Filters]?: Filters[Key] | undefined }): Filters {
  const asking = Object.entries(given).filter(
    ([key, value]) => value !== undefined && !(key === "subject" && value === ">"),
  );
  return Object.fromEntries(asking);
}
