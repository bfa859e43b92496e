import { agentName } from "../contract/agent-name.ts";
import type { Command } from "../contract/agents.ts";
import type { JsonObject } from "../contract/common.ts";
import type { Effect } from "../contract/effects.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import { Wakeups } from "../lib/wakeups.ts";
import type { EffectDraft, EffectRow, EventDraft, Store } from "../store/store.ts";
import { approvalCode, effectDigest } from "./approval-code.ts";
import { Approvals } from "./approvals.ts";
import { type Budget, budgetsOf, type Judged, judge } from "./policy.ts";
import { EffectSteps, publicEffect, requireEffect, type Target } from "./steps.ts";

/** What somebody wants done. */
export interface Proposal {
  id?: string;
  /** `command` when left out. */
  kind?: Effect["kind"];
  /** The agent, with or without `@`. */
  target: string;
  action: string;
  payload: JsonObject;
  /** One line that a person understands; made from the rest when left out. */
  summary?: string;
  cause: Effect["cause"];
  /** The same key is the same effect, however often it is proposed. */
  idempotency_key: string;
  correlation_id: string | null;
  /** Events that caused each other up to the one behind this. */
  depth: number;
  expires_in_ms?: number | undefined;
}

/** The ledger of all that happens outside (design: effect). */
export interface EffectLedger extends Closeable {
  draft(proposal: Proposal): EffectDraft;
  propose(proposal: Proposal): Promise<Effect>;
  /** Takes commands for `target`, or waits up to `waitMs` for one. What an aborted call took goes back at once. */
  claim(target: string, request: ClaimOptions, signal: AbortSignal): Promise<Command[]>;
  /** Renews the leases of what `by` is working on. */
  extend(ids: string[], by: string): Promise<void>;
  /** What may become of one effect. */
  readonly steps: EffectSteps;
  /** What waits for a person. */
  readonly approvals: Approvals;
  /** Expired ones and lapsed leases. Called when due. */
  sweep(now_ms: number): Promise<void>;
  /** Connectors tell what they are; other targets are agents, who get the effect's id as idempotency key. */
  describeTarget(target: string, description: Target): void;
  /** @throws SignalboxError `not_found` */
  get(id: string): Promise<Effect>;
}

export interface ClaimOptions {
  by: string;
  limit: number;
  waitMs: number;
  leaseMs: number;
}

export type Judge = (effect: Judged, now_ms: number) => Effect["policy"];

interface LedgerOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  expiresMs: number;
  /** What may happen without a person; the defaults when left out. */
  judge?: Judge;
  /** How much of it; no limit when left out. */
  budgets?: () => readonly Budget[];
}

const BEAT_LEASE_MS = 90_000;

export function createEffectLedger(options: LedgerOptions): EffectLedger {
  const { store } = options;
  const wakeups = new Wakeups();
  const targets = new Map<string, Target>();
  const stop = store.onCommitted(({ targets: ready }) => {
    for (const target of ready) wakeups.wake(target);
  });
  const describe = (target: string) => targets.get(target) ?? describeAgent(store, target);
  const steps = new EffectSteps({ ...options, describe });
  const draft = (proposal: Proposal) => createDraft(proposal, describe, options);
  return {
    steps,
    approvals: new Approvals({ ...options, steps }),
    draft,
    async propose(proposal) {
      const [row] = await store.proposeEffects([draft(proposal)]);
      if (!row) throw new Error("a proposal was recorded without its effect");
      return publicEffect(row);
    },
    claim: (target, request, signal) =>
      claimWaiting(options, steps, wakeups, agentName(target), request, signal),
    extend: (ids, by) => store.extendEffects(ids, agentName(by), options.clock.nowMs() + BEAT_LEASE_MS),
    describeTarget: (target, description) => void targets.set(target, description),
    get: async (id) => publicEffect(await requireEffect(store, id)),
    async sweep(now_ms) {
      const { lapsed, expired, targets: ready } = await store.dueEffects(now_ms);
      for (const row of lapsed) await steps.abandon(row);
      for (const row of expired) await steps.expire(row);
      for (const target of ready) wakeups.wake(target);
    },
    close: () => void stop(),
  };
}

/** An agent gets the effect's id as idempotency key, so it may be told twice unless it said that once is the limit. */
function describeAgent(store: Store, target: string): Target {
  return {
    async repeatable(action) {
      const commands = (await store.getAgent(target))?.commands ?? [];
      return commands.find(({ name }) => name === action)?.idempotent ?? true;
    },
  };
}

function createDraft(
  proposal: Proposal,
  describe: (target: string) => Target,
  { clock, events, expiresMs, judge: decide = (effect) => judge(effect), budgets }: LedgerOptions,
): EffectDraft {
  const { kind = "command", action, payload, cause } = proposal;
  const target = agentName(proposal.target);
  const now = clock.nowMs();
  const policy = decide({ kind, target, action, payload, cause }, now);
  const id = proposal.id ?? newId("eff");
  const digest = effectDigest({ kind, target, action, payload });
  const draft: EffectDraft = {
    id,
    kind,
    target,
    action,
    payload,
    sha256: digest,
    summary: proposal.summary ?? describe(target).summary?.(action, payload) ?? `Send ${action} to ${target}`,
    idempotency_key: proposal.idempotency_key,
    state: policy.decision === "allow" ? "approved" : policy.decision === "ask" ? "waiting" : "denied",
    cause,
    depth: proposal.depth,
    policy,
    correlation_id: proposal.correlation_id,
    created_ms: now,
    expires_ms: now + (proposal.expires_in_ms ?? expiresMs),
  };
  if (draft.state === "approved") return withBudgets(draft, budgets?.() ?? [], events);
  const code = draft.state === "waiting" ? approvalCode(draft) : undefined;
  return { ...draft, code, events: [heldEvent(events, draft)] };
}

/** One that a budget counts waits for a person once that is used up, and an event tells so. */
function withBudgets(draft: EffectDraft, budgets: readonly Budget[], events: EventLog): EffectDraft {
  const counting = budgetsOf(draft, budgets, draft.created_ms);
  if (counting.length === 0) return draft;
  return {
    ...draft,
    budgets: counting.map(({ budget, since_ms }) => {
      const { label, count, per, like } = budget;
      const rule = `${label}: ${count} per ${per} are used up`;
      const held: EffectDraft = { ...draft, state: "waiting", policy: { decision: "ask", rule } };
      const tripped = trippedEvent(events, held, { budget: label, count, per });
      return {
        ...{ count, since_ms, like },
        held: {
          policy: held.policy,
          code: approvalCode(held),
          events: [tripped, heldEvent(events, held)],
        },
      };
    }),
  };
}

function trippedEvent(events: EventLog, draft: EffectDraft, spent: JsonObject): EventDraft {
  const { id, kind, target, action, cause, summary, policy } = draft;
  return events.draft(
    {
      type: "signalbox.budget.tripped",
      source: "signalbox",
      body: `${summary}: waits for a person (${policy.rule})`,
      payload: { ...spent, effect_id: id, kind, target, action, workflow: cause.workflow },
      origin_kind: "system",
    },
    { id: cause.event_id, depth: draft.depth, correlation_id: draft.correlation_id },
  );
}

/** Tells that a person is asked, or that the policy said no. */
function heldEvent(events: EventLog, draft: EffectDraft): EventDraft {
  const { id, kind, target, action, state, summary, cause, policy } = draft;
  return events.draft(
    {
      type: `signalbox.effect.${state}`,
      source: "signalbox",
      body: `${summary}: ${state} (${policy.rule})`,
      payload: { effect_id: id, kind, target, action, state, workflow: cause.workflow, rule: policy.rule },
      origin_kind: "system",
    },
    { id: cause.event_id, depth: draft.depth, correlation_id: draft.correlation_id },
  );
}

async function claimWaiting(
  options: LedgerOptions,
  steps: EffectSteps,
  wakeups: Wakeups,
  target: string,
  request: ClaimOptions,
  signal: AbortSignal,
): Promise<Command[]> {
  const { store, clock } = options;
  const endMs = performance.now() + request.waitMs;
  for (;;) {
    const stopWaiting = new AbortController();
    const woken = wakeups.wait(
      target,
      endMs - performance.now(),
      AbortSignal.any([signal, stopWaiting.signal]),
    );
    const taken = await store
      .claimEffects({
        target,
        by: agentName(request.by),
        limit: request.limit,
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
    if ((await woken) || taken.length === request.limit) wakeups.wake(target);
    if (!signal.aborted) return rows.map(toCommand);
    for (const row of rows) await giveBack(store, row, clock.nowMs());
    return [];
  }
}

/** Only what was allowed byte for byte is handed out; the rest asks again. */
async function withoutChanged(steps: EffectSteps, rows: EffectRow[]): Promise<EffectRow[]> {
  const kept: EffectRow[] = [];
  for (const row of rows) {
    const isAsAllowed = await steps.isAsAllowed(row);
    if (isAsAllowed) kept.push(row);
    else await steps.askAgain(row);
  }
  return kept;
}

/** Nobody is there any more to carry it out. */
async function giveBack(store: Store, row: EffectRow, now_ms: number): Promise<void> {
  await store.changeEffect(row.id, {
    from: ["running"],
    lease: row.lease ?? undefined,
    to: "approved",
    now_ms,
  });
}

function toCommand(row: EffectRow): Command {
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
