import { agentName } from "../../contract/agent-name.ts";
import { SignalboxError } from "../../contract/errors.ts";
import { newId } from "../../lib/ids.ts";
import { type ClaimedEvent, type ClaimRequest, DEFAULT_GROUP, type Store } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext, Step } from "./context.ts";
import { type EventSql, eventColumns, type TopicSql, toEvent } from "./rows.ts";
import type { Sweep } from "./sweep.ts";
import type { Topics } from "./topics.ts";

type ClaimMethods = Pick<Store, "claim" | "peek">;

/** Taking events from a topic, oldest first. */
export function claimMethods(context: SqliteContext, topics: Topics, sweep: Sweep): ClaimMethods {
  const { committer } = context;
  const { waiting, bySeq } = prepare(context);
  const claim = claimStep(context, topics, sweep);
  return {
    claim: (request) => committer.write((changes) => claim(request, changes)),
    async peek(name, limit, now_ms) {
      const topic = topics.require(name);
      if (sweep.isDue(now_ms)) await committer.write((changes) => sweep.run(now_ms, changes));
      const rows = waiting.all({ topic: name, since: claimableSince(topic, now_ms), limit });
      return rows.flatMap(({ seq }) => {
        const row = bySeq.get(seq);
        return row ? [toEvent(row)] : [];
      });
    },
  };
}

function claimStep(context: SqliteContext, topics: Topics, sweep: Sweep): Step<ClaimRequest, ClaimedEvent[]> {
  const { take, bySeq } = prepare(context);
  return (request, changes: Changes) => {
    const topic = topics.require(request.topic);
    checkAllowed(topic, request.agent);
    if (topic.paused === 1) return [];
    // The timer does this too; but a claim never misses what is due because a timer is late.
    if (sweep.isDue(request.now_ms)) sweep.run(request.now_ms, changes);
    const lease = newId("lea");
    const lease_until_ms = request.now_ms + (request.lease_ms ?? topic.lease_ms);
    const rows = take.all({
      agent: request.agent,
      lease,
      lease_until_ms,
      topic: topic.name,
      since: claimableSince(topic, request.now_ms),
      limit: request.limit,
    });
    if (rows.length === 0) return [];
    changes.count(topic.name, "pending", -rows.length);
    changes.count(topic.name, "processing", rows.length);
    changes.dueAt(lease_until_ms);
    context.memory.dueAt(lease_until_ms);
    if (rows.length > 1) rows.sort((a, b) => a.seq - b.seq);
    return rows.map(({ seq, attempts }) => {
      const row = bySeq.get(seq);
      if (!row) throw new Error(`delivery ${seq} has no event`);
      return { event: toEvent(row), lease, lease_until_ms, attempt: attempts };
    });
  };
}

/** Unclaimed events stay claimable for the topic's `pending_ttl_ms` (M23). Null: for ever. */
function claimableSince(topic: TopicSql, now_ms: number): number | null {
  return topic.pending_ttl_ms === null ? null : now_ms - topic.pending_ttl_ms;
}

function checkAllowed(topic: TopicSql, agent: string): void {
  if (topic.allow === "[]") return;
  const allow = JSON.parse(topic.allow) as string[];
  if (allow.some((one) => agentName(one) === agentName(agent))) return;
  throw new SignalboxError("forbidden", `${agent} may not claim from ${topic.name}`, {
    hint: `Allowed: ${allow.join(", ")}.`,
  });
}

function prepare({ db }: SqliteContext) {
  // What was redriven or came back after a pause counts from then on, the others from when they were recorded.
  const oldest = `SELECT p.seq FROM deliveries p WHERE p.status = 'pending' AND p.topic = @topic AND p.grp = '${DEFAULT_GROUP}'
    AND (@since IS NULL OR coalesce(p.not_before_ms, (SELECT recorded_ms FROM events WHERE seq = p.seq)) >= @since)
    ORDER BY p.seq LIMIT @limit`;
  return {
    waiting: db.prepare<[object], { seq: number }>(oldest),
    take: db.prepare<[object], { seq: number; attempts: number }>(
      `UPDATE deliveries SET status = 'processing', claimed_by = @agent, lease = @lease, lease_until_ms = @lease_until_ms, attempts = attempts + 1
       WHERE grp = '${DEFAULT_GROUP}' AND seq IN (${oldest}) RETURNING seq, attempts`,
    ),
    bySeq: db.prepare<[number], EventSql>(`SELECT ${eventColumns} FROM events WHERE seq = ?`),
  };
}
