import { setImmediate as nextTurn } from "node:timers/promises";
import { isPastRetention } from "../decisions.ts";
import { type CleanupRequest, DEFAULT_GROUP, type Store } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import { createSeqBefore } from "./events.ts";
import type { Index } from "./routes.ts";
import { type StoredStatus, toStatus } from "./rows.ts";

type Removed = Awaited<ReturnType<Store["cleanup"]>>;

interface Candidate {
  seq: number;
  id: string;
  subject: string;
  topic: string | null;
  recorded_ms: number;
  status: StoredStatus | null;
  not_before_ms: number | null;
  finished_ms: number | null;
}

/** Events looked at in one transaction. */
const WINDOW = 1_000;
/** A consumer that was not seen for so long is taken for gone, and what it has not read no longer waits for it. */
const CONSUMER_GONE_MS = 90 * 24 * 3_600_000;

/**
 * Walks the log from its beginning, a window a call, and removes what is past its retention with all that hangs on
 * it. Never what somebody holds or still has to see: claimed events, those of open runs and effects, and those a
 * durable consumer has not read.
 */
export function cleanupMethods(context: SqliteContext, index: Index): Pick<Store, "cleanup"> {
  const { committer } = context;
  const pass = openPass(context);
  const removal = openRemoval(context);
  let reached = 0;

  const dryRun = async (request: CleanupRequest): Promise<Removed> => {
    const total: Removed = {
      events: 0,
      raw: removal.countRaw(request),
      runs: removal.countRuns(request),
      effects: removal.countEffects(request),
      more: false,
    };
    for (let after = 0, ended = false; !ended; ) {
      const part = pass.look(request, after, WINDOW);
      total.events += part.past.length;
      for (const event of part.past) {
        total.runs += removal.countRunsOf(event.id);
        total.effects += removal.countEffectsOf(event.id);
      }
      after = part.reached;
      ended = part.ended;
      await nextTurn();
    }
    return total;
  };
  return {
    async cleanup(request) {
      if (request.dry_run) return dryRun(request);
      const { past, ...removed } = await committer.writeAlone((changes) => {
        const part = pass.look(request, reached, request.batch);
        const done = removal.run(part.past, request, changes);
        reached = part.ended ? 0 : part.reached;
        return { ...done, more: !part.ended || done.more, past: part.past };
      });
      index.indexer.remove(past);
      return removed;
    },
  };
}

/** Finds what is past its retention, a window after a `seq`. */
function openPass(context: SqliteContext) {
  const { db, memory } = context;
  const window = db.prepare<[number, number, number], Candidate>(
    `SELECT e.seq, e.id, e.subject, e.topic, e.recorded_ms, d.status, d.not_before_ms, d.finished_ms
     FROM events e LEFT JOIN deliveries d ON d.seq = e.seq AND d.grp = '${DEFAULT_GROUP}'
     WHERE e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT ?`,
  );
  const topics = db.prepare<[], { name: string; retention_ms: number | null; pending_ttl_ms: number | null }>(
    "SELECT name, retention_ms, pending_ttl_ms FROM topics",
  );
  const unread = db
    .prepare<[number], number | null>("SELECT min(cursor) FROM consumers WHERE updated_ms >= ?")
    .pluck();
  const isOpen = openWork(context);
  return {
    look(request: CleanupRequest, after: number, most: number) {
      const rules = new Map(topics.all().map((topic) => [topic.name, topic]));
      const last = unread.get(request.now_ms - CONSUMER_GONE_MS) ?? memory.lastSeq;
      const rows = window.all(after, last, WINDOW);
      const past: Candidate[] = [];
      let reached = after;
      for (const row of rows) {
        if (past.length >= most) break;
        reached = row.seq;
        const event = { ...row, status: row.status === null ? null : toStatus(row.status) };
        const topic = row.topic === null ? undefined : rules.get(row.topic);
        if (isPastRetention(event, topic, request) && !isOpen(row.id)) past.push(row);
      }
      return { past, reached, ended: rows.length < WINDOW && reached === (rows.at(-1)?.seq ?? after) };
    },
  };
}

function openWork({ db }: SqliteContext): (event_id: string) => boolean {
  const run = db.prepare<[string]>(
    "SELECT 1 FROM runs WHERE event_id = ? AND status IN ('queued', 'running', 'waiting') LIMIT 1",
  );
  const effect = db.prepare<[string]>(
    "SELECT 1 FROM effects WHERE event_id = ? AND state IN ('proposed', 'waiting', 'approved', 'running', 'unknown') LIMIT 1",
  );
  return (event_id) => run.get(event_id) !== undefined || effect.get(event_id) !== undefined;
}

const OVER = "state IN ('succeeded', 'failed', 'denied', 'expired', 'skipped')";
const OLD_RUNS = "finished_ms < ? AND event_id IS NULL";
const OLD_EFFECTS = `${OVER} AND event_id IS NULL AND updated_ms < ?`;

function openRemoval({ db, memory }: SqliteContext) {
  const seqBefore = createSeqBefore({ db, memory });
  const runsOf = db.prepare<[string]>("DELETE FROM runs WHERE event_id = ?");
  const effectsOf = db.prepare<[string]>("DELETE FROM effects WHERE event_id = ?");
  // References, raw messages and deliveries go with it (ON DELETE CASCADE).
  const event = db.prepare<[number]>("DELETE FROM events WHERE seq = ?");
  const raw = db.prepare<[number, number]>(
    "DELETE FROM raws WHERE seq IN (SELECT seq FROM raws WHERE seq <= ? ORDER BY seq LIMIT ?)",
  );
  const runs = db.prepare<[number, number]>(
    `DELETE FROM runs WHERE run_id IN (SELECT run_id FROM runs WHERE ${OLD_RUNS} LIMIT ?)`,
  );
  const effects = db.prepare<[number, number]>(
    `DELETE FROM effects WHERE id IN (SELECT id FROM effects WHERE ${OLD_EFFECTS} LIMIT ?)`,
  );
  const floor = db.prepare<[string]>(
    "INSERT INTO meta (key, value) VALUES ('seq_floor', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );
  const counted = (sql: string) => db.prepare<[number | string], number>(sql).pluck();
  const counts = {
    raw: counted("SELECT count(*) FROM raws WHERE seq <= ?"),
    runs: counted(`SELECT count(*) FROM runs WHERE ${OLD_RUNS}`),
    effects: counted(`SELECT count(*) FROM effects WHERE ${OLD_EFFECTS}`),
    runsOf: counted("SELECT count(*) FROM runs WHERE event_id = ?"),
    effectsOf: counted("SELECT count(*) FROM effects WHERE event_id = ?"),
  };
  return {
    run(past: Candidate[], request: CleanupRequest, changes: Changes): Removed {
      const removed = {
        raw: raw.run(seqBefore(request.raw_before_ms), request.batch).changes,
        runs: runs.run(request.completed_before_ms, request.batch).changes,
        effects: effects.run(request.completed_before_ms, request.batch).changes,
      };
      const more = Object.values(removed).includes(request.batch);
      for (const row of past) {
        removed.runs += runsOf.run(row.id).changes;
        removed.effects += effectsOf.run(row.id).changes;
        event.run(row.seq);
        changes.count("", "events", -1);
        if (row.topic !== null && row.status !== null) changes.count(row.topic, row.status, -1);
      }
      // The place of a removed event is never given to another one, also after a restart.
      if (past.length > 0) floor.run(String(memory.lastSeq));
      return { ...removed, events: past.length, more };
    },
    countRaw: (request: CleanupRequest) => counts.raw.get(seqBefore(request.raw_before_ms)) ?? 0,
    countRuns: (request: CleanupRequest) => counts.runs.get(request.completed_before_ms) ?? 0,
    countEffects: (request: CleanupRequest) => counts.effects.get(request.completed_before_ms) ?? 0,
    countRunsOf: (event_id: string) => counts.runsOf.get(event_id) ?? 0,
    countEffectsOf: (event_id: string) => counts.effectsOf.get(event_id) ?? 0,
  };
}
