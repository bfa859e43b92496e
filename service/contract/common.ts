import * as z from "zod";
import "./faults.ts";

/** A client and a service with different numbers do not talk (`protocol_mismatch`). Raise it when a reply changes shape. */
export const PROTOCOL = 1;

export const limits = {
  /** One event's body, payload, meta and raw together, in bytes of JSON. */
  eventBytes: 1_048_576,
  /** One request's body on the control socket, in bytes. */
  requestBytes: 16_777_216,
  /** Arrays and objects within each other, in any request and any event. */
  jsonDepth: 100,
  /** Events in one batch. */
  batchEvents: 1_000,
  /** Names: topics, sources, agents, workflows. In characters. */
  name: 200,
  /** Subjects and types, in characters. */
  subject: 500,
  /** Rows in one page. */
  page: 1_000,
} as const;

/** Refuses what SQLite and other programs read differently: NUL and half of a surrogate pair. */
const wellFormed = (text: string) => text.isWellFormed() && !text.includes("\0");
const wellFormedMessage = "must not contain NUL characters or lone surrogates";

export const text = (maxChars: number) => z.string().max(maxChars).refine(wellFormed, wellFormedMessage);

/** A name a person types: no spaces or control characters, so that it can stand in a path and in a subject. */
export const name = z
  .string()
  .min(1)
  .max(limits.name)
  .regex(/^[\p{L}\p{N}_@:./+-]+$/u, "may hold letters, digits and _ @ : . / + - only");

/** Dot-separated tokens by NATS rules; no wildcards, since this is what an event carries. */
export const subject = z
  .string()
  .min(1)
  .max(limits.subject)
  .regex(/^[^\s.*>\p{C}]+(\.[^\s.*>\p{C}]+)*$/u, "must be tokens joined by dots, without spaces, * or >");

/** A subject that may hold `*` (one token) and a last `>` (one or more tokens). */
export const subjectPattern = z
  .string()
  .min(1)
  .max(limits.subject)
  .regex(
    /^(\*|>|[^\s.*>\p{C}]+)(\.(\*|[^\s.*>\p{C}]+))*(\.>)?$/u,
    "must be a NATS subject pattern such as github.issue.* or github.>",
  )
  .refine((pattern) => !/^>\./.test(pattern), "> may stand at the end only");

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

// What reaches these has been through JSON.parse, so walking it again would only cost time on every push.
export const json = z.custom<Json>((value) => value !== undefined, "is missing");
export const jsonObject = z.custom<JsonObject>(isObject, "must be an object");

export const time_ms = z.int().min(0).max(8.64e15);
export const durationMs = z
  .int()
  .min(0)
  .max(366 * 24 * 3_600_000);

/** Query strings are text: `limit=20`. */
export const pageLimit = z.coerce.number().int().min(1).max(limits.page);
export const flag = z.union([
  z.boolean(),
  z.enum(["true", "false", "1", "0"]).transform((word) => word === "true" || word === "1"),
]);

/** For a route that needs nothing but its path: whatever is sent is ignored. */
export const empty = z.unknown().transform(() => ({}));
export const okReply = z.object({ ok: z.literal(true) });
