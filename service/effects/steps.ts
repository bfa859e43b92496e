import type { CommandResult } from "../contract/agents.ts";
import type { AuditEntry } from "../contract/audit.ts";
import type { Json } from "../contract/common.ts";
import type { Effect, EffectState } from "../contract/effects.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { EventLog } from "../events/log.ts";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { AuditDraft, EffectChange, EffectDraft, EffectRow, Store } from "../store/store.ts";
import { approvalCode, effectDigest } from "./approval-code.ts";
import type { Kinds } from "./kinds/registry.ts";

/** What is known of a target besides its name. */
export interface Target {
  /** One line that a person understands. */
  summary?(action: string, payload: Effect["payload"]): string;
  /** Whether an attempt whose end nobody saw may simply be repeated. */
  repeatable(action: string): boolean | Promise<boolean>;
}

interface StepOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  kinds: Kinds;
  /** How long an approved effect waits for its target. */
  expiresMs: number;
  /** How long a person has to decide. */
  approvalMs: number;
  /** Whether an attempt whose end nobody saw may simply be repeated. */
  repeatable(row: EffectRow): Promise<boolean>;
  view(row: EffectRow): Effect;
}

/** Attempts of one effect before it has failed. */
const MAX_ATTEMPTS = 5;
const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 300_000;

/** The steps of an effect's life: each is a compare-and-set, recorded with the event that tells it. */
export class EffectSteps {
  readonly #options: StepOptions;

  constructor(options: StepOptions) {
    this.#options = options;
  }

  /** @throws SignalboxError `not_found`, `lease_lost`, `conflict` (it has ended otherwise) */
  async finish(id: string, given: CommandResult): Promise<Effect> {
    const row = await requireEffect(this.#options.store, id);
    if (row.state !== "running") throw notRunning(row, given);
    const error = given.status === "failed" ? (given.error ?? "failed") : null;
    const tryAgain = given.status === "failed" && given.retry && row.attempts < MAX_ATTEMPTS;
    const changed = tryAgain
      ? await this.#again(
          row,
          given.lease,
          error ?? "failed",
          backoffMs(row.attempts, RETRY_BASE_MS, RETRY_MAX_MS),
        )
      : await this.#end(row, given.lease, given.status, error, given.result ?? null);
    if (!changed) throw new SignalboxError("lease_lost", `${id} is no longer with this agent`);
    return this.#options.view(changed);
  }

  /** An attempt whose end nobody saw. */
  async lose(id: string, lease: string, reason: string): Promise<Effect | null> {
    const row = await requireEffect(this.#options.store, id);
    const changed = row.state === "running" ? await this.#end(row, lease, "unknown", reason) : null;
    return changed && this.#options.view(changed);
  }

  /** Puts it back for another attempt later, while attempts are left. */
  async postpone(id: string, lease: string, reason: string, delayMs: number): Promise<Effect | null> {
    const row = await requireEffect(this.#options.store, id);
    const changed =
      row.attempts >= MAX_ATTEMPTS
        ? await this.#end(row, lease, "failed", reason)
        : await this.#again(row, lease, reason, delayMs);
    return changed && this.#options.view(changed);
  }

  /**
   * Its executor is gone, or its lease has run out: repeated where that does no harm, else nobody knows what
   * happened and a person decides.
   */
  async abandon(row: EffectRow): Promise<void> {
    const reason = `nobody saw how attempt ${row.attempts} by ${row.claimed_by} ended`;
    const lease = row.lease ?? undefined;
    const mayRepeat = await this.#options.repeatable(row);
    if (!mayRepeat) await this.#end(row, lease, "unknown", reason);
    else if (row.attempts >= MAX_ATTEMPTS) await this.#end(row, lease, "failed", reason);
    else await this.#again(row, lease, reason, 0);
  }

  async expire(row: EffectRow): Promise<void> {
    const reason =
      row.state === "waiting"
        ? "nobody decided in time, which counts as a no"
        : `${row.target} did not take it in time`;
    await this.#end(row, undefined, "expired", reason);
  }

  /** A person's yes to exactly these bytes; null when somebody was faster. */
  approve(
    row: EffectRow,
    by: string,
    reason: string | null,
    remembered_days: number | null = null,
  ): Promise<EffectRow | null> {
    const { store, clock, expiresMs } = this.#options;
    const now_ms = clock.nowMs();
    return store.changeEffect(row.id, {
      from: ["waiting"],
      if_sha256: row.sha256,
      to: "approved",
      now_ms,
      expires_ms: now_ms + expiresMs,
      audit: {
        ...{ kind: "approved", actor: by },
        detail: { reason, ...(remembered_days === null ? {} : { remembered_days }) },
      },
    });
  }

  /** A person's answer to a question, which is all there is to do; null when somebody was faster. */
  answer(row: EffectRow, by: string, reason: string | null, choice: string): Promise<EffectRow | null> {
    const audit = { kind: "approved", actor: by, detail: { reason, choice } };
    return this.#end(row, undefined, "succeeded", null, choice, audit);
  }

  /** A person's no; null when somebody was faster. */
  deny(row: EffectRow, by: string, reason: string | null): Promise<EffectRow | null> {
    const error = `denied by ${by}${reason === null ? "" : `: ${reason}`}`;
    const audit = { kind: "denied", actor: by, detail: { reason } };
    return this.#end(row, undefined, "denied", error, null, audit);
  }

  /** What the policy said of one that was `proposed`, with what is recorded along with that. */
  async judged(row: EffectRow, draft: EffectDraft): Promise<void> {
    const { store, clock, expiresMs, approvalMs } = this.#options;
    const now_ms = clock.nowMs();
    const { sha256, policy, code, bound = null, events, budgets, state } = draft;
    const left = row.expires_ms === null ? expiresMs : row.expires_ms - row.created_ms;
    // Whoever asked may have set a shorter life than the usual one.
    const life = state === "waiting" && left === expiresMs ? approvalMs : left;
    const { kind, target, action, cause } = row;
    const { source, workflow, line, event_id } = cause;
    const said = { ...policy, state, kind, target, action, source, workflow, line, event_id };
    await store.changeEffect(row.id, {
      from: ["proposed"],
      to: state,
      now_ms,
      expires_ms: now_ms + life,
      ...(state === "denied" ? { error: `denied: ${policy.rule}` } : {}),
      changed: { sha256, policy, code, bound },
      audit: { kind: "judged", actor: null, detail: said },
      events,
      budgets,
    });
  }

  /** It can't be done at all, so nobody is asked about it. */
  async refuse(row: EffectRow, reason: string, state: "denied" | "failed"): Promise<void> {
    await this.#end(row, row.lease ?? undefined, state, reason);
  }

  /**
   * Just before it is done: whether it still is, byte for byte, what was allowed by the policy or by a person. One
   * that is not asks again, and one that can't be done any more fails.
   */
  async recheck(row: EffectRow): Promise<boolean> {
    const kind = this.#options.kinds.find(row.kind);
    let bound = row.bound;
    try {
      if (kind?.bind) bound = await kind.bind(row.payload);
    } catch (error) {
      await this.refuse(row, error instanceof Error ? error.message : String(error), "failed");
      return false;
    }
    const now = { ...row, bound };
    const isAsAllowed = await this.isAsAllowed(now);
    if (!isAsAllowed) await this.#askAgain(now);
    return isAsAllowed;
  }

  /** Whether its bytes are those that were allowed: by the policy, or by a person. */
  async isAsAllowed(row: EffectRow): Promise<boolean> {
    if (effectDigest(row) !== row.sha256) return false;
    return row.policy.decision === "allow" || (await this.#approval(row)) !== undefined;
  }

  /** It was taken but is not what was allowed: whoever took it gets nothing, and a person is asked anew. */
  async #askAgain(row: EffectRow): Promise<void> {
    const { store, clock, log, approvalMs } = this.#options;
    const now_ms = clock.nowMs();
    const changed = changedBytes(row);
    await store.changeEffect(row.id, {
      from: ["running"],
      lease: row.lease ?? undefined,
      to: "waiting",
      now_ms,
      expires_ms: now_ms + approvalMs,
      changed,
      audit: { kind: "changed", actor: null, detail: { allowed: row.sha256, found: changed.sha256 } },
    });
    log.warn({ effect_id: row.id, target: row.target }, "an effect was changed after it was allowed");
  }

  /** The approval that stands for these bytes: the newest yes, unless its time has run out since. */
  async #approval(row: EffectRow): Promise<AuditEntry | undefined> {
    const entries = await this.#options.store.listAudit({ effect_id: row.id, after: 0, limit: 1_000 });
    const kinds = ["approved", "denied", "expired", "changed", "skipped"];
    const last = entries.findLast(({ kind }) => kinds.includes(kind));
    return last?.kind === "approved" && last.sha256 === row.sha256 ? last : undefined;
  }

  /**
   * A person's word. What was never approved, or no longer is, waits for its approval again.
   * @throws SignalboxError `not_found`, `conflict`
   */
  async retry(id: string): Promise<Effect> {
    const { store, clock, expiresMs, approvalMs } = this.#options;
    const row = await requireEffect(store, id);
    const now_ms = clock.nowMs();
    const to = await this.#afterRetry(row);
    const changed = await store.changeEffect(id, {
      from: ["failed", "expired", "unknown", "skipped"],
      to,
      now_ms,
      error: null,
      expires_ms: now_ms + (to === "waiting" ? approvalMs : expiresMs),
      ...(to === "waiting" ? { changed: changedBytes(row) } : {}),
      audit: { kind: "retried", actor: null, detail: { state: to } },
    });
    if (!changed)
      throw new SignalboxError("conflict", `${id} is ${row.state}, so there is nothing to try again`);
    return this.#options.view(changed);
  }

  /** What was never judged, since it could not be done then, is judged now. */
  async #afterRetry(row: EffectRow): Promise<"proposed" | "approved" | "waiting"> {
    if (await this.isAsAllowed(row)) return "approved";
    const { bind } = this.#options.kinds.find(row.kind) ?? {};
    return bind && row.bound === null ? "proposed" : "waiting";
  }

  /** A person's word. @throws SignalboxError `not_found`, `conflict` */
  async skip(id: string): Promise<Effect> {
    const row = await requireEffect(this.#options.store, id);
    const open: EffectState[] = ["proposed", "waiting", "approved", "unknown"];
    const changed = open.includes(row.state)
      ? await this.#end(row, undefined, "skipped", "skipped by a person")
      : null;
    if (!changed) throw new SignalboxError("conflict", `${id} is ${row.state}, so it can't be skipped`);
    return this.#options.view(changed);
  }

  async #end(
    row: EffectRow,
    lease: string | undefined,
    state: EffectState,
    error: string | null,
    result: Json = null,
    audit?: AuditDraft,
  ): Promise<EffectRow | null> {
    const { store, clock, log, events } = this.#options;
    const event = endEvent(events, row, state, error, result);
    const changed = await store.changeEffect(row.id, {
      from: [row.state],
      lease,
      to: state,
      now_ms: clock.nowMs(),
      result,
      error,
      event,
      ...(audit ? { audit, if_sha256: row.sha256 } : {}),
    });
    if (changed)
      log.info({ effect_id: row.id, target: row.target, action: row.action, state }, "effect ended");
    return changed;
  }

  #again(
    row: EffectRow,
    lease: string | undefined,
    error: string,
    delayMs: number,
  ): Promise<EffectRow | null> {
    const now_ms = this.#options.clock.nowMs();
    const not_before_ms = delayMs === 0 ? null : now_ms + delayMs;
    return this.#options.store.changeEffect(row.id, {
      from: ["running"],
      lease,
      to: "approved",
      now_ms,
      error,
      not_before_ms,
    });
  }
}

/** What an effect becomes that is asked about anew: its hash is that of its bytes as they are. */
function changedBytes(row: EffectRow): NonNullable<EffectChange["changed"]> {
  const sha256 = effectDigest(row);
  const rule =
    sha256 === row.sha256
      ? "no approval stands for it: asked anew"
      : "its bytes are not those that were allowed: asked anew";
  const code = approvalCode({ id: row.id, sha256 });
  return { sha256, policy: { decision: "ask", rule }, code, bound: row.bound };
}

export async function requireEffect(store: Store, id: string): Promise<EffectRow> {
  const row = await store.getEffect(id);
  if (!row)
    throw new SignalboxError("not_found", `there is no effect ${id}`, {
      hint: "`signalbox effects` lists them.",
    });
  return row;
}

function notRunning(row: EffectRow, given: CommandResult): SignalboxError {
  if (row.state === "approved") return new SignalboxError("lease_lost", `the lease on ${row.id} ran out`);
  return new SignalboxError("conflict", `${row.id} is already ${row.state}`, {
    details: { state: row.state, reported: given.status },
  });
}

function endEvent(events: EventLog, row: EffectRow, state: EffectState, error: string | null, result: Json) {
  // Part of the chain of its cause, so that workflows answering results can't go round for ever.
  const cause = { id: row.cause.event_id, depth: row.depth, correlation_id: row.correlation_id };
  return events.draft(
    {
      type: `signalbox.effect.${state}`,
      source: row.kind === "command" ? row.target : "signalbox",
      body: `${row.summary}: ${state}${error === null ? "" : ` (${error})`}`,
      payload: {
        effect_id: row.id,
        kind: row.kind,
        target: row.target,
        action: row.action,
        state,
        workflow: row.cause.workflow,
        result,
        error,
        attempts: row.attempts,
      },
      origin_kind: "agent",
    },
    cause,
  );
}
