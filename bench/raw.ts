import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import type { NewEvent } from "../service/contract/events.ts";
import { findMentions, findToolCalls } from "../service/events/refs.ts";
import { newId } from "../service/lib/ids.ts";
import type { Closeable } from "../service/lib/scope.ts";
import { searchText } from "../service/store/search-text.ts";
import { IndexFile } from "../service/store/sqlite/index-file.ts";
import { migrate, readMigrations } from "../service/store/sqlite/migrate.ts";
import { indexedText } from "../service/store/sqlite/words.ts";

/** The same schema, filled by a program of a few prepared statements: the least that storing an event costs. */
export interface RawSqlite extends Closeable {
  readonly db: Database.Database;
  /** One transaction for all of them, with references and counters, and one for their words. */
  insert(events: readonly NewEvent[]): void;
  /** Oldest first, each step in a transaction of its own. Answers how many there were. */
  claimAndComplete(topic: string, limit: number, counted: boolean): number;
}

export function openRaw(file: string, durability: "normal" | "full" = "normal"): RawSqlite {
  mkdirSync(dirname(file), { recursive: true });
  const db = new Database(file);
  db.pragma("journal_mode = WAL");
  db.pragma(`synchronous = ${durability}`);
  db.pragma("foreign_keys = ON");
  db.pragma("cache_size = -32000");
  migrate(db, file, 0, readMigrations());
  const index = new IndexFile(`${file}.index`);
  return {
    db,
    insert: createInsert(db, index),
    claimAndComplete: createClaim(db),
    close() {
      db.close();
      index.close();
    },
  };
}

function createInsert(db: Database.Database, index: IndexFile): RawSqlite["insert"] {
  const event = db.prepare(
    `INSERT INTO events (id, schema_version, type, source, subject, topic, time_ms, recorded_ms, body, payload, meta,
       conversation_key, user_key, correlation_id, parent_id, external_id, scope, origin_kind, depth, parked)
     VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, ?, 'system', 0, 0)`,
  );
  const delivery = db.prepare(
    "INSERT INTO deliveries (seq, grp, topic, status) VALUES (?, 'default', ?, 'pending')",
  );
  const ref = db.prepare("INSERT INTO refs (seq, kind, value) VALUES (?, ?, ?)");
  const topics = db.prepare(
    "INSERT OR IGNORE INTO topics (name, lease_ms, max_attempts, created_ms) VALUES (?, 600000, 5, ?)",
  );
  const count = prepareCount(db);
  const known = new Set<string>();
  const record = db.transaction((events: readonly NewEvent[]) => {
    const counts = new Map<string, number>();
    const words: [seq: number, text: string, subject: string][] = [];
    for (const given of events) {
      const now = Date.now();
      const {
        type = "message.pushed",
        source = "api",
        topic = null,
        body = null,
        payload = {},
        meta = {},
      } = given;
      const values = [newId("evt"), type, source, `topics.${topic}`, topic, now, now, body];
      const more = [JSON.stringify(payload), JSON.stringify(meta), given.conversation_key, given.scope];
      const seq = Number(event.run(...values, ...more).lastInsertRowid);
      const refs = [...findMentions(body, undefined), ...findToolCalls(body, meta, given.tool_calls ?? [])];
      for (const { kind, value } of refs) ref.run(seq, kind, value);
      const { conversation_key = null, scope = null } = given;
      const keys = { type, source, subject: `topics.${topic}`, topic, conversation_key, scope };
      const none = { parent_id: null, correlation_id: null };
      const text = indexedText(searchText({ type, body, payload }), { ...keys, ...none }, refs);
      words.push([seq, text, keys.subject]);
      if (topic === null) continue;
      if (!known.has(topic)) topics.run(topic, now);
      known.add(topic);
      delivery.run(seq, topic);
      counts.set(topic, (counts.get(topic) ?? 0) + 1);
    }
    count.run("", "events", events.length);
    for (const [topic, by] of counts) count.run(topic, "pending", by);
    return words;
  });
  return (events) => {
    const words = record(events);
    index.write(() => {
      const subjects = new Map<string, number>();
      for (const [seq, text, subject] of words) {
        index.insert(seq, text);
        subjects.set(subject, (subjects.get(subject) ?? 0) + 1);
      }
      for (const [subject, by] of subjects) index.countSubject(subject, by);
    });
  };
}

function createClaim(db: Database.Database): RawSqlite["claimAndComplete"] {
  const take = db.prepare<unknown[], { seq: number }>(
    `UPDATE deliveries SET status = 'processing', claimed_by = '@raw', lease = ?, lease_until_ms = ?, attempts = attempts + 1
     WHERE grp = 'default' AND seq IN (
       SELECT seq FROM deliveries WHERE status = 'pending' AND topic = ? AND grp = 'default' ORDER BY seq LIMIT ?)
     RETURNING seq`,
  );
  const read = db.prepare<unknown[], { payload: string; meta: string }>("SELECT * FROM events WHERE seq = ?");
  const complete = db.prepare(
    `UPDATE deliveries SET status = 'completed', lease = NULL, lease_until_ms = NULL, finished_ms = ?
     WHERE seq = ? AND grp = 'default' AND status = 'processing' AND lease = ?`,
  );
  const count = prepareCount(db);
  const claim = db.transaction((topic: string, limit: number, lease: string, counted: boolean) => {
    const seqs = take.all(lease, Date.now() + 600_000, topic, limit).map((row) => row.seq);
    for (const seq of seqs) {
      const row = read.get(seq);
      if (!row) throw new Error(`delivery ${seq} has no event`);
      JSON.parse(row.payload);
      JSON.parse(row.meta);
    }
    if (counted) move(topic, "pending", "processing", seqs.length);
    return seqs;
  });
  const finish = db.transaction((topic: string, seqs: number[], lease: string, counted: boolean) => {
    for (const seq of seqs) complete.run(Date.now(), seq, lease);
    if (counted) move(topic, "processing", "completed", seqs.length);
  });
  function move(topic: string, from: string, to: string, by: number): void {
    count.run(topic, from, -by);
    count.run(topic, to, by);
  }
  return (topic, limit, counted) => {
    const lease = newId("lea");
    const seqs = claim(topic, limit, lease, counted);
    if (seqs.length > 0) finish(topic, seqs, lease, counted);
    return seqs.length;
  };
}

function prepareCount(db: Database.Database) {
  return db.prepare<[string, string, number]>(
    "INSERT INTO counts (topic, status, n) VALUES (?, ?, ?) ON CONFLICT (topic, status) DO UPDATE SET n = n + excluded.n",
  );
}
