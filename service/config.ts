import * as z from "zod";

/** A secret is never written into the file itself: it names a variable or a file of mode 600. */
const secretRef = z.union([
  z.strictObject({ env: z.string().min(1) }),
  z.strictObject({ file: z.string().min(1) }),
]);

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
  connectors: z
    .strictObject({
      github: z
        .strictObject({
          enabled: z.boolean().default(true),
          token: secretRef.default({ env: "GITHUB_TOKEN" }).describe("Token for commands and polling."),
          webhook_secret: secretRef
            .default({ env: "GITHUB_WEBHOOK_SECRET" })
            .describe("Secret that signs webhooks."),
          webhook_path: z.string().startsWith("/").default("/webhook"),
          api_url: z.url().default("https://api.github.com"),
          poll: z.boolean().default(false).describe("Poll notifications where no webhook can reach."),
          poll_interval_ms: z.int().min(1_000).default(60_000),
        })
        .prefault({}),
      webhook: z
        .strictObject({
          enabled: z.boolean().default(true),
          routes: z
            .array(
              z.strictObject({
                path: z.string().startsWith("/").describe("Path on the ingress, such as /bugsnag."),
                topic: z.string().optional().describe("Queue that its events go to."),
                type: z.string().default("webhook.received"),
                source: z.string().optional().describe("Default: the path without its slash."),
                auth: z
                  .enum(["header", "hmac-sha256", "none"])
                  .default("header")
                  .describe("Shared secret in a header, or HMAC of the body."),
                header: z.string().optional().describe("Header with the secret or signature."),
                secret: secretRef.optional(),
                id_header: z
                  .string()
                  .optional()
                  .describe("Header whose value tells repeated deliveries apart."),
                max_bytes: z.int().min(1).max(10_485_760).default(1_048_576),
              }),
            )
            .default([]),
        })
        .prefault({}),
    })
    .prefault({}),
});
export type Config = z.infer<typeof configSchema>;
