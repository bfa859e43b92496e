import { agentName } from "../contract/agent-name.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import type { Effect } from "../contract/effects.ts";
import type { Origin } from "../contract/policy.ts";
import type { BudgetCheck } from "../store/store.ts";
import { effectDigest } from "./approval-code.ts";

/** What a rule can see of an effect. */
export interface Judged {
  kind: string;
  target: string;
  action: string;
  payload: JsonObject;
  cause: Pick<Effect["cause"], "source" | "workflow">;
  /** What the hash covers besides; null when left out. */
  bound?: JsonObject | null | undefined;
  /** One like it was done before; false when left out. */
  familiar?: boolean | undefined;
}

/** Limits that are left out reach everything. Texts may hold `*` and `?`. */
export interface Rule {
  /** `policy.toml:12 deploys`, or `default: …`: what the effect records. */
  label: string;
  decision: Effect["policy"]["decision"];
  kind?: readonly string[] | undefined;
  target?: readonly string[] | undefined;
  action?: readonly string[] | undefined;
  workflow?: readonly string[] | undefined;
  origin?: readonly Origin[] | undefined;
  /** Path in the payload (`repo.name`) and what stands there. */
  payload?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Minutes since midnight, from and to; over midnight when `to` is the smaller. */
  time?: { from: number; to: number; zone: string | undefined } | undefined;
  expires_ms?: number | undefined;
  /** Exactly who asks: `workflow:labeller`, `cli`, an agent's name. */
  source?: readonly string[] | undefined;
  /** Exactly these bytes. */
  sha256?: string | undefined;
  /** The payload has no other fields than these. */
  only?: readonly string[] | undefined;
  /** Only what was done before (true), or what was not (false). */
  known?: boolean | undefined;
}

/** How many effects like this may go through unasked. Lists that are left out reach everything. */
export interface Budget {
  /** `policy.toml:20 labels`. */
  label: string;
  count?: number | undefined;
  /** Of all payloads together. */
  bytes?: number | undefined;
  per: "minute" | "hour" | "day";
  like: BudgetCheck["like"];
}

const perMs = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** A question is answered by nobody but a person, and a shell command needs its approval each time. */
export const ALWAYS_ASKED: ReadonlySet<string> = new Set(["ask", "shell"]);
/** Whose word is no permission: a rule that allows has to name them. */
const STRANGERS: ReadonlySet<Origin> = new Set(["agent", "model", "chat"]);

/** What counts where the policy file says nothing, tried last and in this order. Tests hold each by its name. */
export const defaultRules: readonly Rule[] = [
  {
    label: "default: what an agent, a model or a chat proposes is asked about",
    decision: "ask",
    origin: ["agent", "model", "chat"],
  },
  {
    label: "default: commands of a workflow file run",
    decision: "allow",
    kind: ["command"],
    origin: ["workflow"],
  },
  { label: "default: commands of the owner run", decision: "allow", kind: ["command"], origin: ["human"] },
  {
    label: "default: events and replies of a workflow file or the owner run",
    decision: "allow",
    kind: ["event", "reply"],
    origin: ["workflow", "human"],
  },
  {
    label: "default: HTTP to a host that the same workflow or owner reached before, in the same way, runs",
    decision: "allow",
    kind: ["http"],
    origin: ["workflow", "human"],
    known: true,
  },
  {
    label: "default: an action of a digest that was allowed before runs",
    decision: "allow",
    kind: ["action"],
    origin: ["workflow", "human"],
    known: true,
  },
  { label: "default: shell, mail, HTTP, actions and all else are asked about", decision: "ask" },
];

/** Only a workflow's file and the person at the command line or in the editor are the owner's own word. */
export function originOf(source: string): Origin {
  if (source.startsWith("workflow:")) return "workflow";
  if (source === "cli" || source === "vscode") return "human";
  if (source === "model" || source.startsWith("model:")) return "model";
  if (source === "chat" || source.startsWith("chat:")) return "chat";
  return "agent";
}

export interface Judgement {
  policy: Effect["policy"];
  steps: { rule: string; matched: boolean; why: string }[];
}

/** The first rule that matches decides; the defaults come after all others. */
export function judge(effect: Judged, rules: readonly Rule[] = [], now_ms = 0): Effect["policy"] {
  return explain(effect, rules, now_ms).policy;
}

export function explain(effect: Judged, rules: readonly Rule[], now_ms: number): Judgement {
  const steps: Judgement["steps"] = [];
  for (const rule of [...rules, ...defaultRules]) {
    const why = mismatch(rule, effect, now_ms);
    steps.push({ rule: rule.label, matched: why === null, why: why ?? `it says ${rule.decision}` });
    if (why === null) return { policy: { decision: rule.decision, rule: rule.label }, steps };
  }
  throw new Error("the last default rule matches everything");
}

/** Why the rule does not decide about this effect, or null when it does. */
function mismatch(rule: Rule, effect: Judged, now_ms: number): string | null {
  if (rule.expires_ms !== undefined && now_ms >= rule.expires_ms) return "it has expired";
  const origin = originOf(effect.cause.source);
  if (rule.origin && !rule.origin.includes(origin)) return `the origin is ${origin}`;
  if (rule.decision === "allow" && !rule.origin && STRANGERS.has(origin))
    return `it allows without naming an origin, so it does not reach what comes from ${origin}s`;
  if (rule.decision === "allow" && ALWAYS_ASKED.has(effect.kind))
    return `${effect.kind} is always asked about`;
  if (rule.known !== undefined && rule.known !== (effect.familiar ?? false))
    return effect.familiar ? "one like it was done before" : "none like it was done before";
  return (
    textMismatch(rule, effect) ??
    payloadMismatch(rule, effect) ??
    (rule.time && !isWithin(rule.time, now_ms) ? "it is another time of day" : null)
  );
}

function textMismatch(rule: Rule, { kind, target, action, cause }: Judged): string | null {
  const plain = (name: string) => (kind === "command" ? agentName(name) : name);
  const texts = [
    ["kind", rule.kind, kind],
    ["action", rule.action, action],
    ["workflow", rule.workflow, cause.workflow ?? ""],
    ["source", rule.source, cause.source],
  ] as const;
  for (const [name, wanted, is] of texts)
    if (wanted && !wanted.some((pattern) => matchesGlob(pattern, is)))
      return `the ${name} is ${is || "none"}`;
  // A mail has several: a rule that allows has to allow each of them, any other reaches it by one.
  const targets = kind === "mail" ? target.split(", ") : [plain(target)];
  const isMeant = (one: string) => rule.target?.some((pattern) => matchesGlob(plain(pattern), one)) ?? true;
  const reaches = rule.decision === "allow" ? targets.every(isMeant) : targets.some(isMeant);
  return reaches ? null : `the target is ${targets.find((one) => !isMeant(one)) || "none"}`;
}

function payloadMismatch(rule: Rule, effect: Judged): string | null {
  const { payload } = effect;
  if (rule.sha256 !== undefined && rule.sha256 !== effectDigest(effect)) return "its bytes are others";
  const other = rule.only && Object.keys(payload).find((field) => !rule.only?.includes(field));
  if (other !== undefined) return `payload.${other} is not among the fields it is for`;
  for (const [path, wanted] of Object.entries(rule.payload ?? {}))
    if (!matchesField(wanted, fieldAt(payload, path))) return `payload.${path} is something else`;
  return null;
}

function matchesField(wanted: string | number | boolean, is: Json | undefined): boolean {
  return typeof wanted === "string" && typeof is === "string" ? matchesGlob(wanted, is) : wanted === is;
}

function fieldAt(payload: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = payload;
  for (const step of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as JsonObject)[step];
  }
  return value;
}

/** `*` is any text, `?` one character. Without a regular expression: a rule must not be able to run for long. */
export function matchesGlob(pattern: string, text: string): boolean {
  const [wanted, given] = [[...pattern], [...text]];
  let at = 0;
  let star = -1;
  let resume = 0;
  let position = 0;
  while (position < given.length) {
    if (wanted[at] === "*") {
      star = at++;
      resume = position;
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === given[position])) {
      at++;
      position++;
    } else if (star >= 0) {
      at = star + 1;
      position = ++resume;
    } else return false;
  }
  return wanted.slice(at).every((rest) => rest === "*");
}

function isWithin({ from, to, zone }: NonNullable<Rule["time"]>, now_ms: number): boolean {
  const format = new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone: zone,
  });
  const [hours = 0, minutes = 0] = format.format(now_ms).split(":").map(Number);
  const minute = hours * 60 + minutes;
  return from <= to ? minute >= from && minute < to : minute >= from || minute < to;
}

/** Budgets that count this effect, with the time from which on they count. */
export function budgetsOf(effect: Judged, budgets: readonly Budget[], now_ms: number) {
  const { kind, target, action, cause } = effect;
  const is = { kind, target, action, workflow: cause.workflow ?? "", source: cause.source };
  return budgets
    .filter(({ like }) =>
      Object.entries(like).every(
        ([name, globs]) => !globs || globs.some((glob) => matchesGlob(glob, is[name as keyof typeof is])),
      ),
    )
    .map((budget) => ({ budget, since_ms: now_ms - perMs[budget.per] + 1 }));
}

const clockTime = (minutes: number) =>
  `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;

/** What a rule is limited to, for people. */
export function describeRule(rule: Rule): { rule: string; decision: Rule["decision"]; when: string[] } {
  const lists = [
    ["kind", rule.kind],
    ["target", rule.target],
    ["action", rule.action],
    ["workflow", rule.workflow],
    ["origin", rule.origin],
    ["source", rule.source],
  ] as const;
  const { time, expires_ms } = rule;
  return {
    rule: rule.label,
    decision: rule.decision,
    when: [
      ...lists.flatMap(([name, values]) => (values ? [`${name} ${values.join(" or ")}`] : [])),
      ...Object.entries(rule.payload ?? {}).map(([path, value]) => `payload.${path} ${value}`),
      ...(rule.only ? [`no fields but ${rule.only.join(", ")}`] : []),
      ...(rule.sha256 === undefined ? [] : [`exactly ${rule.sha256.slice(0, 12)}…`]),
      ...(rule.known === undefined ? [] : [rule.known ? "done before" : "not done before"]),
      ...(time ? [`${clockTime(time.from)}–${clockTime(time.to)}${time.zone ? ` ${time.zone}` : ""}`] : []),
      ...(expires_ms === undefined ? [] : [`until ${new Date(expires_ms).toISOString()}`]),
    ],
  };
}

/** `30 per hour`, `10 MB per day`, or both. */
export function describeLimit({ count, bytes, per }: Pick<Budget, "count" | "bytes" | "per">): string {
  const parts = [
    count === undefined ? [] : [String(count)],
    bytes === undefined ? [] : [`${bytes} bytes`],
  ].flat();
  return `${parts.join(" and ")} per ${per}`;
}

export function describeBudget({ label, count, bytes, per, like }: Budget) {
  const when = Object.entries(like).flatMap(([name, globs]) =>
    globs ? [`${name} ${globs.join(" or ")}`] : [],
  );
  return { budget: label, count: count ?? null, bytes: bytes ?? null, per, when };
}
