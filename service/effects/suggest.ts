import type { AuditEntry } from "../contract/audit.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { sha256 } from "../lib/canonical.ts";
import type { EffectRow, Store } from "../store/store.ts";
import { ALWAYS_ASKED, explain, originOf, type Rule } from "./policy.ts";

/** What a person decided about an effect. */
export interface PastDecision {
  effect: EffectRow;
  decision: "approve" | "deny";
  by: string;
  time_ms: number;
}

export interface Suggestion {
  /** Follows from the rule, so that what was looked at is what is accepted. */
  id: string;
  decision: "allow" | "deny";
  /** What the policy file gets. */
  toml: string;
  /** One sentence. */
  why: string;
  expires_ms: number;
  /** What the rule would have said about each past decision that it reaches. */
  past: { effect_id: string; summary: string; decision: "approve" | "deny"; by: string; time_ms: number }[];
}

/** As many decisions of one kind, and none against them. */
const ENOUGH = 3;
const DAYS = 30;
const DAY_MS = 86_400_000;
/** Entries of the audit trail that are looked at, from its end. */
const RECENT = 50_000;
const PAGE = 1_000;
const MAX_FIELDS = 20;
const MAX_TEXT = 200;

/** Decisions of persons, oldest first, whose effects are still there. */
export async function readDecisions(store: Store): Promise<PastDecision[]> {
  const head = await store.auditHead();
  const decisions: PastDecision[] = [];
  for (let after = Math.max(0, (head?.seq ?? 0) - RECENT); ; ) {
    const entries = await store.listAudit({ after, limit: PAGE });
    for (const entry of entries) {
      const found = await decisionOf(store, entry);
      if (found) decisions.push(found);
    }
    const last = entries.at(-1);
    if (!last || entries.length < PAGE) return decisions;
    after = last.seq;
  }
}

async function decisionOf(store: Store, entry: AuditEntry): Promise<PastDecision | null> {
  if (!["approved", "denied"].includes(entry.kind) || entry.actor === null) return null;
  const effect = await store.getEffect(entry.effect_id);
  if (!effect) return null;
  const decision = entry.kind === "approved" ? "approve" : "deny";
  return { effect, decision, by: entry.actor, time_ms: entry.time_ms };
}

/** Narrow rules for what was decided in the same way again and again. Nothing of it counts before a person says so. */
export function suggestRules(
  decisions: readonly PastDecision[],
  rules: readonly Rule[],
  now_ms: number,
): Suggestion[] {
  const groups = Map.groupBy(
    decisions.filter(({ effect }) => !ALWAYS_ASKED.has(effect.kind)),
    ({ effect: { kind, target, action, cause } }) => JSON.stringify([kind, target, action, cause.source]),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const isOneWord = group.every(({ decision }) => decision === first?.decision);
    if (!first || group.length < ENOUGH || !isOneWord) return [];
    // What the rules decide by now needs no further one.
    const judged = group.map(({ effect }) => explain(effect, rules, now_ms).policy.decision);
    if (judged.every((decision) => decision !== "ask")) return [];
    return suggestion(group, decisions, now_ms) ?? [];
  });
}

function suggestion(
  group: readonly PastDecision[],
  all: readonly PastDecision[],
  now_ms: number,
): Suggestion | null {
  const [first] = group;
  if (!first) return null;
  const { kind, target, action, cause } = first.effect;
  const decision = first.decision === "approve" ? "allow" : "deny";
  const expires_ms = Math.floor(now_ms / DAY_MS) * DAY_MS + DAYS * DAY_MS;
  const limits: Omit<Rule, "label" | "decision"> = {
    kind: [kind],
    target: kind === "mail" ? target.split(", ") : [target],
    action: [action],
    source: [cause.source],
    origin: [originOf(cause.source)],
    // A no holds whatever else stands in the payload.
    ...(decision === "allow" ? sameFields(group.map(({ effect }) => effect.payload)) : {}),
  };
  const rule: Rule = { ...limits, label: "suggested", decision };
  const past = all.filter(({ effect }) => explain(effect, [rule], 0).policy.rule === rule.label);
  // It would have gone against somebody's word.
  if (past.some((one) => one.decision !== first.decision)) return null;
  const texts = [target, action, cause.source, ...Object.values(limits.payload ?? {}).map(String)];
  // A star that stands for itself can't be written, and as a pattern it would reach more than was decided.
  if (texts.some((text) => /[*?]/.test(text))) return null;
  const name = `${decision} ${action} on ${target} for ${cause.source}`;
  const id = sha256(JSON.stringify({ decision, ...limits })).slice(0, 8);
  const word = decision === "allow" ? "approved" : "denied";
  return {
    ...{ id, decision, expires_ms },
    toml: ruleToml(
      { ...rule, expires_ms },
      name,
      `Suggested from ${group.length} decisions that ${word} it.`,
    ),
    why: `${first.effect.summary} and ${group.length - 1} more like it were ${word}, none otherwise.`,
    past: past.map(({ effect, ...one }) => ({ effect_id: effect.id, summary: effect.summary, ...one })),
  };
}

/** Fields that were the same each time, and the names of all that there were. */
function sameFields(payloads: readonly JsonObject[]): Pick<Rule, "payload" | "only"> {
  const [first = {}, ...others] = payloads.map((payload) => scalars(payload, ""));
  const same = Object.entries(first).filter(([path, value]) => others.every((one) => one[path] === value));
  return {
    payload: Object.fromEntries(same.slice(0, MAX_FIELDS)),
    only: [...new Set(payloads.flatMap((payload) => Object.keys(payload)))].sort(),
  };
}

function scalars(value: JsonObject, before: string): Record<string, string | number | boolean> {
  const found: Record<string, string | number | boolean> = {};
  for (const [name, field] of Object.entries(value)) {
    // A dot in a name could not be told from a step.
    if (name.includes(".")) continue;
    if (isScalar(field)) found[before + name] = field;
    else if (typeof field === "object" && field !== null && !Array.isArray(field))
      Object.assign(found, scalars(field, `${before}${name}.`));
  }
  return found;
}

function isScalar(value: Json): value is string | number | boolean {
  if (typeof value === "string") return value.length <= MAX_TEXT;
  return typeof value === "number" || typeof value === "boolean";
}

/** Exactly this effect again, for the same asker: what "approve and remember" writes. */
export function rememberedRule(effect: EffectRow, by: string, days: number, now_ms: number): string {
  const { summary, sha256: digest, cause } = effect;
  const rule: Rule = {
    ...{
      label: "",
      decision: "allow",
      kind: [effect.kind],
      target: effect.kind === "mail" ? effect.target.split(", ") : [effect.target],
    },
    ...{ source: [cause.source], origin: [originOf(cause.source)], sha256: digest },
    expires_ms: now_ms + days * DAY_MS,
  };
  const when = new Date(now_ms).toISOString().slice(0, 10);
  return ruleToml(
    rule,
    `remembered: ${summary.slice(0, 100)}`,
    `Approved and remembered by ${by} on ${when}.`,
  );
}

/** A rule as the policy file writes it. */
function ruleToml(rule: Rule, name: string, comment: string): string {
  const { kind, target, action, source, origin, payload, only, sha256: digest, decision, expires_ms } = rule;
  const list = (values: readonly string[]) =>
    values.length === 1 ? toml(values[0] ?? "") : `[${values.map(toml).join(", ")}]`;
  const lists = Object.entries({ kind, target, action, source, origin }).flatMap(([field, values]) =>
    values === undefined ? [] : [`${field} = ${list(values)}`],
  );
  const fields = Object.entries(payload ?? {}).map(([path, value]) => `${toml(path)} = ${toml(value)}`);
  return [
    `# ${comment.replaceAll(/\p{Cc}/gu, " ")}`,
    "[[rule]]",
    `name = ${toml(name.slice(0, 200))}`,
    ...lists,
    ...(fields.length === 0 ? [] : [`payload = { ${fields.join(", ")} }`]),
    ...(only === undefined ? [] : [`only = [${only.map(toml).join(", ")}]`]),
    ...(digest === undefined ? [] : [`sha256 = ${toml(digest)}`]),
    ...(expires_ms === undefined
      ? []
      : [`expires = ${new Date(expires_ms).toISOString().replace(/\.\d+/, "")}`]),
    `decision = ${toml(decision)}`,
    "",
  ].join("\n");
}

/** JSON's texts are TOML's but for one character. */
function toml(value: string | number | boolean): string {
  return JSON.stringify(value).replaceAll("\u007f", "\\u007F");
}
