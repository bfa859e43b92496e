import type { Event } from "../../contract/events.ts";
import { decideExpiry } from "../decisions.ts";
import { type EventDraft, laneOf, type Store } from "../store.ts";
import type { AppendOne } from "./append.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import { createMove } from "./deliveries.ts";
import { type DeliverySql, type EventSql, eventColumns, toEvent, toStatus } from "./rows.ts";
import type { Topics } from "./topics.ts";

/** Makes the event that tells of a dead letter. */
export type DescribeDead = (event: Event, topic: string, attempts: number, error: string) => EventDraft;

/** Records the event that tells of a dead letter. */
export type Bury = (row: DeliverySql, error: string, changes: Changes) => void;

export interface Sweep {
  /** Whether a lease has run out or a delayed delivery is due. Costs nothing. */
  isDue(now_ms: number): boolean;
  /** Inside a write: one batch of both. True when there may be more. */
  run(now_ms: number, changes: Changes): boolean;
}

const BATCH = 500;

export function createBury({ db }: SqliteContext, append: AppendOne, describeDead: DescribeDead): Bury {
  const bySeq = db.prepare<[number], EventSql>(`SELECT ${eventColumns} FROM events WHERE seq = ?`);
  return (row, error, changes) => {
    const event = bySeq.get(row.seq);
    if (event) append(describeDead(toEvent(event), row.topic, row.attempts, error), changes);
  };
}

export function createSweep(context: SqliteContext, topics: Topics, bury: Bury): Sweep {
  const { db, memory } = context;
  const move = createMove(context);
  const lapsed = db.prepare<[number, number], DeliverySql>(
    "SELECT * FROM deliveries WHERE status = 'processing' AND lease_until_ms <= ? ORDER BY lease_until_ms LIMIT ?",
  );
  const ready = db.prepare<[number, number], DeliverySql>(
    "SELECT * FROM deliveries WHERE status = 'delayed' AND not_before_ms <= ? ORDER BY not_before_ms LIMIT ?",
  );
  const promote = db.prepare<[number, string]>(
    "UPDATE deliveries SET status = 'pending' WHERE seq = ? AND grp = ?",
  );
  const next = nextDelivery(context);

  const expire = (row: DeliverySql, now_ms: number, changes: Changes): void => {
    const state = { ...row, status: toStatus(row.status) };
    const step = decideExpiry(state, topics.require(row.topic));
    const after = move(row, step, now_ms, changes);
    if (step.finished) bury(after, step.error ?? "", changes);
  };
  return {
    isDue: (now_ms) => memory.dueMs !== null && memory.dueMs <= now_ms,
    run(now_ms, changes) {
      const due = ready.all(now_ms, BATCH);
      for (const row of due) {
        promote.run(row.seq, row.grp);
        changes.count(row.topic, "delayed", -1);
        changes.count(row.topic, "pending", 1);
        changes.topics.add(row.topic);
      }
      const over = lapsed.all(now_ms, BATCH);
      for (const row of over) expire(row, now_ms, changes);
      memory.dueMs = next();
      return due.length === BATCH || over.length === BATCH;
    },
  };
}

/** When a lease ends or a delayed delivery is due next. */
export function nextDelivery({ db }: Pick<SqliteContext, "db">): () => number | null {
  const lease = db
    .prepare<[], number | null>("SELECT min(lease_until_ms) FROM deliveries WHERE status = 'processing'")
    .pluck();
  const delay = db
    .prepare<[], number | null>("SELECT min(not_before_ms) FROM deliveries WHERE status = 'delayed'")
    .pluck();
  return () => smallest([lease.get() ?? null, delay.get() ?? null]);
}

export function dueMethods(context: SqliteContext, sweep: Sweep): Pick<Store, "promoteDue" | "nextDue"> {
  const { db, committer } = context;
  const delivery = nextDelivery(context);
  const effects = [
    "SELECT min(lease_until_ms) FROM effects WHERE state = 'running'",
    "SELECT min(expires_ms) FROM effects WHERE state IN ('approved', 'waiting') AND expires_ms IS NOT NULL",
    "SELECT min(not_before_ms) FROM effects WHERE state = 'approved' AND not_before_ms IS NOT NULL",
  ].map((sql) => db.prepare<[], number | null>(sql).pluck());
  // Its time is taken off, or it would stay the next thing due until somebody carries it out.
  const ready = db.prepare<[number], { kind: string; target: string }>(
    "UPDATE effects SET not_before_ms = NULL WHERE state = 'approved' AND not_before_ms <= ? RETURNING kind, target",
  );
  const free = (now_ms: number, changes: Changes) => {
    for (const effect of ready.all(now_ms)) changes.targets.add(laneOf(effect));
  };
  return {
    async promoteDue(now_ms) {
      await committer.write((changes) => free(now_ms, changes));
      while (await committer.write((changes) => sweep.run(now_ms, changes)));
    },
    nextDue: () => smallest([delivery(), ...effects.map((one) => one.get() ?? null)]),
  };
}

function smallest(times: (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}
