import type Database from "better-sqlite3";
import { agentName } from "../../contract/agent-name.ts";
import type { EventQuery, SearchQuery } from "../../contract/events.ts";
import { DEFAULT_GROUP } from "../store.ts";
import { eventColumnsOf, toStored } from "./rows.ts";

export type Filters = Partial<
  Omit<EventQuery, "limit" | "before" | "since_ms" | "until_ms" | "oldest_first" | "within_ms">
>;

export interface Condition {
  sql: string;
  values: unknown[];
}

export type Prepare = (sql: string) => Database.Statement<unknown[]>;

/** Statements kept for the shapes of queries that were asked, some of them for each table of the index. */
const SHAPES = 1_000;

export function statementCache(db: Database.Database): Prepare {
  const cache = new Map<string, Database.Statement<unknown[]>>();
  return (sql) => {
    let statement = cache.get(sql);
    if (!statement) {
      if (cache.size >= SHAPES) cache.clear();
      statement = db.prepare(sql);
      cache.set(sql, statement);
    }
    return statement;
  };
}

/** Columns of an event, and what the default group has made of it. */
export const listedColumns = `${eventColumnsOf("e")},
  (SELECT s.status FROM deliveries s WHERE s.seq = e.seq AND s.grp = '${DEFAULT_GROUP}') AS status`;

/** Columns whose values are keys of the index. */
export const keyedColumns = [
  "topic",
  "source",
  "type",
  "conversation_key",
  "parent_id",
  "scope",
] as const satisfies (keyof EventQuery)[];

/**
 * Parameters. A bare one makes SQLite plan some statements anew with each value (those with ORDER BY, LIMIT, EXISTS
 * or GLOB), which takes many times longer than running them; a cast one never does.
 */
export const text = "CAST(? AS TEXT)";
export const integer = "CAST(? AS INTEGER)";

/** All that is asked of an event `e`, whatever way led to it. */
export function conditionOf(filters: Filters): Condition {
  const parts: string[] = [];
  const values: unknown[] = [];
  const add = (sql: string, ...more: unknown[]) => {
    parts.push(`AND ${sql}`);
    values.push(...more);
  };
  for (const column of keyedColumns) {
    if (filters[column] !== undefined) add(`e.${column} = ${text}`, filters[column]);
  }
  if (filters.correlation_id !== undefined) {
    // A reply carries the id of the event it answers when that has no correlation of its own.
    add(`(e.correlation_id = ${text} OR e.id = ${text})`, filters.correlation_id, filters.correlation_id);
  }
  if (filters.subject !== undefined) {
    const { subject } = filters;
    add(`e.subject GLOB ${text} AND subject_matches(${text}, e.subject)`, subjectGlob(subject), subject);
  }
  if (filters.status !== undefined) {
    const stored = toStored(filters.status);
    add(
      `(SELECT x.status FROM deliveries x WHERE x.seq = e.seq AND x.grp = '${DEFAULT_GROUP}') IN (${stored.map(() => text).join(", ")})`,
      ...stored,
    );
  }
  if (filters.agent !== undefined) {
    add(
      `EXISTS (SELECT 1 FROM deliveries x WHERE x.seq = e.seq AND x.claimed_by IN (${text}, '@' || ?))`,
      agentName(filters.agent),
      agentName(filters.agent),
    );
  }
  for (const [kind, value] of refsOf(filters)) {
    const where = `x.kind = ${text} AND x.value = ${text} AND x.seq = e.seq`;
    add(`EXISTS (SELECT 1 FROM refs x WHERE ${where})`, kind, value);
  }
  return { sql: parts.join(" "), values };
}

export function refsOf(filters: Filters): [kind: "mention" | "tool", value: string][] {
  const refs: [kind: "mention" | "tool", value: string][] = [];
  if (filters.mention !== undefined) refs.push(["mention", filters.mention.replace(/^@/, "").toLowerCase()]);
  if (filters.tool !== undefined) refs.push(["tool", filters.tool.toLowerCase()]);
  return refs;
}

/** What a search asks besides its words. */
export function filtersOf(query: SearchQuery): Filters {
  const { topic, type, source, status } = query;
  return {
    ...(topic === undefined ? {} : { topic }),
    ...(type === undefined ? {} : { type }),
    ...(source === undefined ? {} : { source }),
    ...(status === undefined ? {} : { status }),
  };
}

/** Cheap first test before the exact one. */
function subjectGlob(pattern: string): string {
  return pattern.replace(/[[\]?]/g, (char) => `[${char}]`).replace(/>$/, "*");
}
