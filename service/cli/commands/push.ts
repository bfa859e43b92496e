import type { Command } from "commander";
import type { JsonObject } from "../../contract/common.ts";
import type { NewEvent, OriginKind } from "../../contract/events.ts";
import type { Context } from "../context.ts";
import { type Flag, readQuickly } from "../flags.ts";
import { given } from "../given.ts";
import { readAll } from "../input.ts";
import { collect, dateTime, duration, jsonObject } from "../parse.ts";
import { styled } from "../text.ts";
import { UsageError } from "../usage.ts";

interface PushOptions {
  body?: string;
  meta?: JsonObject;
  payload?: JsonObject;
  type?: string;
  source?: string;
  subject?: string;
  agent?: string;
  correlation?: string;
  conversation?: string;
  user?: string;
  parent?: string;
  scope?: string;
  key?: string;
  delay?: number;
  at?: number;
  mention?: string[];
  toolCall?: string[];
  stdin?: boolean;
  ndjson?: string;
}

const flags: readonly Flag[] = [
  { flags: "-b, --body <text>", description: "text; - reads standard input" },
  { flags: "--stdin", description: "read the body from standard input" },
  { flags: "-m, --meta <json>", description: "metadata, a JSON object", parse: jsonObject },
  { flags: "-p, --payload <json>", description: "data, a JSON object", parse: jsonObject },
  { flags: "-t, --type <type>", description: "noun.past_tense; default message.pushed" },
  { flags: "--source <name>", description: "who says so; default cli, or the agent" },
  {
    flags: "--subject <subject>",
    description: "tokens joined by dots; default topics.TOPIC, or the type",
  },
  {
    flags: "--agent <name>",
    description: "agent that pushes; default SIGNALBOX_AGENT or OC_AGENT_ID",
  },
  { flags: "--correlation <id>", description: "what it belongs to" },
  {
    flags: "--conversation <key>",
    description: "events with the same key are worked on one by one",
  },
  { flags: "--user <key>", description: "person it comes from" },
  { flags: "--parent <id>", description: "event that caused it" },
  { flags: "--scope <scope>", description: "organisation, project or repository" },
  {
    flags: "--key <key>",
    description: "idempotency key: pushing it again gives back the first event",
  },
  {
    flags: "--delay <time>",
    description: "claimable only after this time, such as 10m",
    parse: duration,
  },
  {
    flags: "--at <time>",
    description: "claimable only from this moment, such as 2026-12-01T09:00",
    parse: dateTime,
  },
  {
    flags: "--mention <name>",
    description: "who is spoken to, besides the @names in the body; repeat for more",
    parse: collect,
  },
  { flags: "--tool-call <name>", description: "tool it speaks of; repeat for more", parse: collect },
  {
    flags: "--ndjson <file>",
    description: "push one event a line, as the API takes them; - reads standard input",
  },
];

export function register(program: Command, context: Context): void {
  const push = program
    .command("push")
    .description("record an event, in a topic or without one")
    .argument("[topic]", "queue that it can be claimed from");
  for (const { flags: names, description, parse } of flags) {
    const option = push.createOption(names, description);
    if (parse) option.argParser((text, earlier) => parse(text, earlier as string[] | undefined));
    push.addOption(option);
  }
  push.action((topic: string | undefined, options: PushOptions) => run(context, topic, options));
}

/** The same without commander, for arguments that hold nothing special. @returns false where they do */
export async function pushQuickly(context: Context, args: readonly string[]): Promise<boolean> {
  const read = readQuickly(args, flags);
  if (read === null || read.words.length > 1) return false;
  await run(context, read.words[0], read.options);
  return true;
}

async function run(context: Context, topic: string | undefined, options: PushOptions): Promise<void> {
  if (options.ndjson === undefined) await pushOne(context, topic, options);
  else {
    const { pushLines } = await import("./push-lines.ts");
    await pushLines(context, topic, options.ndjson);
  }
}

async function pushOne(context: Context, topic: string | undefined, options: PushOptions): Promise<void> {
  const { out } = context;
  const event = await toEvent(context, topic, options);
  const client = await context.client();
  const pushed = await client.pushEvent(event);
  out.result(pushed, () =>
    out.line(pushed.event_id, styled("dim", pushed.duplicate ? "  (there already)" : "")),
  );
}

async function toEvent(context: Context, topic: string | undefined, options: PushOptions): Promise<NewEvent> {
  const body = await readBody(context, options);
  if (topic === undefined && options.type === undefined && options.subject === undefined) {
    throw new UsageError(
      "Where does it go? No topic is given.",
      "signalbox push TOPIC --body …, or --type for an event without a queue.",
    );
  }
  if ([body, options.payload, options.meta, options.type, options.subject].every(isNothing)) {
    throw new UsageError("There is nothing to record.", "Give --body or --payload, or pipe a text into it.");
  }
  if (options.delay !== undefined && options.at !== undefined) {
    throw new UsageError("--delay and --at say the same thing twice.", "Give one of them.");
  }
  const agent = context.agent(options.agent);
  return given({
    topic,
    type: options.type,
    subject: options.subject,
    source: options.source ?? agent ?? "cli",
    origin_kind: originKind(options.source, agent),
    body,
    payload: options.payload,
    meta: options.meta,
    correlation_id: options.correlation,
    conversation_key: options.conversation,
    user_key: options.user,
    parent_id: options.parent,
    scope: options.scope,
    idempotency_key: options.key,
    delay_ms: options.delay,
    not_before_ms: options.at,
    mentions: options.mention,
    tool_calls: options.toolCall,
  });
}

/** An empty text that was asked for, `--body ""`, is something; an empty pipe is not. */
const isNothing = (value: unknown) => value === undefined;

/** makiso's `--source` was one of these words. */
function originKind(source: string | undefined, agent: string | undefined): OriginKind {
  if (source === "agent" || source === "webhook" || source === "human" || source === "system") return source;
  return agent === undefined ? "human" : "agent";
}

async function readBody({ io }: Context, options: PushOptions): Promise<string | undefined> {
  if (options.stdin || options.body === "-") return await readAll(io);
  if (options.body !== undefined) return options.body;
  const isGiven = options.payload !== undefined || options.meta !== undefined;
  // A pipe is read only where nothing else says what the event is, since one that nobody ends would hang here.
  return !isGiven && io.hasPipedInput() ? (await readAll(io)) || undefined : undefined;
}
