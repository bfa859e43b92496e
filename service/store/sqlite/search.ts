import type Database from "better-sqlite3";
import { SignalboxError } from "../../contract/errors.ts";
import type { DeliveryStatus, EventQuery, ListedEvent, SearchQuery } from "../../contract/events.ts";
import { rankScore, searchExpression, searchText, searchWords } from "../decisions.ts";
import { DEFAULT_GROUP, type Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { type EventSql, eventColumns, eventColumnsOf, toEvent, toListed } from "./rows.ts";

/** Candidates that a ranked search looks at: the newest matches. */
const RANKED = 500;
/** Rows looked at between two turns of the event loop when a filter has no index. */
const WINDOW = 5_000;
const INDEX_BATCH = 512;
/** Statements kept for the shapes of queries that were asked. */
const SHAPES = 200;

type ListedSql = EventSql & { status: DeliveryStatus | null };
type FindMethods = Pick<Store, "findEvents" | "searchEvents">;

const statusOf = `(SELECT status FROM deliveries s WHERE s.seq = e.seq AND s.grp = '${DEFAULT_GROUP}') AS status`;
const listed = `${eventColumnsOf("e")}, ${statusOf}`;

export function findMethods(
  context: SqliteContext,
  indexer: Indexer,
  seqBefore: Store["seqBefore"],
): FindMethods {
  const prepare = statementCache(context.db);
  const busyTopics = context.db.prepare<[DeliveryStatus], { topic: string }>(
    "SELECT topic FROM counts WHERE status = ? AND n > 0",
  );

  const byStatus = (query: EventQuery, status: DeliveryStatus, range: Range, limit: number): ListedSql[] => {
    const topics = query.topic !== undefined ? [query.topic] : busyTopics.all(status).map((row) => row.topic);
    const filter = eventFilter(query, "d.seq", range);
    const sql = `SELECT ${listed} FROM deliveries d INDEXED BY deliveries_status CROSS JOIN events e ON e.seq = d.seq
      WHERE d.status = ? AND d.topic = ? AND d.grp = '${DEFAULT_GROUP}' ${filter.sql} ORDER BY d.seq ${range.order} LIMIT ?`;
    const rows = topics.flatMap(
      (topic) => prepare(sql).all(status, topic, ...filter.values, limit) as ListedSql[],
    );
    const sign = range.order === "ASC" ? 1 : -1;
    return rows.sort((a, b) => sign * (a.seq - b.seq)).slice(0, limit);
  };

  const once = (query: EventQuery, range: Range, limit: number): ListedSql[] => {
    if (query.status !== undefined) return byStatus(query, query.status, range, limit);
    const ref =
      query.mention !== undefined
        ? ["mention", mentionName(query.mention)]
        : query.tool !== undefined
          ? ["tool", query.tool.toLowerCase()]
          : null;
    if (ref) {
      const filter = eventFilter(query, "r.seq", range);
      const sql = `SELECT ${listed} FROM refs r CROSS JOIN events e ON e.seq = r.seq WHERE r.kind = ? AND r.value = ? ${filter.sql} ORDER BY r.seq ${range.order} LIMIT ?`;
      return prepare(sql).all(...ref, ...filter.values, limit) as ListedSql[];
    }
    if (query.agent !== undefined) {
      const filter = eventFilter(query, "d.seq", range);
      const sql = `SELECT ${listed} FROM deliveries d INDEXED BY deliveries_holder CROSS JOIN events e ON e.seq = d.seq WHERE d.claimed_by = ? ${filter.sql} ORDER BY d.seq ${range.order} LIMIT ?`;
      return prepare(sql).all(query.agent, ...filter.values, limit) as ListedSql[];
    }
    const filter = eventFilter(query, "e.seq", range);
    return prepare(
      `SELECT ${listed} FROM events e WHERE true ${filter.sql} ORDER BY e.seq ${range.order} LIMIT ?`,
    ).all(...filter.values, limit) as ListedSql[];
  };

  /** In steps of a window, so that a filter without an index never holds up the others. */
  const inWindows = async (query: EventQuery, whole: Range, limit: number): Promise<ListedSql[]> => {
    const rows: ListedSql[] = [];
    let { low, high } = whole;
    while (low <= high && rows.length < limit) {
      const part =
        whole.order === "ASC"
          ? { low, high: Math.min(high, low + WINDOW - 1) }
          : { low: Math.max(low, high - WINDOW + 1), high };
      rows.push(...once(query, { ...part, order: whole.order }, limit - rows.length));
      if (whole.order === "ASC") low = part.high + 1;
      else high = part.low - 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return rows;
  };

  return {
    async findEvents(query) {
      const range = await seqRange(query, context.memory.lastSeq, seqBefore);
      if (range.low > range.high) return [];
      const indexed =
        query.status ??
        query.mention ??
        query.tool ??
        query.agent ??
        query.type ??
        query.source ??
        query.topic ??
        query.correlation_id ??
        query.conversation_key ??
        query.parent_id;
      const scans = indexed === undefined && (query.subject !== undefined || query.scope !== undefined);
      const rows = scans
        ? await inWindows(query, range, query.limit + 1)
        : once(query, range, query.limit + 1);
      return rows.map(toListed);
    },
    searchEvents: (query) => search(context, prepare, indexer, query),
  };
}

interface Range {
  low: number;
  high: number;
  order: "ASC" | "DESC";
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

/** All of a query's conditions that are columns of the event, for any driving table. */
function eventFilter(query: EventQuery, seq: string, range: Range): { sql: string; values: unknown[] } {
  const parts = [`${seq} BETWEEN ? AND ?`];
  const values: unknown[] = [range.low, range.high];
  for (const column of ["topic", "source", "type", "conversation_key", "parent_id", "scope"] as const) {
    const value = query[column];
    if (value === undefined) continue;
    parts.push(`e.${column} = ?`);
    values.push(value);
  }
  if (query.correlation_id !== undefined) {
    // A reply carries the id of the event it answers when that has no correlation of its own.
    parts.push("(e.correlation_id = ? OR e.id = ?)");
    values.push(query.correlation_id, query.correlation_id);
  }
  if (query.subject !== undefined) {
    parts.push("e.subject GLOB ?", "subject_matches(?, e.subject)");
    values.push(subjectGlob(query.subject), query.subject);
  }
  if (query.agent !== undefined && !seq.startsWith("d.")) {
    parts.push(`EXISTS (SELECT 1 FROM deliveries x WHERE x.seq = e.seq AND x.claimed_by = ?)`);
    values.push(query.agent);
  }
  if (query.mention !== undefined && !seq.startsWith("r.")) {
    parts.push("EXISTS (SELECT 1 FROM refs x WHERE x.kind = 'mention' AND x.value = ? AND x.seq = e.seq)");
    values.push(mentionName(query.mention));
  }
  if (query.tool !== undefined && (!seq.startsWith("r.") || query.mention !== undefined)) {
    parts.push("EXISTS (SELECT 1 FROM refs x WHERE x.kind = 'tool' AND x.value = ? AND x.seq = e.seq)");
    values.push(query.tool.toLowerCase());
  }
  return { sql: parts.map((part) => `AND ${part}`).join(" "), values };
}

/** Cheap first test before the exact one. */
function subjectGlob(pattern: string): string {
  return pattern.replace(/[[\]?]/g, (char) => `[${char}]`).replace(/>$/, "*");
}

/** `@Name` and `name` mean the same. */
export function mentionName(text: string): string {
  return text.replace(/^@/, "").toLowerCase();
}

async function search(
  context: SqliteContext,
  prepare: Prepare,
  indexer: Indexer,
  query: SearchQuery,
): Promise<ListedEvent[]> {
  const expression = searchExpression(query.text);
  if (expression === null)
    throw new SignalboxError("invalid_request", "the search has no letters or digits in it");
  indexer.catchUp();
  const ranked = query.order === "ranked";
  const values: unknown[] = [expression, query.before ?? Number.MAX_SAFE_INTEGER];
  const filters: string[] = [];
  for (const column of ["topic", "type", "source"] as const) {
    if (query[column] === undefined) continue;
    filters.push(`AND e.${column} = ?`);
    values.push(query[column]);
  }
  if (query.status !== undefined) {
    filters.push(
      `AND EXISTS (SELECT 1 FROM deliveries x WHERE x.seq = e.seq AND x.grp = '${DEFAULT_GROUP}' AND x.status = ?)`,
    );
    values.push(query.status);
  }
  const sql = `SELECT ${listed} FROM events_text t CROSS JOIN events e ON e.seq = t.rowid
    WHERE events_text MATCH ? AND t.rowid < ? ${filters.join(" ")} ORDER BY t.rowid DESC LIMIT ?`;
  const rows = prepare(sql).all(...values, ranked ? RANKED : query.limit + 1) as ListedSql[];
  const found = rows.map(toListed);
  if (!ranked) return found;
  const words = searchWords(query.text);
  return found
    .map((event) => ({ event, score: rankScore(searchText(event), words) }))
    .sort((a, b) => b.score - a.score || b.event.seq - a.event.seq)
    .slice(0, query.limit)
    .map(({ event }) => event);
}

type Prepare = (sql: string) => Database.Statement;

function statementCache(db: Database.Database): Prepare {
  const cache = new Map<string, Database.Statement>();
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

/**
 * Fills the full text behind the commits, in larger transactions than theirs: that is several times cheaper, and a
 * search first catches up, so nobody sees the difference.
 */
export class Indexer {
  readonly #db: Database.Database;
  readonly #next: Database.Statement<[number, number], EventSql>;
  readonly #insert: Database.Statement;
  readonly #save: Database.Statement;
  #indexed: number;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#next = db.prepare(`SELECT ${eventColumns} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`);
    this.#insert = db.prepare("INSERT INTO events_text (rowid, text) VALUES (?, ?)");
    this.#save = db.prepare(
      "INSERT INTO meta (key, value) VALUES ('indexed_seq', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    );
    const row = db.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'indexed_seq'").get();
    this.#indexed = row ? Number(row.value) : 0;
  }

  get indexedSeq(): number {
    return this.#indexed;
  }

  /** Indexes one batch; false when there is nothing left. */
  step(): boolean {
    const rows = this.#next.all(this.#indexed, INDEX_BATCH);
    const last = rows.at(-1);
    if (!last) return false;
    this.#db
      .transaction(() => {
        for (const row of rows) this.#insert.run(row.seq, searchText(toEvent(row)));
        this.#save.run(String(last.seq));
      })
      .immediate();
    this.#indexed = last.seq;
    return rows.length === INDEX_BATCH;
  }

  catchUp(): void {
    while (this.step());
  }
}
