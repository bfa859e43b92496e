import { agentName } from "../../contract/agent-name.ts";
import { SignalboxError } from "../../contract/errors.ts";
import { newId } from "../../lib/ids.ts";
import { type ClaimedEvent, type ClaimRequest, DEFAULT_GROUP, type Store } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext, Step } from "./context.ts";
import { type EventSql, eventColumnsOf, type TopicSql, toEvent } from "./rows.ts";
import type { Sweep } from "./sweep.ts";
import type { Topics } from "./topics.ts";

type ClaimMethods = Pick<Store, "claim" | "peek">;

/** Taking events from a topic, oldest first. */
export function claimMethods(context: SqliteContext, topics: Topics, sweep: Sweep): ClaimMethods {
  const { committer } = context;
  const claimable = createClaimable(context);
  const claim = claimStep(context, topics, sweep, claimable);
  return {
    claim: (request) => committer.write((changes) => claim(request, changes)),
    async peek(name, limit, now_ms) {
      const topic = topics.require(name);
      if (sweep.isDue(now_ms)) await committer.write((changes) => sweep.run(now_ms, changes));
      return claimable(topic, { now_ms, limit }).map(toEvent);
    },
  };
}

function claimStep(
  context: SqliteContext,
  topics: Topics,
  sweep: Sweep,
  claimable: Claimable,
): Step<ClaimRequest, ClaimedEvent[]> {
  // The transaction holds the write lock since its beginning, so nothing comes between reading and taking. One
  // statement for both takes twice as long.
  const take = context.db.prepare(
    `UPDATE deliveries SET status = 'processing', claimed_by = ?, lease = ?, lease_until_ms = ?, attempts = ?
     WHERE seq = ? AND grp = '${DEFAULT_GROUP}'`,
  );
  return (request, changes: Changes) => {
    const topic = topics.require(request.topic);
    checkAllowed(topic, request.agent);
    if (topic.paused === 1) return [];
    // The timer does this too; but a claim never misses what is due because a timer is late.
    if (sweep.isDue(request.now_ms)) sweep.run(request.now_ms, changes);
    const rows = claimable(topic, request);
    if (rows.length === 0) return [];
    const lease = newId("lea");
    const lease_until_ms = request.now_ms + (request.lease_ms ?? topic.lease_ms);
    changes.count(topic.name, "pending", -rows.length);
    changes.count(topic.name, "processing", rows.length);
    changes.dueAt(lease_until_ms);
    context.memory.dueAt(lease_until_ms);
    return rows.map((row) => {
      const attempt = row.attempts + 1;
      take.run(request.agent, lease, lease_until_ms, attempt, row.seq);
      return { event: toEvent(row), lease, lease_until_ms, attempt };
    });
  };
}

/** Events that can be taken now, oldest first, with the attempts made so far. */
type Claimable = (
  topic: TopicSql,
  request: Pick<ClaimRequest, "now_ms" | "limit" | "event_id">,
) => (EventSql & { attempts: number })[];

function createClaimable({ db }: SqliteContext): Claimable {
  // A bare parameter beside ORDER BY or LIMIT makes SQLite plan the statement anew with each value, which takes
  // longer than running it; a cast one does not.
  const select = (more: string) =>
    `SELECT d.attempts, ${eventColumnsOf("e")} FROM deliveries d CROSS JOIN events e ON e.seq = d.seq
     WHERE d.status = 'pending' AND d.topic = CAST(? AS TEXT) AND d.grp = '${DEFAULT_GROUP}' ${more}
     ORDER BY d.seq LIMIT CAST(? AS INTEGER)`;
  type Row = EventSql & { attempts: number };
  const oldest = db.prepare<[string, number], Row>(select(""));
  // What was redriven or came back after a pause counts from then on, the others from when they were recorded.
  const since = db.prepare<[string, number, number], Row>(
    select("AND coalesce(d.not_before_ms, e.recorded_ms) >= ?"),
  );
  const one = db.prepare<[string, string, number], Row>(
    `SELECT d.attempts, ${eventColumnsOf("e")} FROM events e CROSS JOIN deliveries d ON d.seq = e.seq
     WHERE e.id = ? AND d.status = 'pending' AND d.topic = ? AND d.grp = '${DEFAULT_GROUP}'
       AND coalesce(d.not_before_ms, e.recorded_ms) >= ?`,
  );
  return (topic, { now_ms, limit, event_id }) => {
    // Unclaimed events stay claimable for so long (M23).
    const ttl = topic.pending_ttl_ms;
    if (event_id !== undefined) return one.all(event_id, topic.name, ttl === null ? 0 : now_ms - ttl);
    return ttl === null ? oldest.all(topic.name, limit) : since.all(topic.name, now_ms - ttl, limit);
  };
}

function checkAllowed(topic: TopicSql, agent: string): void {
  if (topic.allow === "[]") return;
  const allow = JSON.parse(topic.allow) as string[];
  if (allow.some((one) => agentName(one) === agentName(agent))) return;
  throw new SignalboxError("forbidden", `${agent} may not claim from ${topic.name}`, {
    hint: `Allowed: ${allow.join(", ")}.`,
  });
}
