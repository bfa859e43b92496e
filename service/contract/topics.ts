import * as z from "zod";
import { durationMs, flag, json, jsonObject, name, pageLimit, text } from "./common.ts";
import { delivery, event, originKind } from "./events.ts";

export const topicCounts = z.object({
  pending: z.int(),
  /** Of the pending ones, those that wait for their time. */
  delayed: z.int(),
  processing: z.int(),
  completed: z.int(),
  failed: z.int(),
  dead: z.int(),
});

export const topicSettings = z.object({
  /** System prompt handed out with each claimed event. */
  prompt: z.string().nullable(),
  lease_ms: z.int(),
  max_attempts: z.int(),
  /** How long finished events stay; null: as `retention.completed_days` says. */
  retention_ms: z.int().nullable(),
  /** How long unclaimed events stay claimable; null: for ever. */
  pending_ttl_ms: z.int().nullable(),
  paused: z.boolean(),
  /** Agents that may claim; empty: all. */
  allow: z.array(z.string()),
});
export type TopicSettings = z.infer<typeof topicSettings>;

export const topic = topicSettings.extend({ name: z.string(), created_ms: z.int(), counts: topicCounts });
export type Topic = z.infer<typeof topic>;

const settingsPatch = z.strictObject({
  prompt: text(100_000).nullable().optional(),
  lease_ms: durationMs.min(100).optional(),
  max_attempts: z.int().min(1).max(1_000).optional(),
  retention_ms: durationMs.nullable().optional(),
  pending_ttl_ms: durationMs.nullable().optional(),
  paused: z.boolean().optional(),
  allow: z.array(name).max(1_000).optional(),
});
export const updateTopic = settingsPatch;
export type UpdateTopic = z.infer<typeof updateTopic>;
export const createTopic = settingsPatch.extend({ name });

export const claim = z.strictObject({
  /** Who claims: `@name`. */
  agent: name,
  limit: z.int().min(1).max(100).default(1),
  /** How long to wait for one when there is none. */
  wait_ms: durationMs.max(600_000).default(0),
  /** The topic's own lease when left out. */
  lease_ms: durationMs.min(100).optional(),
  /** Only this event, as long as it waits; without it the oldest that do. */
  event_id: text(200).optional(),
  /** False: a topic that does not exist is `not_found` instead of made, since its name may be mistyped. */
  create: z.boolean().default(true),
});
export type Claim = z.infer<typeof claim>;

/** A claimed event. Whoever holds `lease` may extend, complete, fail or release it. */
export const claimed = z.object({
  event,
  prompt: z.string().nullable(),
  /** Proof of the claim, new with each claim. */
  lease: z.string(),
  lease_until_ms: z.int(),
  /** 1 for the first claim. */
  attempt: z.int(),
});
export type Claimed = z.infer<typeof claimed>;
export const claimedList = z.object({ claimed: z.array(claimed) });

export const peeked = z.object({ events: z.array(event), prompt: z.string().nullable() });
export const peekQuery = z.strictObject({ limit: pageLimit.default(1) });

/** Who speaks for a claim: the lease itself, or at least the agent's name. With neither, whoever holds it is meant. */
const holder = { lease: z.string().optional(), agent: name.optional() };

export const extendClaim = z.strictObject({ ...holder, lease_ms: durationMs.min(100).optional() });
export const completeClaim = z.strictObject({ ...holder, result: json.optional() });
export const failClaim = z.strictObject({
  ...holder,
  error: text(10_000).default("failed"),
  /** Try again after this long; without it as the attempts left and a doubling back-off say. */
  retry_in_ms: durationMs.optional(),
  /** False: do not try again. */
  retry: z.boolean().default(true),
});
export const releaseClaim = z.strictObject({
  ...holder,
  /** Nobody gets it before this long. */
  delay_ms: durationMs.optional(),
});
export const settled = z.object({ event_id: z.string(), delivery });

export const reply = z.strictObject({
  ...holder,
  /** Who answers, where no agent does: `cli`. */
  source: name.optional(),
  /** What kind of sender `source` is; `agent` when left out. */
  origin_kind: originKind.optional(),
  /** `success` and `completed` mean the same, as do `failure` and `failed`. */
  status: z.enum(["success", "completed", "failed", "failure"]).default("success"),
  body: text(1_048_576).default(""),
  payload: jsonObject.optional(),
  meta: jsonObject.optional(),
  /** Where the answer goes; without it nobody can claim it, but everybody sees it. */
  topic: name.optional(),
  /** The session of the agent that answers, for its receipt. */
  session: text(200).optional(),
});
export type Reply = z.infer<typeof reply>;
export const replied = z.object({
  event_id: z.string(),
  reply_id: z.string(),
  seq: z.int(),
  correlation_id: z.string(),
  status: z.enum(["completed", "failed"]),
});

/** One end of a claim among many. */
export const settleItem = z.discriminatedUnion("action", [
  completeClaim.extend({ action: z.literal("complete"), event_id: z.string() }),
  failClaim.extend({ action: z.literal("fail"), event_id: z.string() }),
  releaseClaim.extend({ action: z.literal("release"), event_id: z.string() }),
  extendClaim.extend({ action: z.literal("extend"), event_id: z.string() }),
  reply.extend({ action: z.literal("reply"), event_id: z.string() }),
]);
export type SettleItem = z.infer<typeof settleItem>;
/** As many as one claim gives out. Each is a `settleItem`; a wrong one is refused by itself. */
export const settleBatch = z.strictObject({ items: z.array(json).min(1).max(100) });
/** One entry an item, in order. */
export const settledBatch = z.object({
  results: z.array(
    z.union([
      settled,
      replied,
      z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) }),
    ]),
  ),
});

export const purge = z.strictObject({
  status: z.enum(["pending", "completed", "failed", "dead", "all"]).default("pending"),
});
export const redrive = z.strictObject({
  event_ids: z.array(z.string()).max(1_000).optional(),
  include_failed: z.boolean().default(false),
});
/** Deleting a topic forgets its settings and its deliveries; its events stay in the log. */
export const deleteTopic = z.strictObject({
  /** Also when events are waiting in it. */
  force: flag.default(false),
});
export const counted = z.object({ count: z.int() });
