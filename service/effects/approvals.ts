import { agentName } from "../contract/agent-name.ts";
import type { Approval, ApprovalDecision } from "../contract/approvals.ts";
import type { JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Clock } from "../lib/clock.ts";
import type { EffectRow, Store } from "../store/store.ts";
import { approvalCode, effectDigest, readCode } from "./approval-code.ts";
import { differences } from "./difference.ts";
import type { Kinds } from "./kinds/registry.ts";
import { ALWAYS_ASKED, originOf } from "./policy.ts";
import { type EffectSteps, requireEffect } from "./steps.ts";
import { rememberedRule } from "./suggest.ts";
import { showEffect } from "./view.ts";

export interface Decision {
  decision: "approve" | "deny";
  sha256?: string | undefined;
  code?: string | undefined;
  reason?: string | undefined;
  /** For a question: the answer. */
  choice?: string | undefined;
  by: string;
  /** For a yes: exactly this, asked for by the same, needs nobody's yes for so many days. */
  remember_days?: number | undefined;
}

interface ApprovalsOptions {
  store: Store;
  clock: Clock;
  steps: EffectSteps;
  kinds: Kinds;
  /** Adds a rule to the policy file. */
  remember?: ((rule: string) => void) | undefined;
}

/** Events shown of a chain, from its beginning. */
const CHAIN = 16;
const BODY_CHARS = 500;
/** Who writes these is not the owner. */
const outside: ReadonlySet<string> = new Set(["webhook", "agent"]);

/** What waits for a person, with what they need to know, and their decisions (R65–R68, U7, U8). */
export class Approvals {
  readonly #options: ApprovalsOptions;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
  }

  async list(query: { limit: number; before?: string | undefined }): Promise<Approval[]> {
    const rows = await this.#options.store.listEffects({ ...query, state: "waiting" });
    return Promise.all(rows.map((row) => this.#describe(row)));
  }

  /** By the effect's id or its code. @throws SignalboxError `not_found` */
  async get(idOrCode: string): Promise<Approval> {
    return this.#describe(await this.#find(idOrCode));
  }

  /** What a stream shows of an effect: null for one that nobody was asked about. */
  async find(id: string): Promise<Approval | null> {
    const row = await this.#options.store.getEffect(id);
    return row && row.policy.decision === "ask" ? this.#describe(row) : null;
  }

  /**
   * The first decision counts. It is bound to the bytes that were looked at.
   * @throws SignalboxError `not_found`, `invalid_request` (nothing says what is decided about), `forbidden` (agents
   * and workflows do not decide), `conflict` (other bytes; or decided already, `details.winner` says by whom)
   */
  async decide(idOrCode: string, given: Decision): Promise<Approval> {
    const { store, clock, steps } = this.#options;
    const row = await this.#find(idOrCode);
    await this.#assertMayDecide(row, given.by);
    assertSameBytes(row, given);
    if (row.state !== "waiting") throw await this.#decided(row);
    if (row.expires_ms !== null && row.expires_ms <= clock.nowMs()) {
      await steps.expire(row);
      throw await this.#decided(await requireEffect(store, row.id));
    }
    const reason = given.reason ?? null;
    const rule = this.#ruleOf(row, given);
    const changed =
      given.decision === "deny"
        ? await steps.deny(row, given.by, reason)
        : row.kind === "ask"
          ? await steps.answer(row, given.by, reason, choiceOf(row, given.choice))
          : await steps.approve(row, given.by, reason, given.remember_days ?? null);
    if (!changed) throw await this.#decided(await requireEffect(store, row.id));
    if (rule !== null) this.#options.remember?.(rule);
    return this.#describe(changed);
  }

  /** @throws SignalboxError `invalid_request` where a yes can't be remembered */
  #ruleOf(row: EffectRow, { decision, by, remember_days }: Decision): string | null {
    if (remember_days === undefined) return null;
    if (decision === "deny") throw new SignalboxError("invalid_request", "only a yes can be remembered");
    if (ALWAYS_ASKED.has(row.kind))
      throw new SignalboxError(
        "invalid_request",
        `${row.kind} is asked about each time, so a yes is not remembered`,
      );
    return rememberedRule(row, by, remember_days, this.#options.clock.nowMs());
  }

  async #find(idOrCode: string): Promise<EffectRow> {
    const { store } = this.#options;
    const row =
      (await store.getEffect(idOrCode)) ??
      (await store.getEffect((await store.findApprovalCode(readCode(idOrCode))) ?? ""));
    if (row && row.policy.decision === "ask") return row;
    throw new SignalboxError("not_found", `there is no approval ${idOrCode}`, {
      hint: "`signalbox approvals list` shows what waits, with ids and codes.",
    });
  }

  /** Whoever proposes does not approve, nor does any agent: their word is no permission. */
  async #assertMayDecide(row: EffectRow, by: string): Promise<void> {
    const own = originOf(row.cause.source) !== "human" && agentName(by) === agentName(row.cause.source);
    const program = ["workflow", "model"].includes(originOf(by));
    const agent = (await this.#options.store.getAgent(agentName(by))) !== null;
    if (own || program || agent)
      throw new SignalboxError("forbidden", `${by} can't decide about this: a person has to`);
  }

  async #decided(row: EffectRow): Promise<SignalboxError> {
    const winner = await this.#winner(row);
    if (!winner) return new SignalboxError("conflict", `${row.id} is ${row.state}`);
    const who = winner.by === null ? "" : ` by ${winner.by}`;
    const what = { approve: "approved", deny: "denied", expire: "expired" }[winner.decision];
    const when = new Date(winner.time_ms).toISOString();
    return new SignalboxError("conflict", `${row.id} was ${what}${who} at ${when}`, { details: { winner } });
  }

  async #winner(row: EffectRow): Promise<ApprovalDecision | null> {
    if (row.state === "waiting") return null;
    const entries = await this.#options.store.listAudit({ effect_id: row.id, after: 0, limit: 1_000 });
    const entry = entries.findLast(({ kind }) => ["approved", "denied", "expired"].includes(kind));
    if (!entry) return null;
    const { reason } = entry.detail;
    return {
      decision: entry.kind === "approved" ? "approve" : entry.kind === "denied" ? "deny" : "expire",
      by: entry.kind === "expired" ? null : entry.actor,
      reason: typeof reason === "string" ? reason : null,
      time_ms: entry.time_ms,
    };
  }

  async #describe(row: EffectRow): Promise<Approval> {
    const { store, kinds } = this.#options;
    const { id, kind, target, action } = row;
    const chain = await this.#chain(row);
    const [last, sameTarget, sameKind] = await Promise.all([
      store.lastAllowed({ id, kind, target, action }),
      store.lastAllowed({ id, kind, target }),
      store.lastAllowed({ id, kind }),
    ]);
    const before = kind === "ask" ? null : (last ?? sameTarget);
    return {
      code: approvalCode(row),
      effect: showEffect(row, kinds),
      asked_by: row.cause.source,
      chain: chain.map((event) => ({
        ...{ event_id: event.id, type: event.type, source: event.source, origin_kind: event.origin_kind },
        ...{ time_ms: event.time_ms, body: event.body?.slice(0, BODY_CHARS) ?? null },
      })),
      risks: [
        ...risksOf(row, chain, { last, sameTarget, sameKind }),
        ...(kinds.find(kind)?.risks(row.payload, row.bound ?? {}) ?? []),
      ],
      difference: before && {
        effect_id: before.id,
        created_ms: before.created_ms,
        changes: differences(compared(before, kinds), compared(row, kinds)),
      },
      expires_ms: row.expires_ms,
      decision: await this.#winner(row),
    };
  }

  async #chain(row: EffectRow): Promise<Event[]> {
    const chain: Event[] = [];
    for (let id = row.cause.event_id; id !== null && chain.length < CHAIN; ) {
      const event = await this.#options.store.getEvent(id);
      if (!event) break;
      chain.unshift(event);
      id = event.parent_id;
    }
    return chain;
  }
}

/** What two effects are compared by: all that the hash covers, with secrets masked. */
function compared(row: EffectRow, kinds: Kinds): JsonObject {
  const { action, payload, bound } = showEffect(row, kinds);
  return { action, payload, ...(bound ? { bound } : {}) };
}

/** @throws SignalboxError `invalid_request` */
function choiceOf({ payload }: EffectRow, choice: string | undefined): string {
  const choices = (payload.choices as string[] | undefined) ?? [];
  const chosen = choice ?? (choices.length === 1 ? choices[0] : undefined);
  if (chosen !== undefined && choices.includes(chosen)) return chosen;
  throw new SignalboxError("invalid_request", `the answer has to be one of: ${choices.join(", ")}`, {
    hint: "Give it as choice, or --choice at the command line.",
    details: { choices },
  });
}

function assertSameBytes(row: EffectRow, { sha256, code }: Decision): void {
  if (sha256 === undefined && code === undefined)
    throw new SignalboxError("invalid_request", "say what is decided about: sha256 or code", {
      hint: "Look at it first: `signalbox approvals show ID` prints both.",
    });
  const isSame =
    (sha256 === undefined || sha256.toLowerCase() === row.sha256) &&
    (code === undefined || readCode(code) === approvalCode(row)) &&
    (row.state !== "waiting" || effectDigest(row) === row.sha256);
  if (!isSame)
    throw new SignalboxError("conflict", `${row.id} is not what was looked at: its bytes are others`, {
      hint: "Look at it again, then decide.",
      details: { sha256: row.sha256 },
    });
}

interface Precedents {
  last: EffectRow | null;
  sameTarget: EffectRow | null;
  sameKind: EffectRow | null;
}

function risksOf(row: EffectRow, chain: Event[], { last, sameTarget, sameKind }: Precedents): string[] {
  const risks: string[] = [];
  if (row.kind === "ask") return strangers(chain);
  if (!sameKind) risks.push(`First of its kind: no ${row.kind} was allowed before.`);
  else if (!sameTarget) risks.push(`New target: nothing was allowed for ${row.target} before.`);
  else if (!last) risks.push(`First ${row.action} for ${row.target}.`);
  risks.push(...strangers(chain));
  if (originOf(row.cause.source) === "model") risks.push("A model wrote it.");
  if (row.attempts > 0) risks.push("It was changed after it had been allowed, or is tried once more.");
  return risks;
}

function strangers(chain: Event[]): string[] {
  const found = chain.find((event) => outside.has(event.origin_kind));
  if (!found) return [];
  return [`Text from outside is in its chain: ${found.type} from ${found.source} (${found.origin_kind}).`];
}
