import * as z from "zod";
import { durationMs, json, jsonObject, name, pageLimit, text } from "./common.ts";

/**
 * `waiting` is for a person's decision, `unknown` for an attempt whose end nobody saw: it may have happened, so
 * it is never repeated unseen.
 */
export const effectState = z.enum([
  "proposed",
  "waiting",
  "approved",
  "running",
  "succeeded",
  "failed",
  "denied",
  "expired",
  "skipped",
  "unknown",
]);
export type EffectState = z.infer<typeof effectState>;

/**
 * `command` goes to an agent or a connector; `ask` is a question that a person answers, its result is the choice. The
 * others are what this service carries out itself: `http`, `mail`, `shell`, `action`, …
 */
export const effectKindName = z
  .string()
  .regex(/^[a-z][a-z_]*$/, "must be a kind of effect such as command, ask, http or shell");

export const policyDecision = z.enum(["allow", "ask", "deny"]);

/** One act on the outside world: what, why, who allowed it, what came of it. */
export const effect = z.object({
  id: z.string(),
  kind: effectKindName,
  /** Whom it goes to: the agent of a command. */
  target: z.string(),
  /** What is asked for: the command. */
  action: z.string(),
  payload: jsonObject,
  /** Hex SHA-256 of the canonical JSON of kind, target, action, payload, and bound where there is any. */
  sha256: z.string(),
  /** What the hash covers besides, such as the digest of a script. */
  bound: jsonObject.nullable(),
  /** What whoever asks says of it, in their own words. */
  note: z.string().nullable(),
  /** One line that a person understands. */
  summary: z.string(),
  state: effectState,
  cause: z.object({
    event_id: z.string().nullable(),
    run_id: z.string().nullable(),
    workflow: z.string().nullable(),
    /** Digest of the workflow's text. */
    version: z.string().nullable(),
    /** `labeller.lua:12`. */
    line: z.string().nullable(),
    /** `workflow:labeller`, `cli`, … */
    source: z.string(),
  }),
  policy: z.object({ decision: policyDecision, rule: z.string() }),
  correlation_id: z.string().nullable(),
  attempts: z.int(),
  claimed_by: z.string().nullable(),
  created_ms: z.int(),
  updated_ms: z.int(),
  not_before_ms: z.int().nullable(),
  expires_ms: z.int().nullable(),
  result: json.nullable(),
  error: z.string().nullable(),
  /** The event that tells its end. */
  result_event_id: z.string().nullable(),
});
export type Effect = z.infer<typeof effect>;

export const effectQuery = z.strictObject({
  state: effectState.optional(),
  target: name.optional(),
  workflow: name.optional(),
  event_id: text(200).optional(),
  run_id: text(200).optional(),
  limit: pageLimit.default(50),
  /** Ids sort by time: only effects made before this one. */
  before: text(200).optional(),
});
export type EffectQuery = z.infer<typeof effectQuery>;
export const oneEffectQuery = z.strictObject({
  /** How long to wait while it has not ended. */
  wait_ms: z.coerce.number().int().min(0).max(600_000).default(0),
});
export const effectPage = z.object({ effects: z.array(effect), next: z.string().nullable() });

/**
 * What somebody wants done. For a command `target` is the agent and `action` the command; all other kinds make both from
 * the payload. A model's action block fits as it is: `type` stands for `kind` and may be an older name, `target` for the
 * payload's own field, `summary` is kept as a note.
 */
export const proposeEffect = z.strictObject({
  kind: name.optional(),
  type: name.optional(),
  target: text(10_000).optional(),
  action: name.optional(),
  payload: jsonObject.default({}),
  summary: text(2_000).optional(),
  /** Who asks: an agent's name, `model:…`, `cli`. */
  source: name,
  /** The event it is about. */
  event_id: text(200).optional(),
  /** The same key from the same source is the same effect. */
  idempotency_key: text(500).optional(),
  expires_in_ms: durationMs.min(1_000).optional(),
});

export const effectRoutes = {
  proposeEffect: {
    method: "POST",
    path: "/v1/effects",
    summary: "Propose an act on the outside world; the policy decides whether a person is asked.",
    body: proposeEffect,
    reply: effect,
    status: 202,
  },
  previewEffect: {
    method: "POST",
    path: "/v1/effects/preview",
    summary: "Show what an act would be and what the policy says of it, without recording anything.",
    body: proposeEffect,
    reply: effect,
  },
  listKinds: {
    method: "GET",
    path: "/v1/kinds",
    summary: "List the kinds of acts that the service carries out itself.",
    reply: z.object({
      kinds: z.array(
        z.object({
          kind: z.string(),
          title: z.string(),
          aliases: z.array(z.string()),
          /** What makes one of this kind known to the policy: its target, what it binds to, or nothing. */
          remembers: z.enum(["target", "bind", "never"]),
        }),
      ),
    }),
  },
} as const;

/** What a workflow would do; nothing of it has happened. */
export const proposedEffect = z.object({
  /** `publish`, `state`, or a kind of effect. */
  kind: z.string(),
  summary: z.string(),
  target: z.string(),
  payload: json,
  /** Of a publish: the queue it can be claimed from, and its text. */
  topic: z.string().nullable().optional(),
  body: z.string().nullable().optional(),
  line: z.string().nullable(),
});
export type ProposedEffect = z.infer<typeof proposedEffect>;
