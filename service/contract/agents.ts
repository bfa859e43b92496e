import * as z from "zod";
import { durationMs, json, jsonObject, name, text } from "./common.ts";
import { effectState } from "./effects.ts";

export const commandSpec = z.object({
  name,
  title: text(500).optional(),
  /** JSON Schema of the payload. */
  params: jsonObject.optional(),
  /** True: doing it twice does no harm, so an attempt with unknown end may be repeated. */
  idempotent: z.boolean().optional(),
});
export type CommandSpec = z.infer<typeof commandSpec>;

export const registerAgent = z.strictObject({
  name,
  version: text(100).default("0.0.0"),
  capabilities: z.array(text(200)).max(200).default([]),
  /** Names (as Sekia has them) or names with the schema of their payload. */
  commands: z
    .array(z.union([name.transform((word): CommandSpec => ({ name: word })), commandSpec]))
    .max(500)
    .default([]),
});
export type RegisterAgent = z.infer<typeof registerAgent>;

export const agentStatus = z.enum(["online", "offline", "seen"]);

export const agent = z.object({
  name: z.string(),
  /** `seen`: it beat but never registered. */
  status: agentStatus,
  kind: z.enum(["agent", "connector"]),
  version: z.string(),
  capabilities: z.array(z.string()),
  commands: z.array(commandSpec),
  registered_ms: z.int().nullable(),
  last_beat_ms: z.int().nullable(),
  last_event_ms: z.int().nullable(),
  events_processed: z.int(),
  errors: z.int(),
  /** Connections over which it takes commands now. */
  connections: z.int(),
  /** Commands that wait for it or are with it. */
  open_commands: z.int(),
});
export type Agent = z.infer<typeof agent>;

export const beat = z.strictObject({
  status: text(50).optional(),
  last_event_ms: z.int().nullable().optional(),
  events_processed: z.int().min(0).optional(),
  errors: z.int().min(0).optional(),
  /** Commands it is working on: their leases are renewed. */
  effect_ids: z.array(z.string()).max(1_000).optional(),
});
export type Beat = z.infer<typeof beat>;

/** A command on its way to an agent. `effect_id` is its idempotency key: the same id means the same command. */
export const command = z.object({
  effect_id: z.string(),
  command: z.string(),
  payload: jsonObject,
  /** `workflow:<name>`, `cli`, … */
  source: z.string(),
  /** The event behind it: parent of whatever is published because of it. */
  event_id: z.string().nullable(),
  attempt: z.int(),
  lease: z.string(),
  lease_until_ms: z.int(),
});
export type Command = z.infer<typeof command>;

export const claimCommands = z.strictObject({
  limit: z.int().min(1).max(100).default(1),
  wait_ms: durationMs.max(600_000).default(0),
  lease_ms: durationMs.min(1_000).default(90_000),
});
export const commandList = z.object({ commands: z.array(command) });

export const commandStreamQuery = z.strictObject({
  /** Commands it takes at once. */
  capacity: z.coerce.number().int().min(1).max(1_000).default(16),
});

export const resumeCommands = z.strictObject({
  /**
   * Names one process of the agent, anew with each of its starts. What was sent to it and is not in hand never
   * arrived there, and is sent again.
   */
  session: z.string().regex(/^[A-Za-z0-9_-]{8,64}$/, "8 to 64 letters, digits, _ and -"),
  /** Ids of the commands that it received and has not answered. They stay its own. */
  in_hand: z.array(z.string()).max(10_000).default([]),
  /** Commands it takes at once, with those in hand. */
  capacity: z.int().min(1).max(1_000).default(16),
});

export const commandResult = z.strictObject({
  lease: z.string().optional(),
  status: z.enum(["succeeded", "failed"]),
  result: json.optional(),
  error: text(10_000).optional(),
  /** For a failure: true when another try may help. */
  retry: z.boolean().default(false),
});
export type CommandResult = z.infer<typeof commandResult>;

/** One result among many. */
export const commandResultItem = commandResult.extend({ effect_id: z.string() });
/** Each is a `commandResultItem`; a wrong one is refused by itself. */
export const commandResults = z.strictObject({ items: z.array(json).min(1).max(200) });
export const finishedEffect = z.object({ effect_id: z.string(), state: effectState });
export type FinishedEffect = z.infer<typeof finishedEffect>;
/** One entry an item, in order. */
export const finishedEffects = z.object({
  results: z.array(
    z.union([
      finishedEffect,
      z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) }),
    ]),
  ),
});

export const sendCommand = z.strictObject({
  command: name,
  payload: jsonObject.default({}),
  source: name.default("api"),
  idempotency_key: text(500).optional(),
  expires_in_ms: durationMs.min(1_000).optional(),
});
