import { agentName } from "../contract/agent-name.ts";
import type { Command } from "../contract/agents.ts";
import type { Effect } from "../contract/effects.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { EventLog } from "../events/log.ts";
import { canonicalJson } from "../lib/canonical.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { EffectDraft, EffectLane, EffectRow, Store } from "../store/store.ts";
import { Approvals } from "./approvals.ts";
import { type ClaimOptions, claimWaiting, giveBack, isLeaseOf, toCommand } from "./claim.ts";
import { createDraft, type DraftOptions, type Judge, type Proposal } from "./draft.ts";
import { Judging } from "./judging.ts";
import type { EffectKind } from "./kinds/kind.ts";
import { createKinds, type Kinds } from "./kinds/registry.ts";
import { type Budget, judge } from "./policy.ts";
import { EffectSteps, requireEffect, type Target } from "./steps.ts";
import { showEffect } from "./view.ts";

export type { Judge, Proposal } from "./draft.ts";

/** The ledger of all that happens outside (design: effect). */
export interface EffectLedger extends Closeable {
  readonly kinds: Kinds;
  /** What a proposal would be recorded as. @throws SignalboxError `invalid_request` */
  draft(proposal: Proposal): EffectDraft;
  /**
   * Records it and answers once it is judged.
   * @throws SignalboxError `invalid_request`, `idempotency_conflict` (the key stands for another act)
   */
  propose(proposal: Proposal): Promise<Effect>;
  /** What it would be and what the policy says of it; nothing is recorded. @throws SignalboxError `invalid_request` */
  preview(proposal: Proposal): Promise<Effect>;
  /** Takes commands for an agent, or waits up to `waitMs` for one. What an aborted call took goes back at once. */
  claim(agent: string, request: ClaimOptions, signal: AbortSignal): Promise<Command[]>;
  /** The same for whoever carries out a connector's commands or a kind. */
  take(lane: EffectLane, request: ClaimOptions, signal: AbortSignal): Promise<EffectRow[]>;
  /**
   * Gives back at once what was handed out to this session of the agent and is not in its hands. Only the session
   * itself may say that: of others nobody knows whether they are gone or only away.
   * @returns ids of what is in its hands under a lease that holds
   */
  release(agent: string, session: string, inHand: readonly string[]): Promise<string[]>;
  /** Renews the leases of what `by` is working on. */
  extend(ids: string[], by: string): Promise<void>;
  /** What may become of one effect. */
  readonly steps: EffectSteps;
  /** What waits for a person. */
  readonly approvals: Approvals;
  readonly judging: Judging;
  /** Judges what nobody judged before the last stop. Called once, when everything is open. */
  resume(): Promise<void>;
  /** Expired ones and lapsed leases. Called when due. */
  sweep(now_ms: number): Promise<void>;
  /** Connectors tell what they are; other targets are agents, who get the effect's id as idempotency key. */
  describeTarget(target: string, description: Target): void;
  /** As people may see it, with its secrets masked. @throws SignalboxError `not_found` */
  get(id: string): Promise<Effect>;
  /** The public part of a row, with its secrets masked. */
  view(row: EffectRow): Effect;
}

interface LedgerOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  /** How long an approved effect waits for its target. */
  expiresMs: number;
  /** How long a person has to decide; as long as that when left out. */
  approvalMs?: number;
  /** What this service carries out itself. */
  kinds?: readonly EffectKind[];
  /** What may happen without a person; the defaults when left out. */
  judge?: Judge;
  /** Adds a rule to the policy, where a person wants their yes remembered. */
  remember?: (rule: string) => void;
  /** How much of it; no limit when left out. */
  budgets?: () => readonly Budget[];
}

const BEAT_LEASE_MS = 90_000;

export function createEffectLedger(options: LedgerOptions): EffectLedger {
  const { store, clock, expiresMs } = options;
  const targets = new Map<string, Target>();
  const kinds = createKinds(options.kinds ?? []);
  const view = (row: EffectRow) => showEffect(row, kinds);
  const repeatable = repeatableBy(store, kinds, targets);
  const drafting: DraftOptions = {
    ...options,
    kinds,
    approvalMs: options.approvalMs ?? expiresMs,
    judge: options.judge ?? ((effect, now_ms) => judge(effect, [], now_ms)),
    budgets: options.budgets ?? (() => []),
    summaryOf: (target, action, payload) => targets.get(target)?.summary?.(action, payload),
  };
  const steps = new EffectSteps({ ...options, ...drafting, repeatable, view });
  const judging = new Judging({ ...drafting, store, log: options.log, steps });
  const stop = store.onCommitted(({ proposed }) => {
    for (const id of proposed) judging.start(id);
  });
  const take: EffectLedger["take"] = (lane, request, signal) =>
    claimWaiting({ store, clock, steps }, lane, request, signal);
  const get = async (id: string) => view(await requireEffect(store, id));
  return {
    kinds,
    steps,
    judging,
    approvals: new Approvals({ ...options, steps, kinds }),
    draft: (proposal) => createDraft(proposal, drafting),
    async propose(proposal) {
      const draft = createDraft(proposal, drafting);
      const [row] = await store.proposeEffects([draft]);
      if (!row) throw new Error("a proposal was recorded without its effect");
      assertSameAct(row, draft);
      if (row.state !== "proposed") return view(row);
      await judging.judge(row.id);
      return get(row.id);
    },
    async preview(proposal) {
      const draft = createDraft(proposal, drafting);
      const { reason, ...found } =
        draft.state === "proposed"
          ? { reason: null, ...(await judging.examine(draft)) }
          : { reason: null, ...draft };
      return view(rowOf({ ...draft, ...found }, reason));
    },
    async claim(target, request, signal) {
      const rows = await take({ target: agentName(target) }, request, signal);
      return rows.map(toCommand);
    },
    take,
    release: (agent, session, inHand) => releaseLost(options, agentName(agent), session, inHand),
    extend: (ids, by) => store.extendEffects(ids, agentName(by), clock.nowMs() + BEAT_LEASE_MS),
    async resume() {
      for (const row of await store.proposedEffects()) judging.start(row.id);
    },
    describeTarget: (target, description) => void targets.set(target, description),
    get,
    view,
    async sweep(now_ms) {
      const { lapsed, expired } = await store.dueEffects(now_ms);
      for (const row of lapsed) await steps.abandon(row);
      for (const row of expired) await steps.expire(row);
    },
    close: () => void stop(),
  };
}

/** What never arrived was never begun, so it does no harm to hand out again what may be done only once. */
async function releaseLost(
  { store, clock }: LedgerOptions,
  target: string,
  session: string,
  inHand: readonly string[],
): Promise<string[]> {
  const arrived = new Set(inHand);
  const kept: string[] = [];
  for (const row of await store.runningEffects()) {
    if (row.kind !== "command" || row.target !== target || !isLeaseOf(session, row.lease)) continue;
    if (arrived.has(row.id)) kept.push(row.id);
    else await giveBack(store, row, clock.nowMs());
  }
  return kept;
}

/** An agent gets the effect's id as idempotency key, so it may be told twice unless it said that once is the limit. */
function repeatableBy(store: Store, kinds: Kinds, targets: ReadonlyMap<string, Target>) {
  return async ({ kind, target, action, payload }: EffectRow): Promise<boolean> => {
    if (kind !== "command") return kinds.find(kind)?.repeatable(payload) ?? false;
    const described = targets.get(target);
    if (described) return described.repeatable(action);
    const commands = (await store.getAgent(target))?.commands ?? [];
    return commands.find(({ name }) => name === action)?.idempotent ?? true;
  };
}

/** A draft as the row that it would be. */
function rowOf(draft: EffectDraft, error: string | null): EffectRow {
  const { code: _code, events: _events, budgets: _budgets, ...effect } = draft;
  return {
    ...effect,
    ...{ bound: draft.bound ?? null, note: draft.note ?? null, error, result: null, result_event_id: null },
    ...{ attempts: 0, claimed_by: null, updated_ms: draft.created_ms, not_before_ms: null },
    ...{ lease: null, lease_until_ms: null },
  };
}

/** The first of a key is the only one, so another act under it would be lost. */
function assertSameAct(row: EffectRow, draft: EffectDraft): void {
  const act = ({ kind, target, action, payload }: EffectRow | EffectDraft) =>
    canonicalJson({ kind, target, action, payload });
  if (act(row) === act(draft)) return;
  throw new SignalboxError(
    "idempotency_conflict",
    `the key ${draft.idempotency_key} stands for another effect`,
    { details: { effect_id: row.id } },
  );
}
