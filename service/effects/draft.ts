import { agentName } from "../contract/agent-name.ts";
import type { JsonObject } from "../contract/common.ts";
import type { Effect } from "../contract/effects.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { EffectDraft, EventDraft } from "../store/store.ts";
import { approvalCode, effectDigest } from "./approval-code.ts";
import { actOf, type KindAct, type Kinds } from "./kinds/registry.ts";
import { type Budget, budgetsOf, describeLimit, type Judged } from "./policy.ts";

/** What somebody wants done. */
export interface Proposal {
  id?: string;
  /** `command` when left out. */
  kind?: string;
  /** The agent of a command, with or without `@`; for other kinds made from the payload. */
  target?: string | undefined;
  action?: string | undefined;
  payload: JsonObject;
  /** One line that a person understands, for a command or a question; other kinds make their own. */
  summary?: string;
  /** What whoever asks says of it. */
  note?: string | undefined;
  cause: Effect["cause"];
  /** The same key is the same effect, however often it is proposed. */
  idempotency_key: string;
  correlation_id: string | null;
  /** Events that caused each other up to the one behind this. */
  depth: number;
  expires_in_ms?: number | undefined;
}

export type Judge = (effect: Judged, now_ms: number) => Effect["policy"];

export interface DraftOptions {
  clock: Clock;
  events: EventLog;
  kinds: Kinds;
  /** How long an approved effect waits for its target. */
  expiresMs: number;
  /** How long a person has to decide. */
  approvalMs: number;
  judge: Judge;
  budgets(): readonly Budget[];
  /** One line for a command, as its target says it. */
  summaryOf(target: string, action: string, payload: JsonObject): string | undefined;
}

const NOT_YET = { decision: "ask", rule: "not judged yet" } as const;

/**
 * The effect of a proposal, judged where that takes nothing but the policy. One that has to be looked at more closely
 * (what it binds to, whether something like it was done before) is `proposed` until `judging.ts` has done so.
 * @throws SignalboxError `invalid_request`
 */
export function createDraft(proposal: Proposal, options: DraftOptions): EffectDraft {
  const act = actOfProposal(proposal, options);
  const { cause } = proposal;
  const now = options.clock.nowMs();
  const policy = judgeNow({ ...act, cause }, options, now);
  const draft: EffectDraft = {
    ...act,
    id: proposal.id ?? newId("eff"),
    sha256: effectDigest(act),
    bound: null,
    note: proposal.note ?? null,
    idempotency_key: proposal.idempotency_key,
    state: policy === null ? "proposed" : stateOf(policy),
    cause,
    depth: proposal.depth,
    policy: policy ?? NOT_YET,
    correlation_id: proposal.correlation_id,
    created_ms: now,
    expires_ms: null,
  };
  const life = proposal.expires_in_ms ?? (draft.state === "waiting" ? options.approvalMs : options.expiresMs);
  draft.expires_ms = now + life;
  if (draft.state === "proposed") return draft;
  return { ...draft, ...held(draft, options) };
}

export const stateOf = ({ decision }: Effect["policy"]): EffectDraft["state"] =>
  decision === "allow" ? "approved" : decision === "ask" ? "waiting" : "denied";

function actOfProposal(proposal: Proposal, { kinds, summaryOf }: DraftOptions): KindAct {
  const { kind = "command", payload, target = "", action = "" } = proposal;
  if (kind !== "command" && kind !== "ask") return actOf(kinds.require(kind), payload, proposal.target);
  const name = agentName(target);
  const summary = proposal.summary ?? summaryOf(name, action, payload) ?? `Send ${action} to ${name}`;
  return { kind, target: name, action, payload, summary };
}

/** Null where the policy alone can't tell. */
function judgeNow(effect: Judged, { kinds, judge }: DraftOptions, now_ms: number): Effect["policy"] | null {
  const kind = kinds.find(effect.kind);
  if (!kind) return judge(effect, now_ms);
  if (kind.bind) return null;
  const asNew = judge({ ...effect, familiar: false }, now_ms);
  if (kind.familiar === "never") return asNew;
  const asKnown = judge({ ...effect, familiar: true }, now_ms);
  return asNew.rule === asKnown.rule ? asNew : null;
}

/** What is recorded with one that is judged: its code and the event where it is held up, else its budgets. */
export function held(
  draft: EffectDraft,
  { events, budgets }: Pick<DraftOptions, "events" | "budgets">,
): Pick<EffectDraft, "code" | "events" | "budgets"> {
  if (draft.state === "approved") return { budgets: budgetChecks(draft, budgets(), events) };
  const code = draft.state === "waiting" ? approvalCode(draft) : undefined;
  return { code, events: [heldEvent(events, draft)] };
}

/** One that a budget counts waits for a person once that is used up, and an event tells so. */
function budgetChecks(draft: EffectDraft, budgets: readonly Budget[], events: EventLog) {
  const counting = budgetsOf(draft, budgets, draft.created_ms);
  if (counting.length === 0) return undefined;
  return counting.map(({ budget, since_ms }) => {
    const { label, count, bytes, per, like } = budget;
    const rule = `${label}: ${describeLimit(budget)} are used up`;
    const waiting: EffectDraft = { ...draft, state: "waiting", policy: { decision: "ask", rule } };
    const spent = {
      budget: label,
      per,
      ...(count === undefined ? {} : { count }),
      ...(bytes === undefined ? {} : { bytes }),
    };
    const tripped = trippedEvent(events, waiting, spent);
    return {
      ...{ count, bytes, since_ms, like },
      held: {
        policy: waiting.policy,
        code: approvalCode(waiting),
        events: [tripped, heldEvent(events, waiting)],
      },
    };
  });
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
