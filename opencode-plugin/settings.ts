import { basename } from "node:path";
import * as z from "zod";
import { name } from "../service/contract/common.ts";

const minute = 60_000;

/** `inject`: into an idle session. `suggest`: as a draft that the user sends. `dedicated`: into a session of its own. */
const mode = z.enum(["inject", "suggest", "dedicated"]);
export type Mode = z.infer<typeof mode>;

/** What becomes of an event whose turn ended well, but without an answer. */
const noReply = z.enum(["ack", "nack", "reply-with-last-text"]);
export type NoReply = z.infer<typeof noReply>;

const permissionRules = z.array(
  z.strictObject({ permission: z.string(), pattern: z.string(), action: z.enum(["allow", "ask", "deny"]) }),
);

const topicOptions = z.strictObject({
  mode: mode.optional(),
  /** The OpenCode agent of a dedicated session. */
  agent: z.string().optional(),
  /** `provider/model` of a dedicated session. */
  model: z
    .string()
    .regex(/^[^/]+\/.+$/, "must be provider/model")
    .optional(),
  /** What a dedicated session may do. Default: read and search in the project, nothing else. */
  permission: permissionRules.optional(),
  noReply: noReply.optional(),
});

const optionsSchema = z.strictObject({
  /** Names, or names with options of their own. */
  topics: z.union([z.array(name).max(50), z.record(name, topicOptions)]).optional(),
  mode: mode.default("inject"),
  noReply: noReply.default("ack"),
  /** Who claims, for the service. Default: `opencode:` and the folder's name. */
  name: name.optional(),
  /** Look again this often, in milliseconds, in case a message got lost; claims themselves arrive at once. */
  pollMs: z.int().min(1_000).max(3_600_000).optional(),
  /** Until somebody else gets an event whose process died. Renewed while a turn runs. */
  leaseMs: z
    .int()
    .min(1_000)
    .max(60 * minute)
    .default(2 * minute),
  /** A turn that takes longer is given up. */
  maxTurnMs: z
    .int()
    .min(1_000)
    .default(4 * 60 * minute),
  /** Quiet time after a turn before the next event. */
  settleMs: z.int().min(0).max(10_000).default(50),
  /** Events one session takes in an hour. */
  perHour: z.int().min(1).default(60),
  /** At least so long between two events of one session. */
  minGapMs: z.int().min(0).default(0),
  /** Turns that fail one after the other before a dedicated session stops. */
  failures: z.int().min(1).default(3),
  /** Longest text of an event that a model is given, in characters. */
  maxChars: z.int().min(200).max(500_000).default(20_000),
  /** What OpenCode does, told to the bus. */
  publish: z.array(z.enum(["session.idle", "session.error", "permission.asked"])).default([]),
  /** True: what OpenCode asks permission for can be answered from Signalbox as well. */
  approvals: z.boolean().default(false),
  /** False: never start the service. */
  start: z.boolean().default(true),
  /** The command that starts it. */
  command: z.string().default("signalbox"),
  /** True: sessions that once listened go on listening after a restart. */
  resume: z.boolean().default(false),
});

type Options = z.infer<typeof optionsSchema>;

export interface TopicSettings {
  readonly mode: Mode;
  readonly noReply: NoReply;
  readonly agent: string | undefined;
  readonly model: { readonly providerID: string; readonly modelID: string } | undefined;
  readonly permission: z.infer<typeof permissionRules> | undefined;
}

export interface Settings extends Omit<Options, "topics" | "mode" | "noReply" | "name" | "pollMs"> {
  readonly name: string;
  readonly pollMs: number;
  /** What sessions listen to unless told otherwise. */
  readonly topics: readonly string[];
  topic(name: string): TopicSettings;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The plugin's options from opencode.json, completed by SIGNALBOX_OPENCODE_* variables and the older OC_EVENTS_* ones.
 * @throws ZodError that names what is wrong
 */
export function readSettings(given: unknown, env: Environment, directory: string): Settings {
  const { topics, mode, noReply, name: claimer, pollMs, ...rest } = optionsSchema.parse(given ?? {});
  const named = topics ?? listOf(env.SIGNALBOX_OPENCODE_TOPICS ?? env.OC_EVENTS_TOPIC) ?? ["inbox"];
  const own = Array.isArray(named) ? {} : named;
  const poll = env.SIGNALBOX_OPENCODE_POLL_MS ?? env.OC_EVENTS_POLL_INTERVAL_MS;
  return {
    ...rest,
    name: claimer ?? env.SIGNALBOX_AGENT ?? env.OC_AGENT_ID ?? defaultName(directory),
    pollMs: pollMs ?? (poll === undefined ? minute : z.coerce.number().int().min(1_000).parse(poll)),
    topics: Array.isArray(named) ? named : Object.keys(named),
    topic(topic) {
      const { model, ...options } = own[topic] ?? {};
      const [providerID = "", ...more] = model?.split("/") ?? [];
      return {
        mode: options.mode ?? mode,
        noReply: options.noReply ?? noReply,
        agent: options.agent,
        permission: options.permission,
        model: model === undefined ? undefined : { providerID, modelID: more.join("/") },
      };
    },
  };
}

function listOf(text: string | undefined): string[] | undefined {
  const names = text?.split(",").flatMap((one) => one.trim() || []);
  return names === undefined || names.length === 0 ? undefined : z.array(name).parse(names);
}

/** `opencode:shop` for /home/you/shop. */
function defaultName(directory: string): string {
  const folder = basename(directory).replaceAll(/[^\p{L}\p{N}_@:.+-]/gu, "-");
  return `opencode:${folder || "session"}`;
}
