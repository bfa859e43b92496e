import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import * as z from "zod";
import { agentName } from "../contract/agent-name.ts";
import { effectKindName, policyDecision } from "../contract/effects.ts";
import { SignalboxError } from "../contract/errors.ts";
import { type Act, act, origin } from "../contract/policy.ts";
import type { Logger } from "../lib/log.ts";
import { type Budget, explain, type Judged, type Judgement, type Rule } from "./policy.ts";

/** TOML as it was read, with the line of every key. */
export interface ParsedToml {
  readonly content: Readonly<Record<string, unknown>>;
  lineOf(path: readonly PropertyKey[]): number;
}
/** @throws SignalboxError `invalid_config` with file and line */
export type ParseToml = (file: string, text: string) => ParsedToml;

export interface Policy {
  readonly rules: readonly Rule[];
  readonly budgets: readonly Budget[];
}

const oneOrMore = <T extends z.ZodType>(schema: T) =>
  z.union([schema.transform((one) => [one]), z.array(schema).min(1)]);
const globs = oneOrMore(z.string().min(1).max(500));
const CLOCK = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/;

const ruleSchema = z.strictObject({
  name: z.string().min(1).max(200).optional(),
  decision: policyDecision,
  kind: oneOrMore(effectKindName).optional(),
  target: globs.optional(),
  action: globs.optional(),
  workflow: globs.optional(),
  origin: oneOrMore(origin).optional(),
  payload: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  time: z.string().regex(CLOCK, "must be a time of day such as 09:00-17:30").optional(),
  time_zone: z.string().refine(isTimeZone, "must be a time zone such as Europe/Berlin").optional(),
  expires: z.date("must be a date such as 2026-12-31 or 2026-12-31T18:00:00Z").optional(),
  known: z.boolean().optional(),
  source: globs.optional(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  only: z.array(z.string().min(1).max(200)).optional(),
});
const SIZE = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)$/i;
const units: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9 };
const size = z.union([
  z.int().min(0),
  z
    .string()
    .regex(SIZE, 'must be a size such as "500 KB" or "10 MB"')
    .transform((text) => {
      const [, number = "0", unit = "B"] = SIZE.exec(text) ?? [];
      return Math.round(Number(number) * (units[unit.toUpperCase()] ?? 1));
    }),
]);
const budgetSchema = z
  .strictObject({
    name: z.string().min(1).max(200).optional(),
    count: z.int().min(0).optional(),
    bytes: size.optional(),
    per: z.enum(["minute", "hour", "day"]),
    kind: oneOrMore(effectKindName).optional(),
    target: globs.optional(),
    action: globs.optional(),
    workflow: globs.optional(),
    source: globs.optional(),
  })
  .refine(({ count, bytes }) => count !== undefined || bytes !== undefined, "needs count or bytes, or both");
const policySchema = z.strictObject({
  rule: z.array(ruleSchema).default([]),
  budget: z.array(budgetSchema).default([]),
});

const caseSchema = act.omit({ at_ms: true }).extend({
  name: z.string().min(1),
  expect: policyDecision,
  at: z.date("must be a date and time").optional(),
});
const casesSchema = z.strictObject({ case: z.array(caseSchema).min(1) });

/** @throws SignalboxError `invalid_config`: file, line and what is wrong */
export function parsePolicy(file: string, text: string, parse: ParseToml): Policy {
  const toml = parse(file, text);
  const { rule: rules, budget: budgets } = checked(policySchema, file, toml);
  return {
    rules: rules.map(({ name, time, time_zone, expires, ...rule }, index) => ({
      ...rule,
      label: `${basename(file)}:${toml.lineOf(["rule", index])} ${name ?? `rule ${index + 1}`}`,
      time: time === undefined ? undefined : { ...minutesOf(time), zone: time_zone },
      expires_ms: expires?.getTime(),
    })),
    budgets: budgets.map(({ name, count, bytes, per, target, ...like }, index) => ({
      label: `${basename(file)}:${toml.lineOf(["budget", index])} ${name ?? `budget ${index + 1}`}`,
      ...{ count, bytes, per },
      like: { ...like, target: target?.map(agentName) },
    })),
  };
}

/** What a test file expects. @throws SignalboxError `invalid_config` */
export function parseCases(file: string, text: string, parse: ParseToml) {
  return checked(casesSchema, file, parse(file, text)).case.map(({ at, ...one }) => ({
    ...one,
    at_ms: at?.getTime(),
  }));
}

/** A made-up act, as the rules see it. */
export function judgedOf({ kind, target, action, payload, source }: Omit<Act, "at_ms">): Judged {
  const workflow = source.startsWith("workflow:") ? source.slice("workflow:".length) : null;
  return { kind, target, action, payload, cause: { source, workflow } };
}

function checked<T extends z.ZodType>(schema: T, file: string, toml: ParsedToml): z.output<T> {
  const parsed = schema.safeParse(toml.content);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
    return `${file}:${toml.lineOf(path)}: ${path.join(".")}: ${issue.message}`;
  });
  throw new SignalboxError("invalid_config", faults.join("\n"), {
    hint: "docs/policy.md lists what a rule may say; until it is right, the last good file counts.",
  });
}

function minutesOf(time: string) {
  const [, fromHour, fromMinute, toHour, toMinute] = (CLOCK.exec(time) ?? []).map(Number);
  return {
    from: (fromHour ?? 0) * 60 + (fromMinute ?? 0),
    to: (toHour ?? 0) * 60 + (toMinute ?? 0),
  };
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false; // Intl says so by throwing.
  }
}

/** Where no good file was read since the start and there is a bad one: nobody knows what it meant to forbid. */
const askAlways = (problem: string): Policy => ({
  rules: [
    { label: `the policy file can't be used, so everything is asked about (${problem})`, decision: "ask" },
  ],
  budgets: [],
});

/**
 * The policy file in use. It is looked at whenever something is judged, so that a change counts at once. Without a
 * file the defaults count; a bad one changes nothing but for what it says in `problem` and the log.
 */
export class PolicyFile {
  readonly file: string;
  readonly #parse: ParseToml;
  readonly #log: Logger;
  #seen: string | undefined;
  #good: Policy | null = null;
  #problem: string | null = null;

  constructor(options: { file: string; parse: ParseToml; log: Logger }) {
    this.file = options.file;
    this.#parse = options.parse;
    this.#log = options.log;
  }

  get problem(): string | null {
    this.#look();
    return this.#problem;
  }

  current(): Policy {
    this.#look();
    if (this.#problem !== null && this.#good === null) return askAlways(this.#problem);
    return this.#good ?? { rules: [], budgets: [] };
  }

  /**
   * Adds a rule after all others, so that it never takes precedence over one that a person wrote. What stands in the
   * file stays as it is.
   * @throws SignalboxError `invalid_config` (the file can't be used as it is)
   */
  append(rule: string): void {
    const before = existsSync(this.file) ? readFileSync(this.file, "utf8") : "";
    const text = `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}${before === "" ? "" : "\n"}${rule}`;
    this.check(this.file, text);
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o700 });
    const draft = `${this.file}.${process.pid}.new`;
    writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
    renameSync(draft, this.file);
    this.#look();
  }

  judge(effect: Judged, now_ms: number): Judgement {
    return explain(effect, this.current().rules, now_ms);
  }

  check(file: string, text: string): Policy {
    return parsePolicy(file, text, this.#parse);
  }

  /** Judges the cases of a test file. */
  test(request: { file: string; text: string; policy?: string | undefined }, now_ms: number) {
    const { rules } = request.policy === undefined ? this.current() : this.check(this.file, request.policy);
    return parseCases(request.file, request.text, this.#parse).map(({ name, expect, at_ms, ...one }) => {
      const { decision, rule } = explain(judgedOf(one), rules, at_ms ?? now_ms).policy;
      return { name, expect, decision, rule, ok: decision === expect };
    });
  }

  #look(): void {
    const stat = statSync(this.file, { throwIfNoEntry: false });
    const seen = stat ? `${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}` : "none";
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#problem = null;
    if (!stat) {
      this.#good = null;
      return;
    }
    try {
      if (process.platform !== "win32" && (stat.mode & 0o022) !== 0)
        throw new SignalboxError("forbidden", `${this.file}:1: others may write to this file; chmod go-w it`);
      this.#good = this.check(this.file, readFileSync(this.file, "utf8"));
      this.#log.info({ file: this.file, rules: this.#good.rules.length }, "the policy file was read");
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#log.error(
        { err: error, file: this.file },
        "the policy file can't be used; the one before counts",
      );
    }
  }
}
