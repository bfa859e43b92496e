import * as z from "zod";
import { durationMs, json, name, pageLimit, text } from "./common.ts";
import { effect } from "./effects.ts";

/** Who decided first. */
export const approvalDecision = z.object({
  decision: z.enum(["approve", "deny", "expire"]),
  by: z.string().nullable(),
  reason: z.string().nullable(),
  time_ms: z.int(),
});
export type ApprovalDecision = z.infer<typeof approvalDecision>;

/** An effect that a person decides about, with what they need to know for it. */
export const approval = z.object({
  /** 8 characters without look-alikes. It stands for exactly these bytes: changed ones have another. */
  code: z.string(),
  effect,
  /** `workflow:labeller`, an agent's name, … */
  asked_by: z.string(),
  /** From the first event to the one behind the effect; `effect.cause.line` is the place in the workflow. */
  chain: z.array(
    z.object({
      event_id: z.string(),
      type: z.string(),
      source: z.string(),
      origin_kind: z.string(),
      time_ms: z.int(),
      body: z.string().nullable(),
    }),
  ),
  /** What to look at before approving: sentences. */
  risks: z.array(z.string()),
  /** Against the last effect of the same kind and target that was allowed; null when there is none. */
  difference: z
    .object({
      effect_id: z.string(),
      created_ms: z.int(),
      changes: z.array(z.object({ path: z.string(), before: json.optional(), after: json.optional() })),
    })
    .nullable(),
  /** Nobody's decision until then counts as a no. */
  expires_ms: z.int().nullable(),
  decision: approvalDecision.nullable(),
});
export type Approval = z.infer<typeof approval>;

const approvalId = z.object({
  /** The effect's id, or the code. */
  approval: z.string(),
});

export const decideApproval = z.strictObject({
  decision: z.enum(["approve", "deny"]),
  /** What is decided about: the effect's `sha256` or the code. One of them has to be given. */
  sha256: text(64).optional(),
  code: text(20).optional(),
  reason: text(2_000).optional(),
  /** For a yes: exactly this, asked for by the same, needs nobody's yes for so many days. It becomes a rule. */
  remember_days: z.int().min(1).max(365).optional(),
  /** The answer to a question that has several. */
  choice: text(200).optional(),
  /** Who decides. Neither a workflow nor an agent may. */
  by: name,
});

export const approvalQuery = z.strictObject({
  limit: pageLimit.default(50),
  /** Only approvals of effects with a smaller id. */
  before: text(200).optional(),
});

/** A question for a person, from an agent. The answer is the effect's result. */
export const askPerson = z.strictObject({
  title: text(500).min(1),
  details: text(10_000).optional(),
  /** What can be answered. */
  choices: z.array(text(200).min(1)).min(1).max(20).default(["yes", "no"]),
  /** The agent that asks. Neither a workflow nor a person. */
  source: name,
  /** The event it is about. */
  event_id: text(200).optional(),
  /** The same key from the same source is the same question. */
  idempotency_key: text(500).optional(),
  expires_in_ms: durationMs.min(1_000).optional(),
});

export const approvalRoutes = {
  askPerson: {
    method: "POST",
    path: "/v1/approvals",
    summary: "Ask a person something, as an agent.",
    body: askPerson,
    reply: effect,
    status: 202,
  },
  listApprovals: {
    method: "GET",
    path: "/v1/approvals",
    summary: "List effects that wait for a person, newest first.",
    query: approvalQuery,
    reply: z.object({ approvals: z.array(approval), next: z.string().nullable() }),
  },
  streamApprovals: {
    method: "GET",
    path: "/v1/approvals/stream",
    summary: "Follow what waits for a person, and each decision.",
    reply: approval,
    stream: "sse",
  },
  getApproval: {
    method: "GET",
    path: "/v1/approvals/:approval",
    summary: "Show one approval, by its effect's id or its code.",
    params: approvalId,
    reply: approval,
  },
  decideApproval: {
    method: "POST",
    path: "/v1/approvals/:approval/decide",
    summary: "Approve or deny; the first decision counts.",
    params: approvalId,
    body: decideApproval,
    reply: approval,
  },
} as const;
