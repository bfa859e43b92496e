import { SignalboxError } from "../../contract/errors.ts";
import type { DeliveryStatus, Event } from "../../contract/events.ts";
import type { Topic, TopicSettings } from "../../contract/topics.ts";
import { newId } from "../../lib/ids.ts";
import { type DeliveryStep, decideExpiry, decideSettlement } from "../decisions.ts";
import {
  type ClaimedEvent,
  type ClaimRequest,
  DEFAULT_GROUP,
  type EventDraft,
  type SettleRequest,
  type Store,
} from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import type { AppendOne, TopicDefaults } from "./events.ts";
import {
  type DeliverySql,
  type EventSql,
  eventColumns,
  eventColumnsOf,
  toDelivery,
  toEvent,
} from "./rows.ts";

/** Makes the event that tells of a dead letter. */
export type DescribeDead = (event: Event, topic: string, attempts: number, error: string) => EventDraft;

interface TopicSql extends Omit<TopicSettings, "paused" | "allow"> {
  name: string;
  paused: number;
  allow: string;
  created_ms: number;
}

type QueueMethods = Pick<
  Store,
  | "listTopics"
  | "getTopic"
  | "saveTopic"
  | "claim"
  | "peek"
  | "settle"
  | "purge"
  | "redrive"
  | "promoteDue"
  | "nextDue"
>;

export function queueMethods(
  context: SqliteContext,
  append: AppendOne,
  defaults: TopicDefaults,
  describeDead: DescribeDead,
): QueueMethods {
  const topics = topicMethods(context, defaults);
  const steps = stepMethods(context, append, topics.require, describeDead);
  return {
    ...topics.methods,
    ...claimMethods(context, topics.require),
    ...steps.methods,
    ...endMethods(context),
  };
}

/** Statements for topics' settings and counts. */
function topicMethods(context: SqliteContext, defaults: TopicDefaults) {
  const { db, committer, memory } = context;
  const one = db.prepare<[string], TopicSql>("SELECT * FROM topics WHERE name = ?");
  const all = db.prepare<[], TopicSql>("SELECT * FROM topics ORDER BY name");
  const counts = db.prepare<[string], { status: DeliveryStatus; n: number }>(
    "SELECT status, n FROM counts WHERE topic = ?",
  );
  const delayed = db.prepare<[string], { n: number }>(
    "SELECT count(*) AS n FROM deliveries WHERE topic = ? AND status = 'pending' AND not_before_ms IS NOT NULL",
  );
  const upsert = db.prepare(
    `INSERT INTO topics (name, prompt, lease_ms, max_attempts, retention_ms, pending_ttl_ms, paused, allow, created_ms)
     VALUES (@name, @prompt, @lease_ms, @max_attempts, @retention_ms, @pending_ttl_ms, @paused, @allow, @created_ms)
     ON CONFLICT (name) DO UPDATE SET prompt = excluded.prompt, lease_ms = excluded.lease_ms,
       max_attempts = excluded.max_attempts, retention_ms = excluded.retention_ms,
       pending_ttl_ms = excluded.pending_ttl_ms, paused = excluded.paused, allow = excluded.allow`,
  );

  const toTopic = (row: TopicSql): Topic => {
    const tally = { pending: 0, delayed: 0, processing: 0, completed: 0, failed: 0, dead: 0 };
    for (const { status, n } of counts.all(row.name)) tally[status] = n;
    if (tally.pending > 0) tally.delayed = delayed.get(row.name)?.n ?? 0;
    return { ...row, paused: row.paused === 1, allow: JSON.parse(row.allow) as string[], counts: tally };
  };
  const require = (name: string): TopicSql => {
    const row = one.get(name);
    if (!row)
      throw new SignalboxError("not_found", `there is no topic ${name}`, {
        hint: "`signalbox topics list` shows those there are; pushing to a topic creates it.",
      });
    return row;
  };
  const methods: Pick<Store, "listTopics" | "getTopic" | "saveTopic"> = {
    listTopics: async () => all.all().map(toTopic),
    async getTopic(name) {
      const row = one.get(name);
      return row ? toTopic(row) : null;
    },
    saveTopic: (name, patch, now_ms) =>
      committer.write((changes) => {
        const before = one.get(name);
        const base = before ?? {
          name,
          prompt: null,
          ...defaults,
          retention_ms: null,
          pending_ttl_ms: null,
          paused: 0,
          allow: "[]",
          created_ms: now_ms,
        };
        const paused = patch.paused === undefined ? base.paused : Number(patch.paused);
        const allow = patch.allow === undefined ? base.allow : JSON.stringify(patch.allow);
        upsert.run({ ...base, ...patch, paused, allow });
        memory.topics.add(name);
        changes.topics.add(name);
        return toTopic(require(name));
      }),
  };
  return { methods, require };
}

function claimMethods(
  context: SqliteContext,
  require: (name: string) => TopicSql,
): Pick<Store, "claim" | "peek"> {
  const { db, committer } = context;
  const take = db.prepare<
    [string, string, number, string, string, number],
    { seq: number; attempts: number }
  >(
    `UPDATE deliveries SET status = 'processing', claimed_by = ?, lease = ?, lease_until_ms = ?, attempts = attempts + 1
     WHERE grp = '${DEFAULT_GROUP}' AND seq IN (
       SELECT seq FROM deliveries WHERE topic = ? AND grp = ? AND status = 'pending' AND not_before_ms IS NULL ORDER BY seq LIMIT ?)
     RETURNING seq, attempts`,
  );
  const bySeq = db.prepare<[number], EventSql>(`SELECT ${eventColumns} FROM events WHERE seq = ?`);
  const waiting = db.prepare<[string, number], EventSql>(
    `SELECT ${eventColumnsOf("e")} FROM deliveries d CROSS JOIN events e ON e.seq = d.seq
     WHERE d.topic = ? AND d.grp = '${DEFAULT_GROUP}' AND d.status = 'pending' AND d.not_before_ms IS NULL ORDER BY d.seq LIMIT ?`,
  );

  const claimNow = (request: ClaimRequest, changes: Changes): ClaimedEvent[] => {
    const topic = require(request.topic);
    const allow = JSON.parse(topic.allow) as string[];
    if (allow.length > 0 && !allow.includes(request.agent)) {
      throw new SignalboxError("forbidden", `${request.agent} may not claim from ${topic.name}`, {
        hint: `Allowed: ${allow.join(", ")}.`,
      });
    }
    if (topic.paused === 1) return [];
    const lease = newId("lea");
    const lease_until_ms = request.now_ms + (request.lease_ms ?? topic.lease_ms);
    const rows = take.all(request.agent, lease, lease_until_ms, topic.name, DEFAULT_GROUP, request.limit);
    if (rows.length === 0) return [];
    changes.count(topic.name, "pending", -rows.length);
    changes.count(topic.name, "processing", rows.length);
    changes.dueAt(lease_until_ms);
    return rows
      .sort((a, b) => a.seq - b.seq)
      .flatMap(({ seq, attempts }) => {
        const row = bySeq.get(seq);
        return row ? [{ event: toEvent(row), lease, lease_until_ms, attempt: attempts }] : [];
      });
  };
  return {
    claim: (request) => committer.write((changes) => claimNow(request, changes)),
    async peek(topic, limit) {
      require(topic);
      return waiting.all(topic, limit).map(toEvent);
    },
  };
}

/** Everything that moves one delivery on. */
function stepMethods(
  context: SqliteContext,
  append: AppendOne,
  require: (name: string) => TopicSql,
  describeDead: DescribeDead,
) {
  const { db, committer } = context;
  const eventById = db.prepare<[string], EventSql>(`SELECT ${eventColumns} FROM events WHERE id = ?`);
  const eventBySeq = db.prepare<[number], EventSql>(`SELECT ${eventColumns} FROM events WHERE seq = ?`);
  const delivery = db.prepare<[number], DeliverySql>(
    `SELECT * FROM deliveries WHERE seq = ? AND grp = '${DEFAULT_GROUP}'`,
  );
  const update = db.prepare(
    `UPDATE deliveries SET status = @status, claimed_by = @claimed_by, lease = @lease, lease_until_ms = @lease_until_ms,
       not_before_ms = @not_before_ms, last_error = coalesce(@error, last_error), finished_ms = @finished_ms, attempts = @attempts
     WHERE seq = @seq AND grp = '${DEFAULT_GROUP}'`,
  );
  const lapsed = db.prepare<[number], DeliverySql>(
    "SELECT * FROM deliveries WHERE status = 'processing' AND lease_until_ms <= ? ORDER BY lease_until_ms LIMIT 1000",
  );
  const ready = db.prepare<[number], { topic: string }>(
    "UPDATE deliveries SET not_before_ms = NULL WHERE status = 'pending' AND not_before_ms <= ? RETURNING topic",
  );
  const firstDelayed = db.prepare<[], { due: number | null }>(
    "SELECT min(not_before_ms) AS due FROM deliveries WHERE status = 'pending' AND not_before_ms IS NOT NULL",
  );
  const firstLease = db.prepare<[], { due: number | null }>(
    "SELECT min(lease_until_ms) AS due FROM deliveries WHERE status = 'processing'",
  );
  const firstEffects = db.prepare<[], { due: number | null }>(
    `SELECT min(due) AS due FROM (
       SELECT min(lease_until_ms) AS due FROM effects WHERE state = 'running'
       UNION ALL SELECT min(expires_ms) FROM effects WHERE state IN ('approved', 'waiting') AND expires_ms IS NOT NULL
       UNION ALL SELECT min(not_before_ms) FROM effects WHERE state = 'approved' AND not_before_ms IS NOT NULL)`,
  );

  const move = (
    row: DeliverySql,
    step: DeliveryStep,
    now_ms: number,
    changes: Changes,
    refund = false,
  ): DeliverySql => {
    const next: DeliverySql = {
      ...row,
      status: step.status,
      claimed_by: step.keepClaim ? row.claimed_by : null,
      lease: step.keepClaim && !step.finished ? row.lease : null,
      lease_until_ms: step.lease_until_ms,
      not_before_ms: step.not_before_ms,
      last_error: step.error ?? row.last_error,
      finished_ms: step.finished ? now_ms : null,
      attempts: refund ? Math.max(0, row.attempts - 1) : row.attempts,
    };
    update.run({ ...next, error: step.error });
    changes.count(row.topic, row.status, -1);
    changes.count(row.topic, next.status, 1);
    if (next.status === "pending" && next.not_before_ms === null) changes.topics.add(row.topic);
    if (next.not_before_ms !== null) changes.dueAt(next.not_before_ms);
    if (next.lease_until_ms !== null) changes.dueAt(next.lease_until_ms);
    return next;
  };
  const bury = (row: DeliverySql, error: string, changes: Changes): void => {
    const event = eventBySeq.get(row.seq);
    if (event) append(describeDead(toEvent(event), row.topic, row.attempts, error), changes);
  };

  const settleNow = (request: SettleRequest, changes: Changes) => {
    const event = eventById.get(request.event_id);
    if (!event) throw new SignalboxError("not_found", `there is no event ${request.event_id}`);
    const row = delivery.get(event.seq);
    if (!row && request.settlement.kind !== "answer") {
      throw new SignalboxError("conflict", `${event.id} is in no topic, so nobody can hold it`);
    }
    let settled: DeliverySql | undefined;
    if (row) {
      const step = decideSettlement(
        event.id,
        row,
        request.holder,
        request.settlement,
        require(row.topic),
        request.now_ms,
      );
      settled = move(row, step, request.now_ms, changes, request.settlement.kind === "release");
      if (settled.status === "dead") bury(settled, step.error ?? "", changes);
    }
    const appended = request.events.map((draft) => append(draft, changes));
    return { delivery: settled ? toDelivery(settled) : null, event: toEvent(event), appended };
  };

  const expire = (row: DeliverySql, now_ms: number, changes: Changes): void => {
    const status = decideExpiry(row.attempts, require(row.topic).max_attempts);
    const error = `the lease of ${row.claimed_by} ran out`;
    const next = move(
      row,
      {
        status,
        keepClaim: status === "dead",
        lease_until_ms: null,
        not_before_ms: null,
        error,
        finished: status === "dead",
      },
      now_ms,
      changes,
    );
    if (status === "dead") bury(next, error, changes);
  };

  const methods: Pick<Store, "settle" | "promoteDue" | "nextDue"> = {
    settle: (request) => committer.write((changes) => settleNow(request, changes)),
    promoteDue: (now_ms) =>
      committer.write((changes) => {
        for (const { topic } of ready.all(now_ms)) changes.topics.add(topic);
        for (const row of lapsed.all(now_ms)) expire(row, now_ms, changes);
      }),
    nextDue() {
      const dues = [firstDelayed.get()?.due, firstLease.get()?.due, firstEffects.get()?.due];
      const known = dues.filter((due): due is number => typeof due === "number");
      return known.length === 0 ? null : Math.min(...known);
    },
  };
  return { methods };
}

function endMethods(context: SqliteContext): Pick<Store, "purge" | "redrive"> {
  const { db, committer } = context;
  const remove = db.prepare<[string, DeliveryStatus]>(
    `DELETE FROM deliveries WHERE topic = ? AND status = ? AND grp = '${DEFAULT_GROUP}'`,
  );
  const revive = db.prepare<[string, DeliveryStatus]>(
    `UPDATE deliveries SET status = 'pending', attempts = 0, claimed_by = NULL, lease = NULL, lease_until_ms = NULL, not_before_ms = NULL, finished_ms = NULL
     WHERE topic = ? AND status = ? AND grp = '${DEFAULT_GROUP}'`,
  );
  const reviveOne = db.prepare<[string, DeliveryStatus, string]>(
    `UPDATE deliveries SET status = 'pending', attempts = 0, claimed_by = NULL, lease = NULL, lease_until_ms = NULL, not_before_ms = NULL, finished_ms = NULL
     WHERE topic = ? AND status = ? AND grp = '${DEFAULT_GROUP}' AND seq = (SELECT seq FROM events WHERE id = ?)`,
  );
  return {
    // A claimed event stays with whoever has it.
    purge: (topic, status) =>
      committer.write((changes) => {
        const statuses: DeliveryStatus[] =
          status === "all" ? ["pending", "completed", "failed", "dead"] : [status];
        let removed = 0;
        for (const one of statuses) {
          const n = remove.run(topic, one).changes;
          changes.count(topic, one, -n);
          removed += n;
        }
        return removed;
      }),
    redrive: (topic, event_ids, include_failed) =>
      committer.write((changes) => {
        const from: DeliveryStatus[] = include_failed ? ["dead", "failed"] : ["dead"];
        let revived = 0;
        for (const status of from) {
          let n = 0;
          if (event_ids) for (const id of event_ids) n += reviveOne.run(topic, status, id).changes;
          else n = revive.run(topic, status).changes;
          changes.count(topic, status, -n);
          changes.count(topic, "pending", n);
          revived += n;
        }
        if (revived > 0) changes.topics.add(topic);
        return revived;
      }),
  };
}
