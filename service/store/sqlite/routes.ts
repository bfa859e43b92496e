import { agentName } from "../../contract/agent-name.ts";
import {
  type Condition,
  type Filters,
  indexedColumns,
  integer,
  type Prepare,
  refsOf,
  text,
} from "./filter.ts";
import { type StoredStatus, toStored } from "./rows.ts";
import { mergeStretches, type Range, type Stretch, stretchOf } from "./walk.ts";

export type Next = (range: Range, take: number) => Stretch;

/** Topics over which a status is still looked up one by one. */
const TOPICS = 500;
/** Subjects with a common beginning over which a pattern is still looked up one by one. */
const SUBJECTS = 300;
/** Rows of the log that are looked at in one stretch when no index helps. */
const WINDOW = 2_000;

/** Every index that holds all events of these filters. */
export function routesOf(prepare: Prepare, filters: Filters): Next[] {
  const routes: Next[] = [];
  for (const column of indexedColumns) {
    const value = filters[column];
    if (value !== undefined) routes.push(byIndex(prepare, "events", `${column} = ${text}`, [value]));
  }
  if (filters.correlation_id !== undefined) routes.push(byCorrelation(prepare, filters.correlation_id));
  for (const ref of refsOf(filters))
    routes.push(byIndex(prepare, "refs", `kind = ${text} AND value = ${text}`, ref));
  const subject = filters.subject === undefined ? null : bySubject(prepare, filters.subject);
  if (subject) routes.push(subject);
  if (filters.agent !== undefined) routes.push(byHolder(prepare, filters.agent));
  const status =
    filters.status === undefined ? null : byStatus(prepare, toStored(filters.status), filters.topic);
  if (status) routes.push(status);
  return routes;
}

function byIndex(prepare: Prepare, table: string, where: string, values: unknown[]): Next {
  return ({ low, high, order }, take) => {
    const sql = `SELECT seq FROM ${table} WHERE ${where} AND seq BETWEEN ${integer} AND ${integer} ORDER BY seq ${order} LIMIT ${integer}`;
    return stretchOf(seqsOf(prepare(sql).all(...values, low, high, take)), take);
  };
}

function byCorrelation(prepare: Prepare, correlation_id: string): Next {
  return merged([
    byIndex(prepare, "events", `correlation_id = ${text}`, [correlation_id]),
    byIndex(prepare, "events", `id = ${text}`, [correlation_id]),
  ]);
}

/** Claims are kept as they were made: by `@name` or by `name`, which are one agent. */
function byHolder(prepare: Prepare, agent: string): Next {
  const name = agentName(agent);
  const lists = [name, `@${name}`].map((holder) =>
    byIndex(prepare, "deliveries INDEXED BY deliveries_holder", `claimed_by = ${text}`, [holder]),
  );
  return merged(lists);
}

/**
 * Subjects are few: those that match are looked up by leaps through their index, then read side by side. Null when
 * there are too many with this beginning.
 */
function bySubject(prepare: Prepare, pattern: string): Next | null {
  const [literal = ""] = pattern.split(/(?<=^|\.)[*>](?=\.|$)/, 1);
  const of = (subject: string) => byIndex(prepare, "events", `subject = ${text}`, [subject]);
  if (literal === pattern) return of(pattern);
  const leap = prepare(
    `SELECT subject, subject_matches(${text}, subject) AS matches FROM events
     WHERE subject > ${text} ORDER BY subject LIMIT 1`,
  );
  const lists: Next[] = [];
  for (let from = literal, leaps = 0; ; leaps++) {
    const row = leap.get(pattern, from) as { subject: string; matches: number } | undefined;
    if (!row?.subject.startsWith(literal)) return merged(lists);
    if (leaps === SUBJECTS) return null;
    if (row.matches === 1) lists.push(of(row.subject));
    from = row.subject;
  }
}

/** Several lists read side by side, as far as all of them were read. */
function merged(lists: Next[]): Next {
  return (range, take) => {
    const each = Math.ceil(take / Math.max(1, lists.length)) + 1;
    const both = mergeStretches(
      lists.map((next) => next(range, each)),
      range.order,
    );
    return { ...both, seqs: [...new Set(both.seqs)] };
  };
}

/** Deliveries lie by status and topic: one list a topic, read side by side. Null when there are too many topics. */
function byStatus(prepare: Prepare, statuses: StoredStatus[], topic: string | undefined): Next | null {
  const busy = prepare(
    `SELECT status, topic FROM counts WHERE n > 0 AND topic <> '' AND status IN (${statuses.map(() => "?").join(", ")}) LIMIT ${TOPICS + 1}`,
  );
  const lists =
    topic === undefined
      ? (busy.all(...statuses) as { status: StoredStatus; topic: string }[])
      : statuses.map((status) => ({ status, topic }));
  if (lists.length > TOPICS) return null;
  const where = `status = ${text} AND topic = ${text}`;
  return merged(
    lists.map((list) =>
      byIndex(prepare, "deliveries INDEXED BY deliveries_status", where, [list.status, list.topic]),
    ),
  );
}

/** The log itself, a window at a time: for what has no index. */
export function byLog(prepare: Prepare, condition: Condition): Next {
  return ({ low, high, order }, take) => {
    const window = condition.sql === "" ? Number.POSITIVE_INFINITY : WINDOW;
    const part =
      order === "ASC"
        ? { low, high: Math.min(high, low + window - 1) }
        : { low: Math.max(low, high - window + 1), high };
    const sql = `SELECT e.seq FROM events e WHERE e.seq BETWEEN ${integer} AND ${integer} ${condition.sql} ORDER BY e.seq ${order} LIMIT ${integer}`;
    const seqs = seqsOf(prepare(sql).all(part.low, part.high, ...condition.values, take));
    if (seqs.length === take) return stretchOf(seqs, take);
    const reached = order === "ASC" ? part.high : part.low;
    return { seqs, reached: reached === (order === "ASC" ? high : low) ? null : reached };
  };
}

export function seqsOf(rows: unknown[]): number[] {
  return (rows as { seq: number }[]).map((row) => row.seq);
}
