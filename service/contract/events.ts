import * as z from "zod";
import {
  durationMs,
  flag,
  json,
  jsonObject,
  name,
  pageLimit,
  subject,
  subjectPattern,
  text,
  time_ms,
} from "./common.ts";

export const originKind = z.enum(["human", "agent", "webhook", "system", "workflow"]);
export type OriginKind = z.infer<typeof originKind>;

/** State of a delivery. makiso's event status is the delivery of group `default` (U2). */
export const deliveryStatus = z.enum(["pending", "processing", "completed", "failed", "dead"]);
export type DeliveryStatus = z.infer<typeof deliveryStatus>;

/** One fact, never changed after it was recorded (U1). */
export const event = z.object({
  /** `evt_` + ULID. */
  id: z.string(),
  /** Place in the log: 1, 2, 3, … with gaps where old events were cleaned up. */
  seq: z.int(),
  schema_version: z.int(),
  /** Noun, then past tense: `github.issue.opened`. */
  type: z.string(),
  /** Who says so: `github`, `cli`, `workflow:labeller`. */
  source: z.string(),
  subject: z.string(),
  /** The queue it can be claimed from, if any. */
  topic: z.string().nullable(),
  /** When it happened. */
  time_ms: z.int(),
  /** When the log took it; never smaller than that of an earlier `seq`. */
  recorded_ms: z.int(),
  body: z.string().nullable(),
  payload: jsonObject,
  meta: jsonObject,
  conversation_key: z.string().nullable(),
  user_key: z.string().nullable(),
  correlation_id: z.string().nullable(),
  /** The event that caused this one. */
  parent_id: z.string().nullable(),
  /** The id it has where it came from; unique per source. */
  external_id: z.string().nullable(),
  scope: z.string().nullable(),
  origin_kind: originKind,
  /** How many events caused each other up to this one. */
  depth: z.int(),
  /** Set when `depth` passed the limit: no workflow is given it. */
  parked: z.boolean(),
});
export type Event = z.infer<typeof event>;

/** What a caller may say of a new event. Only one of type, topic, subject, body or payload is needed. */
export const newEvent = z.strictObject({
  schema_version: z.literal(1).optional(),
  /** `message.pushed` when left out. */
  type: subject.optional(),
  /** `cli`, `agent` … ; `api` when left out. */
  source: name.optional(),
  /** `topics.<topic>` for an event with a topic, else its type. */
  subject: subject.optional(),
  topic: name.optional(),
  time_ms: time_ms.optional(),
  body: text(1_048_576).optional(),
  payload: jsonObject.optional(),
  meta: jsonObject.optional(),
  /** The original message, sensitive: kept apart, dropped after `retention.raw_days`. */
  raw: json.nullish(),
  conversation_key: text(500).optional(),
  user_key: text(500).optional(),
  correlation_id: text(200).optional(),
  parent_id: text(200).optional(),
  external_id: text(500).optional(),
  scope: text(200).optional(),
  origin_kind: originKind.optional(),
  /** Not claimable before this time (M22). */
  not_before_ms: time_ms.optional(),
  delay_ms: durationMs.optional(),
  /**
   * Pushing the same key again from the same source gives back the first event; with other content it is
   * refused (`idempotency_conflict`).
   */
  idempotency_key: text(500).optional(),
  /** What was recorded elsewhere before: it is kept and found, and no workflow or schedule hears of it. */
  history: z.boolean().optional(),
  /** How it ended before it came here: it is in its topic as finished, and nobody can claim it. */
  status: z.enum(["completed", "failed"]).optional(),
  /** Names to index as spoken to, with or without `@`, besides those found in the body (M11). */
  mentions: z.array(text(200)).max(100).optional(),
  /** Tool calls to index, besides those found in meta and body (M12). */
  tool_calls: z.array(text(200)).max(100).optional(),
});
export type NewEvent = z.infer<typeof newEvent>;

export const pushed = z.object({
  event_id: z.string(),
  seq: z.int(),
  /** True when it was there already; nothing was written. */
  duplicate: z.boolean(),
  /** Follow it with `GET /v1/runs/:run_id` (P4). */
  run_id: z.string(),
});
export type Pushed = z.infer<typeof pushed>;

export const pushBatch = z.strictObject({ events: z.array(json).min(1).max(1_000) });
/** One entry an event, in order: a bad one is refused by itself and the others are kept. */
export const pushedBatch = z.object({
  results: z.array(
    z.union([
      pushed,
      z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) }),
    ]),
  ),
});
export type PushedBatch = z.infer<typeof pushedBatch>;

/**
 * Answer after so many milliseconds, with what was found by then; `searched_to_ms` says how far that is. Clients of
 * this package that leave it out get the whole page.
 */
const withinMs = z.coerce.number().int().min(1).max(60_000).optional();

export const eventQuery = z.strictObject({
  topic: name.optional(),
  status: deliveryStatus.optional(),
  source: name.optional(),
  type: text(500).optional(),
  subject: subjectPattern.optional(),
  /** `@name` or `name` (M5). */
  mention: text(200).optional(),
  /** Name of a tool that the event speaks of (M6). */
  tool: text(200).optional(),
  agent: name.optional(),
  correlation_id: text(200).optional(),
  conversation_key: text(500).optional(),
  parent_id: text(200).optional(),
  scope: text(200).optional(),
  /** Recorded at or after, and before, in milliseconds since the epoch. */
  since_ms: z.coerce.number().int().min(0).optional(),
  until_ms: z.coerce.number().int().min(0).optional(),
  limit: pageLimit.default(50),
  /** Only events with a smaller `seq`: the `next` of the page before. */
  before: z.coerce.number().int().min(1).optional(),
  oldest_first: flag.optional(),
  within_ms: withinMs,
});
export type EventQuery = z.infer<typeof eventQuery>;

export const searchQuery = z.strictObject({
  /**
   * Words that must all occur; "quoted text" is a phrase, a final * finds beginnings of three letters or more. Nothing
   * in it is syntax that can break.
   */
  text: text(1_000).min(1),
  topic: name.optional(),
  type: text(500).optional(),
  source: name.optional(),
  status: deliveryStatus.optional(),
  /** `recent`: newest first. `ranked`: best match first among the newest 500 matches. */
  order: z.enum(["recent", "ranked"]).default("recent"),
  limit: pageLimit.default(50),
  before: z.coerce.number().int().min(1).optional(),
  within_ms: withinMs,
});
export type SearchQuery = z.infer<typeof searchQuery>;

/** An event with what the default group has made of it. */
export const listedEvent = event.extend({ status: deliveryStatus.nullable() });
export type ListedEvent = z.infer<typeof listedEvent>;

export const eventPage = z.object({
  events: z.array(listedEvent),
  /** Give it as `before` for the next page, or to go on where the time was up; null on the last. */
  next: z.int().nullable(),
  /**
   * Where the time was up: of what was recorded before this, nothing was looked at (after this, with the oldest
   * first). Absent when nothing was left out.
   */
  searched_to_ms: z.int().optional(),
});

export type EventPage = z.infer<typeof eventPage>;

/** What became of an event in one consumer group. */
export const delivery = z.object({
  group: z.string(),
  status: deliveryStatus,
  claimed_by: z.string().nullable(),
  lease_until_ms: z.int().nullable(),
  not_before_ms: z.int().nullable(),
  attempts: z.int(),
  last_error: z.string().nullable(),
  finished_ms: z.int().nullable(),
});
export type Delivery = z.infer<typeof delivery>;

export const streamQuery = z.strictObject({
  subject: subjectPattern.optional(),
  topic: name.optional(),
  type: text(500).optional(),
  source: name.optional(),
  /** Begin after this `seq`; without it and without Last-Event-ID, with what happens from now on. */
  after: z.coerce.number().int().min(0).optional(),
});
export type StreamQuery = z.infer<typeof streamQuery>;
