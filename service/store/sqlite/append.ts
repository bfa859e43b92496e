import { SignalboxError } from "../../contract/errors.ts";
import type { Event } from "../../contract/events.ts";
import { canonicalJson } from "../../lib/canonical.ts";
import { type Appended, DEFAULT_GROUP, type EventDraft } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext, Step } from "./context.ts";
import { type EventSql, eventColumns, toEvent } from "./rows.ts";
import { eventSum } from "./sums.ts";
import type { Topics } from "./topics.ts";

/** Inserts inside a running transaction; the other files record the events of their changes by it. */
export type AppendOne = Step<EventDraft, Appended>;

export function createAppend(context: SqliteContext, topics: Topics): AppendOne {
  const { db, memory } = context;
  const statements = prepare(context);
  const known = createKnown(context);
  const enqueue = createEnqueue(context, topics);
  const insert = db.prepare(
    `INSERT INTO events (${eventColumns}) VALUES (${eventColumns.replace(/\w+/g, "?")})`,
  );
  return (draft, changes) => {
    const first = draft.external_id === null ? null : known(draft, draft.external_id);
    if (first) return { event: first, duplicate: true };
    const now = context.nowMs();
    memory.lastSeq += 1;
    memory.lastRecordedMs = Math.max(memory.lastRecordedMs, now);
    const event = toPlaced(draft, memory.lastSeq, memory.lastRecordedMs);
    const row: Omit<EventSql, "sum"> = {
      ...event,
      payload: draft.payload_json,
      meta: draft.meta_json,
      parked: event.parked ? 1 : 0,
    };
    insert.run(
      row.seq,
      row.id,
      row.schema_version,
      row.type,
      row.source,
      row.subject,
      row.topic,
      row.time_ms,
      row.recorded_ms,
      row.body,
      row.payload,
      row.meta,
      row.conversation_key,
      row.user_key,
      row.correlation_id,
      row.parent_id,
      row.external_id,
      row.scope,
      row.origin_kind,
      row.depth,
      row.parked,
      eventSum(row),
    );
    changes.count("", "events", 1);
    if (draft.raw !== undefined) {
      statements.insertRaw.run(event.seq, JSON.stringify(draft.raw), event.recorded_ms);
    }
    for (const ref of draft.refs) statements.insertRef.run(event.seq, ref.kind, ref.value);
    if (event.topic !== null) enqueue(event.seq, event.topic, draft, now, changes);
    changes.events.push(event);
    return { event, duplicate: false };
  };
}

function prepare({ db }: SqliteContext) {
  return {
    insertRaw: db.prepare("INSERT INTO raws (seq, raw, recorded_ms) VALUES (?, ?, ?)"),
    insertRef: db.prepare("INSERT OR IGNORE INTO refs (seq, kind, value) VALUES (?, ?, ?)"),
  };
}

function createEnqueue({ db, memory }: SqliteContext, topics: Topics) {
  const insert = db.prepare(
    `INSERT INTO deliveries (seq, grp, topic, status, not_before_ms) VALUES (?, '${DEFAULT_GROUP}', ?, ?, ?)`,
  );
  const insertFinished = db.prepare(
    `INSERT INTO deliveries (seq, grp, topic, status, finished_ms) VALUES (?, '${DEFAULT_GROUP}', ?, ?, ?)`,
  );
  return (
    seq: number,
    topic: string,
    { not_before_ms, finished }: Pick<EventDraft, "not_before_ms" | "finished">,
    now_ms: number,
    changes: Changes,
  ): void => {
    topics.ensure(topic, now_ms);
    if (finished !== null) {
      insertFinished.run(seq, topic, finished, now_ms);
      changes.count(topic, finished, 1);
      return;
    }
    if (not_before_ms === null || not_before_ms <= now_ms) {
      insert.run(seq, topic, "pending", null);
      changes.count(topic, "pending", 1);
      changes.topics.add(topic);
      return;
    }
    insert.run(seq, topic, "delayed", not_before_ms);
    changes.count(topic, "delayed", 1);
    changes.dueAt(not_before_ms);
    memory.dueAt(not_before_ms);
  };
}

/** The event that came before under the same foreign id of the same source, or is the one that the foreign id names. */
function createKnown({ db }: SqliteContext) {
  const byExternal = db.prepare<[string, string], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE source = ? AND external_id = ?`,
  );
  // What was exported from this log carries its own ids.
  const byId = db.prepare<[string, string], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE id = ? AND source = ?`,
  );
  return (draft: EventDraft, external_id: string): Event | null => {
    const row =
      byExternal.get(draft.source, external_id) ??
      (external_id.startsWith("evt_") ? byId.get(external_id, draft.source) : undefined);
    if (!row) return null;
    const event = toEvent(row);
    if (draft.strict && contentOf(event) !== contentOf(draft)) {
      throw new SignalboxError(
        "idempotency_conflict",
        `the key ${external_id} was used for ${event.id} with other content`,
      );
    }
    return event;
  };
}

/** What the caller says, without what the log adds; the order of keys makes no difference. */
function contentOf(of: Event | EventDraft): string {
  const { type, subject, topic, body, payload, meta, conversation_key, user_key, scope } = of;
  return canonicalJson([type, subject, topic, body, payload, meta, conversation_key, user_key, scope]);
}

function toPlaced(draft: EventDraft, seq: number, recorded_ms: number): Event {
  return {
    id: draft.id,
    seq,
    schema_version: draft.schema_version,
    type: draft.type,
    source: draft.source,
    subject: draft.subject,
    topic: draft.topic,
    time_ms: draft.time_ms,
    recorded_ms,
    body: draft.body,
    payload: draft.payload,
    meta: draft.meta,
    conversation_key: draft.conversation_key,
    user_key: draft.user_key,
    correlation_id: draft.correlation_id,
    parent_id: draft.parent_id,
    external_id: draft.external_id,
    scope: draft.scope,
    origin_kind: draft.origin_kind,
    depth: draft.depth,
    parked: draft.parked,
  };
}
