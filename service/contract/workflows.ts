import * as z from "zod";
import { json, jsonObject, name, pageLimit, text } from "./common.ts";
import { proposedEffect } from "./effects.ts";
import { event } from "./events.ts";

export const sourceError = z.object({
  message: z.string(),
  file: z.string().nullable(),
  line: z.int().nullable(),
  traceback: z.string().nullable(),
});
export type SourceError = z.infer<typeof sourceError>;

export const handler = z.object({
  /** Place in the file's order of `on` and `schedule` calls, from 1. */
  id: z.int(),
  kind: z.enum(["event", "schedule"]),
  /** NATS subject pattern; null for a schedule. */
  pattern: z.string().nullable(),
  every_ms: z.int().nullable(),
  line: z.int(),
});
export type Handler = z.infer<typeof handler>;

/** `failed`: does not load and no earlier version runs. `parked`: stopped by itself after three strikes. */
export const workflowState = z.enum(["active", "disabled", "failed", "parked"]);

export const workflow = z.object({
  name: z.string(),
  file: z.string(),
  state: workflowState,
  /** Why it is in that state, or why its newest text is not what runs. */
  problem: sourceError.nullable(),
  /** Digest of the text that runs. */
  version: z.string().nullable(),
  handlers: z.array(handler),
  loaded_ms: z.int().nullable(),
  events: z.int(),
  errors: z.int(),
  last_run_ms: z.int().nullable(),
  /** Events that wait for it. */
  lag: z.int(),
});
export type Workflow = z.infer<typeof workflow>;

export const runStatus = z.enum([
  "queued",
  "running",
  "waiting",
  "succeeded",
  "failed",
  "cancelled",
  "skipped",
]);
export type RunStatus = z.infer<typeof runStatus>;

export const logLine = z.object({
  time_ms: z.int(),
  level: z.enum(["debug", "info", "warn", "error"]),
  message: z.string(),
  line: z.int().nullable(),
  /** A script's `print`: what it writes to standard output. */
  print: z.literal(true).optional(),
});
export type LogLine = z.infer<typeof logLine>;

/** One handler's work on one event (or one due time of a schedule). */
export const run = z.object({
  run_id: z.string(),
  workflow: z.string().nullable(),
  handler: z.int().nullable(),
  event_id: z.string().nullable(),
  status: runStatus,
  attempts: z.int(),
  version: z.string().nullable(),
  line: z.string().nullable(),
  started_ms: z.int().nullable(),
  finished_ms: z.int().nullable(),
  /** What it waits for, in words. */
  waiting_for: z.string().nullable(),
  /** What the handler returned. */
  output: json.nullable(),
  error: sourceError.nullable(),
  logs: z.array(logLine),
});
export type Run = z.infer<typeof run>;

export const runQuery = z.strictObject({
  workflow: name.optional(),
  status: runStatus.optional(),
  event_id: text(200).optional(),
  limit: pageLimit.default(50),
  before: text(200).optional(),
});
export type RunQuery = z.infer<typeof runQuery>;
export const runPage = z.object({ runs: z.array(run), next: z.string().nullable() });

export const checkSource = z.strictObject({
  source: text(1_048_576),
  file: text(1_000).default("workflow.lua"),
});
export const checkReply = z.object({
  ok: z.boolean(),
  handlers: z.array(handler),
  error: sourceError.nullable(),
});

export const testRun = z.strictObject({
  /** The Lua text, or the name of a loaded workflow. */
  source: text(1_048_576).optional(),
  file: text(1_000).default("workflow.lua"),
  workflow: name.optional(),
  /** A recorded event, or a made-up one. */
  event_id: text(200).optional(),
  event: jsonObject.optional(),
  /** What each call, question and action gets, in order; without one the test ends there. */
  results: z.array(json).max(100).default([]),
  /** The same where some fail: `error` is what the handler's `pcall` reads. Come after `results`. */
  answers: z
    .array(z.union([z.strictObject({ result: json }), z.strictObject({ error: text(10_000) })]))
    .max(100)
    .default([]),
});
export const tested = z.object({
  event,
  runs: z.array(
    z.object({
      handler,
      status: runStatus,
      waiting_for: z.string().nullable(),
      output: json.nullable(),
      error: sourceError.nullable(),
      logs: z.array(logLine),
      effects: z.array(proposedEffect),
    }),
  ),
});
export type Tested = z.infer<typeof tested>;

export const reloadReply = z.object({ status: z.literal("reloaded"), workflows: z.int(), failed: z.int() });
export const toggleReply = z.object({ workflow });
export const replayRun = z.strictObject({ event_id: text(200) });
export const logQuery = z.strictObject({
  limit: pageLimit.default(100),
  level: z.enum(["debug", "info", "warn", "error"]).default("debug"),
});
export const logPage = z.object({
  lines: z.array(logLine.extend({ run_id: z.string().nullable(), event_id: z.string().nullable() })),
});
