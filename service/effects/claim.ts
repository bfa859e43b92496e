import { agentName } from "../contract/agent-name.ts";
import type { Command } from "../contract/agents.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { EffectLane, EffectRow, Store } from "../store/store.ts";
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
  { store, clock, steps }: { store: Store; clock: Clock; steps: EffectSteps },
  lane: EffectLane,
  { by, limit, waitMs, leaseMs, session }: ClaimOptions,
  signal: AbortSignal,
): Promise<EffectRow[]> {
  const over = new AbortController();
  const end = () => over.abort();
  const timer = setTimeout(end, waitMs);
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  try {
    for (;;) {
      const taken = await store.claimEffects({
        ...{ ...lane, by: agentName(by), limit, lease_ms: leaseMs, now_ms: clock.nowMs() },
        lease: session === undefined ? undefined : leaseOf(session),
        until: waitMs > 0 ? over.signal : undefined,
      });
      const rows = await withoutChanged(steps, taken);
      if (taken.length > 0 && rows.length === 0) continue;
      if (!signal.aborted) return rows;
      for (const row of rows) await giveBack(store, row, clock.nowMs());
      return [];
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
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
