import type { Json } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Event } from "../../contract/events.ts";
import { type Appended, DEFAULT_GROUP, type EventDraft, type Store } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import { type DeliverySql, type EventSql, eventColumns, toDelivery, toEvent } from "./rows.ts";

export interface TopicDefaults {
  lease_ms: number;
  max_attempts: number;
}

/** Inserts inside a running transaction; the other files record the events of their changes by it. */
export type AppendOne = (draft: EventDraft, changes: Changes) => Appended;

export function createAppend(
  context: SqliteContext,
  defaults: TopicDefaults,
  nowMs: () => number,
): AppendOne {
  const { db, memory } = context;
  const insertEvent = db.prepare(
    `INSERT INTO events (${eventColumns}) VALUES (${eventColumns.replace(/\w+/g, "?")})`,
  );
  const insertRaw = db.prepare("INSERT INTO raws (seq, raw, recorded_ms) VALUES (?, ?, ?)");
  const insertRef = db.prepare("INSERT OR IGNORE INTO refs (kind, value, seq) VALUES (?, ?, ?)");
  const insertDelivery = db.prepare(
    "INSERT INTO deliveries (seq, grp, topic, status, not_before_ms) VALUES (?, ?, ?, 'pending', ?)",
  );
  const insertTopic = db.prepare(
    "INSERT OR IGNORE INTO topics (name, lease_ms, max_attempts, created_ms) VALUES (?, ?, ?, ?)",
  );
  const byId = db.prepare<[string], EventSql>(`SELECT ${eventColumns} FROM events WHERE id = ?`);
  const byExternal = db.prepare<[string, string], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE source = ? AND external_id = ?`,
  );

  const known = (draft: EventDraft): Event | null => {
    const row = draft.external_id === null ? undefined : byExternal.get(draft.source, draft.external_id);
    const same = row ?? (draft.external_id === null ? undefined : byId.get(draft.id));
    if (!same) return null;
    const event = toEvent(same);
    if (draft.strict && !sameContent(event, draft)) {
      throw new SignalboxError(
        "idempotency_conflict",
        `the key ${draft.external_id} was used for ${event.id} with other content`,
      );
    }
    return event;
  };

  return (draft, changes) => {
    const first = known(draft);
    if (first) return { event: first, duplicate: true };
    const now = nowMs();
    memory.lastSeq += 1;
    memory.lastRecordedMs = Math.max(memory.lastRecordedMs, now);
    const event = place(draft, memory.lastSeq, memory.lastRecordedMs);
    insertEvent.run(
      event.seq,
      event.id,
      event.schema_version,
      event.type,
      event.source,
      event.subject,
      event.topic,
      event.time_ms,
      event.recorded_ms,
      event.body,
      draft.payload_json,
      draft.meta_json,
      event.conversation_key,
      event.user_key,
      event.correlation_id,
      event.parent_id,
      event.external_id,
      event.scope,
      event.origin_kind,
      event.depth,
      event.parked ? 1 : 0,
    );
    changes.count("", "events", 1);
    if (draft.raw !== undefined) insertRaw.run(event.seq, JSON.stringify(draft.raw), event.recorded_ms);
    for (const ref of draft.refs) insertRef.run(ref.kind, ref.value, event.seq);
    if (event.topic !== null) {
      if (!memory.topics.has(event.topic)) {
        insertTopic.run(event.topic, defaults.lease_ms, defaults.max_attempts, now);
        memory.topics.add(event.topic);
      }
      const delayed = draft.not_before_ms !== null && draft.not_before_ms > now;
      insertDelivery.run(event.seq, DEFAULT_GROUP, event.topic, delayed ? draft.not_before_ms : null);
      changes.count(event.topic, "pending", 1);
      if (delayed && draft.not_before_ms !== null) changes.dueAt(draft.not_before_ms);
      else changes.topics.add(event.topic);
    }
    changes.events.push(event);
    return { event, duplicate: false };
  };
}

function place(draft: EventDraft, seq: number, recorded_ms: number): Event {
  const {
    raw: _raw,
    refs: _refs,
    not_before_ms: _due,
    strict: _strict,
    payload_json: _payload,
    meta_json: _meta,
    ...fields
  } = draft;
  return { ...fields, seq, recorded_ms };
}

function sameContent(event: Event, draft: EventDraft): boolean {
  const content = (of: Event | EventDraft) =>
    JSON.stringify([of.type, of.topic, of.body, of.payload, of.meta, of.conversation_key, of.user_key]);
  return content(event) === content(draft);
}

type EventMethods = Pick<
  Store,
  | "append"
  | "appendWithCursor"
  | "getEvent"
  | "getRaw"
  | "getDeliveries"
  | "getCaused"
  | "readLog"
  | "lastSeq"
  | "seqBefore"
  | "readCursor"
  | "saveCursor"
  | "readConnectorCursor"
>;

export function eventMethods(context: SqliteContext, append: AppendOne): EventMethods {
  const { db, committer, memory } = context;
  const byId = db.prepare<[string], EventSql>(`SELECT ${eventColumns} FROM events WHERE id = ?`);
  const raw = db.prepare<[string], { raw: string }>(
    "SELECT raw FROM raws WHERE seq = (SELECT seq FROM events WHERE id = ?)",
  );
  const deliveries = db.prepare<[string], DeliverySql>(
    "SELECT * FROM deliveries WHERE seq = (SELECT seq FROM events WHERE id = ?) ORDER BY grp",
  );
  const caused = db.prepare<[string], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE parent_id = ? ORDER BY seq LIMIT 200`,
  );
  const after = db.prepare<[number, number], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`,
  );
  const recordedAt = db.prepare<[number], { seq: number; recorded_ms: number }>(
    "SELECT seq, recorded_ms FROM events WHERE seq >= ? ORDER BY seq LIMIT 1",
  );
  const readCursor = db.prepare<[string], { cursor: number }>("SELECT cursor FROM consumers WHERE name = ?");
  const saveCursor = db.prepare(
    "INSERT INTO consumers (name, cursor, updated_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET cursor = max(cursor, excluded.cursor), updated_ms = excluded.updated_ms",
  );
  const readConnector = db.prepare<[string], { cursor: string }>(
    "SELECT cursor FROM connector_cursors WHERE connector = ?",
  );
  const saveConnector = db.prepare(
    "INSERT INTO connector_cursors (connector, cursor) VALUES (?, ?) ON CONFLICT (connector) DO UPDATE SET cursor = excluded.cursor",
  );

  return {
    append: (drafts) => committer.write((changes) => drafts.map((draft) => append(draft, changes))),
    appendWithCursor: (connector, drafts, cursor) =>
      committer.write((changes) => {
        saveConnector.run(connector, cursor);
        return drafts.map((draft) => append(draft, changes));
      }),
    async getEvent(id) {
      const row = byId.get(id);
      return row ? toEvent(row) : null;
    },
    async getRaw(id) {
      const row = raw.get(id);
      return row ? (JSON.parse(row.raw) as Json) : null;
    },
    getDeliveries: async (id) => deliveries.all(id).map(toDelivery),
    getCaused: async (id) => caused.all(id).map(toEvent),
    readLog: async (seq, limit) => after.all(seq, limit).map(toEvent),
    lastSeq: () => memory.lastSeq,
    // recorded_ms never falls as seq grows, so halving finds the place without an index.
    async seqBefore(recorded_ms) {
      let low = 0;
      let high = memory.lastSeq;
      while (low < high) {
        const middle = Math.floor((low + high + 1) / 2);
        const row = recordedAt.get(middle);
        if (row && row.recorded_ms < recorded_ms) low = row.seq;
        else high = middle - 1;
      }
      return low;
    },
    readCursor: async (consumer) => readCursor.get(consumer)?.cursor ?? null,
    saveCursor: (consumer, seq, now) => committer.write(() => void saveCursor.run(consumer, seq, now)),
    readConnectorCursor: async (connector) => readConnector.get(connector)?.cursor ?? null,
  };
}
