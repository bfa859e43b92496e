import * as z from "zod";
import { json, text } from "./common.ts";

export const health = z.object({ status: z.enum(["ok", "starting", "stopping", "failed"]) });

export const info = z.object({
  name: z.literal("signalbox"),
  version: z.string(),
  protocol: z.int(),
  pid: z.int(),
  node: z.string(),
  started_ms: z.int(),
  database: z.string(),
  socket: z.string(),
});
export type Info = z.infer<typeof info>;

/** What brings a connection back. A service before this knew it answers with none. */
const connectorMend = z.discriminatedUnion("kind", [
  /** A secret is missing or no longer accepted: the variables and files that the settings keep it in. */
  z.object({ kind: z.literal("secret"), env: z.array(z.string()), files: z.array(z.string()) }),
  /** The settings below this key are what is wrong. */
  z.object({ kind: z.literal("settings"), key: z.string() }),
  /** It was lost, and is tried again by itself; `reconnectConnector` does so now. */
  z.object({ kind: z.literal("reconnect") }),
]);
export type ConnectorMend = z.infer<typeof connectorMend>;

export const connectorStatus = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(["off", "connecting", "ready", "degraded", "failed"]),
  /** What is wrong and what to do, where something is. */
  message: z.string().nullable(),
  last_event_ms: z.int().nullable(),
  /** Null while it works, and where nobody ever set it up. */
  mend: connectorMend.nullable().default(null),
});
export type ConnectorStatus = z.infer<typeof connectorStatus>;

export const status = z.object({
  version: z.string(),
  pid: z.int(),
  started_ms: z.int(),
  uptime_ms: z.int(),
  events: z.int(),
  last_seq: z.int(),
  agents: z.object({ online: z.int(), total: z.int() }),
  workflows: z.object({ active: z.int(), failed: z.int(), total: z.int() }),
  topics: z.int(),
  deliveries: z.object({ pending: z.int(), processing: z.int(), dead: z.int() }),
  effects: z.object({
    waiting: z.int(),
    running: z.int(),
    unknown: z.int(),
    failed: z.int(),
    /** Commands for agents that nobody knows. */
    unaddressed: z.int(),
  }),
  connectors: z.array(connectorStatus),
  ingress: z.object({ listening: z.string().nullable() }),
  /** Deprecated names in use, with what to write instead. */
  aliases: z.array(z.object({ name: z.string(), use: z.string() })),
});
export type Status = z.infer<typeof status>;

export const configEntry = z.object({
  key: z.string(),
  value: json,
  /** `default`, `flag`, `env SIGNALBOX_…`, or the file with its line. */
  origin: z.string(),
  description: z.string(),
});
export const configReply = z.object({ files: z.array(z.string()), entries: z.array(configEntry) });

export const backup = z.strictObject({ file: text(4_096).min(1), overwrite: z.boolean().default(false) });
export const backupReply = z.object({ file: z.string(), bytes: z.int(), events: z.int() });

export const finding = z.object({
  check: z.string(),
  ok: z.boolean(),
  message: z.string(),
  hint: z.string().nullable(),
});
export type Finding = z.infer<typeof finding>;
export const doctorReply = z.object({ findings: z.array(finding) });

export const cleanup = z.strictObject({
  /** Overrides `retention.completed_days` for this time. */
  completed_older_than_ms: z.int().min(0).optional(),
  dry_run: z.boolean().default(false),
});
export const cleanupReply = z.object({
  events: z.int(),
  raw: z.int(),
  runs: z.int(),
  effects: z.int(),
  dry_run: z.boolean(),
});
export const exportQuery = z.strictObject({
  topic: text(200).optional(),
  since_ms: z.coerce.number().int().min(0).optional(),
});
