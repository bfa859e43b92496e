import { agentName } from "../../contract/agent-name.ts";
import {
  type Condition,
  conditionOf,
  type Filters,
  integer,
  keyedColumns,
  type Prepare,
  refsOf,
  text,
} from "./filter.ts";
import type { IndexFile } from "./index-file.ts";
import type { Indexer } from "./indexer.ts";
import { type StoredStatus, toStored } from "./rows.ts";
import { mergeStretches, type Next, seqsOf, splitAt, stretchOf } from "./walk.ts";
import { keyExpression } from "./words.ts";

/** Topics over which a status is still looked up one by one. */
const TOPICS = 500;
/** Subjects of a pattern that are still looked up one by one, and those looked at to find them. */
const SUBJECTS = 64;
const SUBJECTS_SEEN = 2_000;
/** Rows of the log that are looked at in one stretch when no index helps. */
const WINDOW = 1_000;

/** The index, and how far it is. */
export interface Index {
  /** Of the log. */
  prepare: Prepare;
  file: IndexFile;
  indexer: Indexer;
  subjectMatches(pattern: string, subject: string): boolean;
}

/** Every way to come to all events of these filters, given how far the index is, and words in its own language. */
export function routesOf(
  index: Index,
  filters: Filters,
  indexed: number,
  words: string | null = null,
): Next[] {
  const { prepare } = index;
  const newest = byLog(prepare, conditionOf(filters));
  const routes: Next[] = [];
  const keys = keysOf(index, filters);
  if (keys === null) routes.push(splitAt(indexed, newest, () => ({ seqs: [], reached: null })));
  else if (words !== null || keys.length > 0) {
    const expression = [...keys, ...(words === null ? [] : [words])].join(" AND ");
    routes.push(splitAt(indexed, newest, matching(index, expression)));
  }
  if (filters.correlation_id !== undefined) {
    const key = matching(index, keyExpression("correlation_id", filters.correlation_id));
    routes.push(
      merged([
        splitAt(indexed, newest, key),
        byIndex(prepare, "events", `id = ${text}`, [filters.correlation_id]),
      ]),
    );
  }
  if (filters.agent !== undefined) routes.push(byHolder(prepare, filters.agent));
  const status =
    filters.status === undefined ? null : byStatus(prepare, toStored(filters.status), filters.topic);
  if (status) routes.push(status);
  return routes;
}

function matching({ file, indexer }: Index, expression: string): Next {
  const next = file.matching(expression);
  return (range, take) => indexer.asked(() => next(range, take));
}

/** What the index is asked for; null when it has nothing. */
function keysOf(index: Index, filters: Filters): string[] | null {
  const keys: string[] = [];
  for (const column of keyedColumns) {
    const value = filters[column];
    if (value !== undefined) keys.push(keyExpression(column, value));
  }
  for (const [kind, value] of refsOf(filters)) keys.push(keyExpression(kind, value));
  if (filters.subject === undefined) return keys;
  const subjects = subjectsOf(index, filters.subject);
  if (subjects === null) return keys;
  return subjects.length === 0 ? null : [...keys, keyExpression("subject", ...subjects)];
}

/** The subjects in the index that a pattern matches. Null when there are too many with this beginning. */
function subjectsOf({ file, indexer, subjectMatches }: Index, pattern: string): string[] | null {
  const [literal = ""] = pattern.split(/(?<=^|\.)[*>](?=\.|$)/, 1);
  if (literal === pattern) return [pattern];
  const seen = indexer.asked(() => file.subjectsFrom(literal, SUBJECTS_SEEN));
  const found = seen.filter((subject) => subjectMatches(pattern, subject));
  return seen.length === SUBJECTS_SEEN || found.length > SUBJECTS ? null : found;
}

function byIndex(prepare: Prepare, table: string, where: string, values: unknown[]): Next {
  return ({ low, high, order }, take) => {
    const sql = `SELECT seq FROM ${table} WHERE ${where} AND seq BETWEEN ${integer} AND ${integer} ORDER BY seq ${order} LIMIT ${integer}`;
    return stretchOf(seqsOf(prepare(sql).all(...values, low, high, take)), take);
  };
}

/** Claims are kept as they were made: by `@name` or by `name`, which are one agent. */
function byHolder(prepare: Prepare, agent: string): Next {
  const name = agentName(agent);
  const lists = [name, `@${name}`].map((holder) =>
    byIndex(prepare, "deliveries INDEXED BY deliveries_holder", `claimed_by = ${text}`, [holder]),
  );
  return merged(lists);
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
