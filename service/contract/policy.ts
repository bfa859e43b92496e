import * as z from "zod";
import { jsonObject, name, text } from "./common.ts";
import { policyDecision } from "./effects.ts";

/** Who is behind an effect: a workflow's file, the owner, or somebody whose word is no permission. */
export const origin = z.enum(["workflow", "human", "agent", "model", "chat"]);
export type Origin = z.infer<typeof origin>;

/** An act to be judged that need not exist. */
export const act = z.strictObject({
  kind: name.default("command"),
  target: text(500),
  action: text(500).default(""),
  payload: jsonObject.default({}),
  /** `workflow:labeller`, `cli`, the name of an agent, … */
  source: text(200),
  /** Judged as if it were this time; now when left out. */
  at_ms: z.int().min(0).optional(),
});
export type Act = z.infer<typeof act>;

export const policyRule = z.object({
  /** `policy.toml:12 deploys`, or `default: …`. */
  rule: z.string(),
  decision: policyDecision,
  /** What it is limited to, in words; empty for what reaches everything. */
  when: z.array(z.string()),
});

/** How many effects may go through unasked; further ones wait for a person. */
export const policyBudget = z.object({
  /** `policy.toml:20 labels`. */
  budget: z.string(),
  count: z.int().nullable(),
  /** Of all payloads together. */
  bytes: z.int().nullable(),
  per: z.enum(["minute", "hour", "day"]),
  when: z.array(z.string()),
});

export const policyReply = z.object({
  file: z.string(),
  /** Why the file as it is now does not count; the last good one does, or everything is asked about. */
  problem: z.string().nullable(),
  /** In the order they are tried: the first that matches decides. */
  rules: z.array(policyRule),
  budgets: z.array(policyBudget),
});

export const checkPolicy = z.strictObject({
  text: text(1_000_000),
  file: text(4_000).default("policy.toml"),
});
export const policyChecked = z.object({
  ok: z.boolean(),
  /** File, line and what is wrong. */
  problem: z.string().nullable(),
  rules: z.array(policyRule),
  budgets: z.array(policyBudget),
});

/** Give one of the two. */
export const explainPolicy = z.strictObject({ effect_id: text(200).optional(), act: act.optional() });
export const policyExplained = z.object({
  decision: policyDecision,
  rule: z.string(),
  origin,
  /** Every rule up to the one that decided, and why it did not. */
  steps: z.array(z.object({ rule: z.string(), matched: z.boolean(), why: z.string() })),
});

export const testPolicy = z.strictObject({
  /** TOML with `[[case]]` tables. */
  text: text(1_000_000),
  file: text(4_000).default("cases.toml"),
  /** Text of a policy file to be tested; the one in use when left out. */
  policy: text(1_000_000).optional(),
});
export const policyTested = z.object({
  results: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      expect: policyDecision,
      decision: policyDecision,
      rule: z.string(),
    }),
  ),
});

export const suggestion = z.object({
  /** Follows from the rule, so that what was looked at is what is accepted. */
  id: z.string(),
  decision: z.enum(["allow", "deny"]),
  /** What the policy file gets. */
  toml: z.string(),
  why: z.string(),
  expires_ms: z.int(),
  /** Every past decision that the rule would have reached. */
  past: z.array(
    z.object({
      effect_id: z.string(),
      summary: z.string(),
      decision: z.enum(["approve", "deny"]),
      by: z.string(),
      time_ms: z.int(),
    }),
  ),
});
export type Suggestion = z.infer<typeof suggestion>;

export const policyRoutes = {
  getPolicy: {
    method: "GET",
    path: "/v1/policy",
    summary: "List the rules that decide about effects.",
    reply: policyReply,
  },
  checkPolicy: {
    method: "POST",
    path: "/v1/policy/check",
    summary: "Read a policy file's text without using it.",
    body: checkPolicy,
    reply: policyChecked,
  },
  explainPolicy: {
    method: "POST",
    path: "/v1/policy/explain",
    summary: "Tell which rule decides about an effect, and why.",
    body: explainPolicy,
    reply: policyExplained,
  },
  testPolicy: {
    method: "POST",
    path: "/v1/policy/test",
    summary: "Judge made-up effects and compare with what is expected.",
    body: testPolicy,
    reply: policyTested,
  },
  suggestPolicy: {
    method: "GET",
    path: "/v1/policy/suggestions",
    summary: "Suggest narrow rules for what persons decided in the same way again and again.",
    reply: z.object({ suggestions: z.array(suggestion) }),
  },
  acceptSuggestion: {
    method: "POST",
    path: "/v1/policy/suggestions/:suggestion/accept",
    summary: "Add a suggested rule to the policy file, as a person.",
    params: z.object({ suggestion: z.string() }),
    body: z.strictObject({ by: name }),
    reply: z.object({ rule: z.string(), file: z.string() }),
  },
} as const;
