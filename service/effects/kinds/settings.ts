import * as z from "zod";
import { secretRef } from "../../connectors/connector.ts";

const knownSecret = z
  .strictObject({
    name: z.string().min(1).max(200),
    env: z.string().min(1).optional(),
    file: z.string().min(1).optional(),
    hosts: z.array(z.string().min(1)).default([]),
  })
  .refine(({ env, file }) => (env === undefined) !== (file === undefined), "needs env or file");

export const effectsConfig = z
  .strictObject({
    secrets: z
      .array(knownSecret)
      .default([])
      .describe(
        "Secrets that an effect may name: each with name, env or file, and hosts that it may be sent to.",
      ),
    http: z
      .strictObject({
        timeout_ms: z.int().min(100).max(600_000).default(30_000).describe("Longest time for one request."),
        max_redirects: z.int().min(0).max(20).default(5).describe("Redirects that are followed."),
        max_bytes: z.int().min(1_000).default(5_000_000).describe("Most that is read of an answer."),
        keep_bytes: z.int().min(0).max(1_000_000).default(64_000).describe("Most that is kept of an answer."),
        allow_addresses: z
          .array(z.string())
          .default([])
          .describe(
            "Addresses and networks that may be reached although they are not public, such as 10.1.0.0/16.",
          ),
        allow_hosts: z
          .array(z.string())
          .default([])
          .describe("Host names that may be reached whatever their address is."),
      })
      .prefault({}),
  })
  .prefault({});

export const mailConfig = z
  .strictObject({
    host: z.string().optional().describe("The SMTP server; without one no mail is sent."),
    port: z.int().min(1).max(65_535).default(587).describe("Its port."),
    tls: z
      .enum(["starttls", "always", "never"])
      .default("starttls")
      .describe(
        "starttls: the connection must become encrypted; always: it begins so (port 465); never: plain text.",
      ),
    username: z.string().optional().describe("Name to sign in with."),
    password: secretRef.optional().describe("Where its password is."),
    from: z.string().optional().describe("Sender of mails that name none."),
    timeout_ms: z.int().min(100).default(60_000).describe("Longest time for one mail."),
  })
  .prefault({});

export const shellConfig = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Whether commands can be proposed at all."),
    allow: z
      .array(z.string())
      .default(["echo", "cat", "ls", "curl", "grep", "head", "tail"])
      .describe("Bare names of programs that may be proposed. Each run is approved by a person as well."),
    dir: z
      .string()
      .optional()
      .describe(
        "Folder that commands work in and don't get out of. Default: workspace in the data directory.",
      ),
    timeout_ms: z.int().min(100).default(20_000).describe("Time after which a command is ended."),
    keep_bytes: z.int().min(0).max(1_000_000).default(20_000).describe("Most that is kept of its output."),
    env: z
      .array(z.string())
      .default([])
      .describe("Names of variables that commands are given besides PATH, HOME and LANG."),
    network: z.boolean().default(false).describe("Whether commands in the sandbox reach the network."),
    runner: z.string().optional().describe("Program that runs commands, such as just-bash, as a bare name."),
    runner_args: z.array(z.string()).default([]).describe("Words between the runner and the command."),
  })
  .prefault({});
