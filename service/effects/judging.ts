import type { JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { EffectDraft, EffectRow, Store } from "../store/store.ts";
import { effectDigest } from "./approval-code.ts";
import { type DraftOptions, held, stateOf } from "./draft.ts";
import { type EffectSteps, requireEffect } from "./steps.ts";

export interface JudgingOptions extends DraftOptions {
  store: Store;
  log: Logger;
  steps: EffectSteps;
}

/**
 * Judges what was recorded as `proposed`: asks its kind what it binds to and the ledger whether something like it was
 * done before, then the policy. What the end of the process leaves is judged after the next start.
 */
export class Judging {
  readonly #options: JudgingOptions;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: JudgingOptions) {
    this.#options = options;
  }

  /** Resolves when it is judged. Asked twice, it is done once. */
  judge(id: string): Promise<void> {
    const known = this.#underWay.get(id);
    if (known) return known;
    const work = this.#judge(id).finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, work);
    return work;
  }

  /** Nobody waits for it; what can't be recorded is judged after the next start. */
  start(id: string): void {
    this.judge(id).catch((error: unknown) =>
      this.#options.log.error({ err: error, effect_id: id }, "an effect could not be judged"),
    );
  }

  /** Whether one like it was done before, as its kind understands that. */
  async isFamiliar(
    effect: Pick<EffectRow, "kind" | "target" | "action" | "payload"> & { cause: { source: string } },
    bound: JsonObject | null,
  ): Promise<boolean> {
    const { kind: name, target, action, cause } = effect;
    const kind = this.#options.kinds.find(name);
    if (!kind || kind.familiar === "never") return false;
    if (kind.familiar === "target")
      return this.#options.store.isFamiliar({ kind: name, target, action, source: cause.source });
    if (bound === null) return false;
    const isApproved = await kind.isApproved?.(effect.payload, bound);
    return isApproved === true || this.#options.store.isFamiliar({ kind: name, target, action, bound });
  }

  /** What the policy says of it with all that can be found out, without recording anything. */
  async examine(effect: EffectDraft): Promise<Examined> {
    const { kinds, judge, clock } = this.#options;
    const kind = kinds.find(effect.kind);
    if (!kind) return { state: "failed", reason: `nobody here does ${effect.kind}` };
    let bound: JsonObject | null = null;
    try {
      if (kind.bind) bound = await kind.bind(effect.payload);
    } catch (error) {
      return this.#refusal(effect, error);
    }
    const familiar = await this.isFamiliar(effect, bound);
    const policy = judge({ ...effect, bound, familiar }, clock.nowMs());
    return { state: stateOf(policy), policy, bound, sha256: effectDigest({ ...effect, bound }) };
  }

  async #judge(id: string): Promise<void> {
    const { store, steps, clock } = this.#options;
    const row = await requireEffect(store, id);
    if (row.state !== "proposed") return;
    const found = await this.examine(row);
    if ("reason" in found) return steps.refuse(row, found.reason, found.state);
    const draft: EffectDraft = { ...row, ...found, created_ms: clock.nowMs() };
    await steps.judged(row, { ...draft, ...held(draft, this.#options) });
  }

  /** It can't be done, at all or now. */
  #refusal({ id }: EffectDraft, error: unknown): Examined {
    if (!SignalboxError.is(error))
      this.#options.log.error({ err: error, effect_id: id }, "what an effect binds to could not be read");
    const reason = error instanceof Error ? error.message : String(error);
    return { state: SignalboxError.is(error, "forbidden") ? "denied" : "failed", reason };
  }
}

type Examined =
  | { state: "denied" | "failed"; reason: string }
  | (Pick<EffectDraft, "state" | "policy" | "sha256"> & { bound: JsonObject | null });
