import { agentName } from "../contract/agent-name.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { DeliveryStatus } from "../contract/events.ts";
import type { CleanupRequest, Holder, Settlement } from "./store.ts";

/** What every adapter decides alike. Pure functions: adapters only speak SQL. */

export interface DeliveryState {
  status: DeliveryStatus;
  claimed_by: string | null;
  lease: string | null;
  lease_until_ms: number | null;
  attempts: number;
  not_before_ms: number | null;
}

export interface DeliveryStep {
  status: DeliveryStatus;
  claimed_by: string | null;
  lease_until_ms: number | null;
  not_before_ms: number | null;
  attempts: number;
  /** Null keeps the one before. */
  error: string | null;
  finished: boolean;
}

interface TopicRules {
  lease_ms: number;
  max_attempts: number;
}

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 300_000;

/** Doubles from one second to five minutes; even, so that a test can tell it. */
export function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** Math.min(attempts - 1, 20));
}

/** @throws SignalboxError `lease_lost`, `conflict` */
export function decideSettlement(
  event_id: string,
  row: DeliveryState,
  holder: Holder,
  settlement: Settlement,
  topic: TopicRules,
  now_ms: number,
): DeliveryStep {
  checkHolder(event_id, row, holder, settlement.kind === "answer");
  switch (settlement.kind) {
    case "extend": {
      const lease_until_ms = now_ms + (settlement.lease_ms ?? topic.lease_ms);
      return { ...back(row), status: "processing", claimed_by: row.claimed_by, lease_until_ms };
    }
    case "complete":
      return end(row, "completed", null);
    case "answer": {
      const error = settlement.status === "failed" ? "answered as failed" : null;
      // Nobody may have claimed it: then it was done by whoever answers.
      return { ...end(row, settlement.status, error), claimed_by: row.claimed_by ?? holder.agent ?? null };
    }
    case "reject":
      return end(row, "failed", settlement.error);
    case "retry": {
      if (row.attempts >= topic.max_attempts) return end(row, "dead", settlement.error);
      const not_before_ms = now_ms + (settlement.retry_in_ms ?? retryDelayMs(row.attempts));
      return { ...back(row), not_before_ms, error: settlement.error };
    }
    case "release": {
      const { delay_ms } = settlement;
      const not_before_ms = delay_ms === undefined ? null : now_ms + delay_ms;
      // It was not tried, so the attempt does not count.
      return { ...back(row), not_before_ms, attempts: Math.max(0, row.attempts - 1) };
    }
    case "keep":
      return {
        ...back(row),
        status: row.status,
        claimed_by: row.claimed_by,
        lease_until_ms: row.lease_until_ms,
        not_before_ms: row.not_before_ms,
      };
  }
}

/** What becomes of a claim whose lease ran out. */
export function decideExpiry(row: DeliveryState, topic: TopicRules): DeliveryStep {
  const error = `the lease of ${row.claimed_by} ran out`;
  return row.attempts >= topic.max_attempts ? end(row, "dead", error) : { ...back(row), error };
}

function end(row: DeliveryState, status: DeliveryStatus, error: string | null): DeliveryStep {
  const { claimed_by, attempts } = row;
  return {
    status,
    claimed_by,
    attempts,
    error,
    lease_until_ms: null,
    not_before_ms: row.not_before_ms,
    finished: true,
  };
}

/** In the queue again, claimable at once. */
function back(row: DeliveryState): DeliveryStep {
  return {
    status: "pending",
    claimed_by: null,
    attempts: row.attempts,
    error: null,
    lease_until_ms: null,
    not_before_ms: null,
    finished: false,
  };
}

function checkHolder(event_id: string, row: DeliveryState, holder: Holder, alsoPending: boolean): void {
  const of = row.claimed_by === null ? "" : ` by ${row.claimed_by}`;
  if (row.status === "pending") {
    if (holder.lease !== undefined) {
      throw new SignalboxError(
        "lease_lost",
        `the lease on ${event_id} ran out and it went back to the queue`,
      );
    }
    if (alsoPending) return;
    throw new SignalboxError("conflict", `${event_id} is not claimed`, { hint: "Claim it first." });
  }
  if (row.status !== "processing") {
    throw new SignalboxError("conflict", `${event_id} is already ${row.status}${of}`);
  }
  const otherLease = holder.lease !== undefined && holder.lease !== row.lease;
  const otherAgent =
    holder.agent !== undefined && agentName(holder.agent) !== agentName(row.claimed_by ?? "");
  if (otherLease || otherAgent) throw new SignalboxError("lease_lost", `${event_id} is now claimed${of}`);
}

/** What a clean-up has to know of an event. */
export interface Kept {
  topic: string | null;
  recorded_ms: number;
  /** Null where it was never in a topic, or was purged from it. */
  status: DeliveryStatus | null;
  not_before_ms: number | null;
  finished_ms: number | null;
}

/** Whether an event is past its retention. What is claimed is never; whether a run or an effect is open is asked apart. */
export function isPastRetention(
  event: Kept,
  topic: { retention_ms: number | null; pending_ttl_ms: number | null } | undefined,
  request: Pick<CleanupRequest, "completed_before_ms" | "pending_before_ms" | "now_ms">,
): boolean {
  if (event.status === "processing") return false;
  if (event.status === "pending") {
    const ttl = topic?.pending_ttl_ms ?? null;
    const before = ttl === null ? request.pending_before_ms : request.now_ms - ttl;
    return Math.max(event.recorded_ms, event.not_before_ms ?? 0) < before;
  }
  const retention = topic?.retention_ms ?? null;
  const before = retention === null ? request.completed_before_ms : request.now_ms - retention;
  return (event.finished_ms ?? event.recorded_ms) < before;
}
