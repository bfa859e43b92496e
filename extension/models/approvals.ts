import type { Approval } from "../../service/contract/approvals.ts";
import type { Json } from "../../service/contract/common.ts";
import type { Card } from "../../webview/messages.ts";
import { type Disposable, Emitter } from "../emitter.ts";

/** A decided card stays this long, so that whoever was reading it sees who decided. */
const KEEP_DECIDED_MS = 60_000;
/** Kinds that wait for a person each time, whatever a rule allows. */
const NEVER_REMEMBERED = ["shell", "ask"];

/** An approval in words and text, as the webview shows it. */
export function toCard(approval: Approval, person: string): Card {
  const { effect, difference, decision } = approval;
  return {
    id: effect.id,
    code: approval.code,
    sha256: effect.sha256,
    alike: JSON.stringify([effect.kind, effect.target, effect.action]),
    summary: effect.summary,
    what: `${effect.kind} ${effect.action} → ${effect.target}`,
    asked_by: approval.asked_by,
    note: effect.note,
    line: effect.cause.line,
    rule: effect.policy.rule,
    created_ms: effect.created_ms,
    expires_ms: approval.expires_ms,
    payload: JSON.stringify(effect.payload, null, 2),
    chain: approval.chain.map(({ origin_kind, ...link }) => ({ ...link, origin: origin_kind })),
    risks: approval.risks,
    difference:
      difference === null
        ? null
        : {
            created_ms: difference.created_ms,
            changes: difference.changes.map(({ path, before, after }) => ({
              path,
              before: textOf(before),
              after: textOf(after),
            })),
          },
    choices: effect.kind === "ask" ? choicesOf(effect.payload.choices) : [],
    // A remembered yes stands after all rules of one's own, so where one of these asked it would change nothing.
    canRemember: !NEVER_REMEMBERED.includes(effect.kind) && effect.policy.rule.startsWith("default"),
    decision: decision === null ? null : { ...decision, isMine: decision.by === person },
  };
}

function textOf(value: Json | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value, null, 2);
}

function choicesOf(choices: Json | undefined): string[] {
  return Array.isArray(choices) ? choices.filter((one) => typeof one === "string") : [];
}

/** What waits, oldest first, and what was decided a moment ago. */
export class ApprovalsList {
  readonly #changes = new Emitter<void>();
  readonly #known = new Map<string, Approval>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  onChange(listener: () => void): Disposable {
    return this.#changes.on(listener);
  }

  get waiting(): readonly Approval[] {
    return this.all.filter(({ decision }) => decision === null);
  }

  /** By age, so that a card never jumps away under somebody's finger. */
  get all(): readonly Approval[] {
    return [...this.#known.values()]
      .filter(({ decision }) => decision === null || this.#now() - decision.time_ms < KEEP_DECIDED_MS)
      .sort((one, other) => (one.effect.id < other.effect.id ? -1 : 1));
  }

  find(effect_id: string): Approval | undefined {
    return this.#known.get(effect_id);
  }

  /** @returns whether it is one that was not waiting before */
  take(approval: Approval): boolean {
    const { id } = approval.effect;
    const before = this.#known.get(id);
    // Decided before anybody here saw it wait: no card to correct.
    if (approval.decision !== null && before === undefined) return false;
    this.#known.set(id, approval);
    for (const [old, { decision }] of this.#known)
      if (decision !== null && this.#now() - decision.time_ms >= KEEP_DECIDED_MS) this.#known.delete(old);
    this.#changes.fire();
    return before === undefined;
  }

  clear(): void {
    this.#known.clear();
    this.#changes.fire();
  }
}
