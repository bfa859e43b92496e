import * as z from "zod";
import { type ConnectorId, type connectorById, connectors } from "./connectors/registry.ts";
import { effectsConfig, mailConfig, shellConfig } from "./effects/kinds/settings.ts";

/** Each connector brings the schema of its own section. */
const connectorConfigs = Object.fromEntries(
  connectors.map((connector) => [connector.id, connector.config] as const),
) as { [Id in ConnectorId]: (typeof connectorById)[Id]["config"] };

/**
 * Every setting, with its default and unit. The TOML file has these sections; the environment has
 * `SIGNALBOX_<SECTION>_<KEY>`; flags win over the environment, it over the workspace file, that over the user's.
 */
export const configSchema = z.strictObject({
  service: z
    .strictObject({
      socket: z
        .string()
        .optional()
        .describe(
          "Control socket (named pipe on Windows). Default: signalbox.sock in the runtime directory.",
        ),
      drain_ms: z.int().min(0).default(5_000).describe("How long a stop waits for work under way."),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error"])
        .default("info")
        .describe("Quietest level that is written."),
      format: z
        .enum(["auto", "pretty", "json"])
        .default("auto")
        .describe("auto: pretty on a terminal, JSON elsewhere."),
      file: z.string().optional().describe("Log file. Default: service.log in the state directory."),
      max_mb: z.int().min(1).default(10).describe("Size at which the log file is rotated."),
      keep: z.int().min(1).default(3).describe("Rotated log files kept."),
    })
    .prefault({}),
  store: z
    .strictObject({
      file: z.string().optional().describe("The database. Default: signalbox.db in the data directory."),
      durability: z
        .enum(["normal", "full"])
        .default("normal")
        .describe(
          "full: every commit is on the disk before it is answered. normal: survives the end of the process, not a power cut.",
        ),
      max_pending: z
        .int()
        .min(1)
        .default(20_000)
        .describe("Writes waiting for their commit before new ones are refused with `busy`."),
    })
    .prefault({}),
  retention: z
    .strictObject({
      completed_days: z.number().min(0).default(30).describe("Finished events, their runs and effects."),
      raw_days: z.number().min(0).default(7).describe("Original messages (`raw`)."),
      pending_days: z.number().min(0).default(0).describe("Unclaimed events; 0 keeps them for ever."),
    })
    .prefault({}),
  topics: z
    .strictObject({
      lease_ms: z
        .int()
        .min(100)
        .default(600_000)
        .describe("Lease of a claim where the topic says nothing else."),
      max_attempts: z.int().min(1).default(5).describe("Claims of an event before it is a dead letter."),
    })
    .prefault({}),
  agents: z
    .strictObject({
      stale_ms: z
        .int()
        .min(1_000)
        .default(120_000)
        .describe("Silence after which an agent counts as offline."),
      command_expires_ms: z
        .int()
        .min(1_000)
        .default(86_400_000)
        .describe("How long a command waits for its agent."),
    })
    .prefault({}),
  approvals: z
    .strictObject({
      ttl_ms: z
        .int()
        .min(1_000)
        .default(259_200_000)
        .describe("How long a person has to decide about an effect; no decision is a no."),
    })
    .prefault({}),
  effects: effectsConfig,
  mail: mailConfig,
  shell: shellConfig,
  workflows: z
    .strictObject({
      dir: z
        .string()
        .optional()
        .describe("Folder of the .lua files. Default: workflows in the configuration directory."),
      hot_reload: z.boolean().default(true).describe("Load files again when they change."),
      debounce_ms: z.int().min(0).default(500).describe("Quiet time after a change before loading."),
      handler_timeout_ms: z.int().min(10).default(30_000).describe("Longest time one handler may compute."),
      stall_ms: z
        .int()
        .min(10)
        .default(1_000)
        .describe("Longest time in one step that can't be interrupted."),
      slice_ms: z.int().min(1).default(10).describe("Time after which another workflow has its turn."),
      memory_mb: z
        .int()
        .min(16)
        .default(256)
        .describe("Memory by which the process may grow during a handler."),
      workers: z.int().min(1).max(16).default(2).describe("Worker threads for workflows."),
      max_depth: z
        .int()
        .min(1)
        .default(16)
        .describe("Events that may cause each other in a chain before it is parked."),
    })
    .prefault({}),
  actions: z
    .strictObject({
      path: z
        .string()
        .optional()
        .describe(
          "Actions repository: a folder or a git URL. Default: actions in the configuration directory.",
        ),
      hot_reload: z.boolean().default(true).describe("Read the repository again when its files change."),
      debounce_ms: z.int().min(0).default(500).describe("Quiet time after a change before reading."),
    })
    .prefault({}),
  scheduler: z
    .strictObject({
      late_ms: z
        .int()
        .min(1_000)
        .max(3_600_000)
        .default(60_000)
        .describe("A due time that is later than this counts as missed."),
      catch_up: z
        .int()
        .min(1)
        .max(1_000)
        .default(100)
        .describe("Most missed due times of a schedule that are made up for one by one."),
    })
    .prefault({}),
  health: z
    .strictObject({
      enabled: z.boolean().default(true).describe("Ask every part how it is."),
      interval_ms: z.int().min(1_000).default(30_000).describe("Time between two questions."),
      stale_ms: z
        .int()
        .min(1_000)
        .default(120_000)
        .describe("Silence after which a part counts as degraded."),
      notify: z
        .boolean()
        .default(true)
        .describe("Record an event when a part fails, and one when it works again."),
    })
    .prefault({}),
  workspaces: z
    .strictObject({
      dirs: z
        .array(z.string())
        .default([])
        .describe("Folders of notes: a changed Markdown file in one is an event."),
      debounce_ms: z.int().min(0).default(500).describe("Quiet time after a change before it is told."),
    })
    .prefault({}),
  ingress: z
    .strictObject({
      enabled: z.boolean().default(false).describe("Listen on TCP for webhooks."),
      host: z.string().default("127.0.0.1").describe("Address to listen on."),
      port: z.int().min(0).max(65_535).default(8_080).describe("Port; 0 takes a free one."),
      insecure_loopback: z
        .boolean()
        .default(false)
        .describe("Accept webhook routes without a secret, on a loopback address only."),
    })
    .prefault({}),
  // Each connector's section has a default of its own, which the mapped type above can't tell.
  connectors: z.strictObject(connectorConfigs).prefault({} as never),
});
export type Config = z.infer<typeof configSchema>;
