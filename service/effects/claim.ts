import { agentName } from "../contract/agent-name.ts";
import type { Command } from "../contract/agents.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Wakeups } from "../lib/wakeups.ts";
import { type EffectLane, type EffectRow, laneOf, type Store } from "../store/store.ts";
import type { EffectSteps } from "./steps.ts";

export interface ClaimOptions {
  by: string;
  limit: number;
  waitMs: number;
  leaseMs: number;
  /** The process of the agent that it is for, which may say later what never arrived there. */
  session?: string | undefined;
}

/** Takes what is approved in a lane, or waits for it. What an aborted call took goes back at once. */
export async function claimWaiting(
  { store, clock, steps, wakeups }: { store: Store; clock: Clock; steps: EffectSteps; wakeups: Wakeups },
  lane: EffectLane,
  request: ClaimOptions,
  signal: AbortSignal,
): Promise<EffectRow[]> {
  const name = laneOf({ kind: "command", target: "", ...lane });
  const endMs = performance.now() + request.waitMs;
  for (;;) {
    const stopWaiting = new AbortController();
    const woken = wakeups.wait(
      name,
      endMs - performance.now(),
      AbortSignal.any([signal, stopWaiting.signal]),
    );
    const taken = await store
      .claimEffects({
        ...lane,
        by: agentName(request.by),
        limit: request.limit,
        lease: request.session === undefined ? undefined : leaseOf(request.session),
        lease_ms: request.leaseMs,
        now_ms: clock.nowMs(),
      })
      .catch((error: unknown) => {
        stopWaiting.abort();
        throw error;
      });
    const rows = await withoutChanged(steps, taken);
    if (taken.length > rows.length && rows.length === 0) {
      stopWaiting.abort();
      await woken;
      continue;
    }
    if (rows.length === 0 && request.waitMs > 0) {
      if (await woken) continue;
      return [];
    }
    stopWaiting.abort();
    // More may be there for whoever waits next, and what came meanwhile may have woken this one.
    if ((await woken) || taken.length === request.limit) wakeups.wake(name);
    if (!signal.aborted) return rows;
    for (const row of rows) await giveBack(store, row, clock.nowMs());
    return [];
  }
}

/** Only what was allowed byte for byte is handed out; the rest asks again. */
async function withoutChanged(steps: EffectSteps, rows: EffectRow[]): Promise<EffectRow[]> {
  const found = await Promise.all(rows.map((row) => steps.recheck(row)));
  return rows.filter((_, index) => found[index]);
}

/** A lease that tells whose it is, so that this is known after a restart too. */
function leaseOf(session: string): string {
  return newId(session);
}

/** Whether it was given to this session, and to no other whose name begins the same. */
export function isLeaseOf(session: string, lease: string | null): boolean {
  return lease?.slice(0, lease.lastIndexOf("_")) === session;
}

/** Nobody is there any more to carry it out, or it never arrived. */
export async function giveBack(store: Store, row: EffectRow, now_ms: number): Promise<void> {
  await store.changeEffect(row.id, {
    from: ["running"],
    lease: row.lease ?? undefined,
    to: "approved",
    now_ms,
  });
}

export function toCommand(row: EffectRow): Command {
  return {
    effect_id: row.id,
    command: row.action,
    payload: row.payload,
    source: row.cause.source,
    event_id: row.cause.event_id,
    attempt: row.attempts,
    lease: row.lease ?? "",
    lease_until_ms: row.lease_until_ms ?? 0,
  };
}
