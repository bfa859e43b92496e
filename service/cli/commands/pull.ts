import type { Command } from "commander";
import type { Client } from "../../client/call.ts";
import type { Json, JsonObject } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Output as Reply } from "../../contract/routes.ts";
import { backoffMs } from "../../lib/backoff.ts";
import type { Context } from "../context.ts";
import { printEvent, statusPart } from "../event-view.ts";
import { given } from "../given.ts";
import { readAll } from "../input.ts";
import { duration, json, jsonObject, wholeNumber } from "../parse.ts";
import { showAge, showMoment, styled } from "../text.ts";
import { UsageError } from "../usage.ts";

/** The longest one request may wait; for more it is asked again. */
const LONGEST_WAIT_MS = 600_000;
/** Pauses between attempts to reach a service that went away. */
const RETRY_BASE_MS = 100;
const RETRY_MAX_MS = 5_000;
/** Claims that one request may settle. */
const SETTLED_AT_ONCE = 100;

interface PullOptions {
  claim?: boolean;
  agent?: string;
  /** True without a number: as long as it takes. */
  wait?: number | true;
  limit: number;
  lease?: number;
  create?: boolean;
}

export function register(program: Command, context: Context): void {
  program
    .command("pull")
    .description("look at the oldest waiting events of a topic, or claim them")
    .argument("<topic>")
    .option("-c, --claim", "take them under a lease, so that nobody else gets them")
    .option("-a, --agent <name>", "who claims; default SIGNALBOX_AGENT or OC_AGENT_ID")
    .option(
      "-w, --wait [seconds]",
      "wait for one where there is none; without a number as long as it takes",
      duration,
    )
    .option("-n, --limit <count>", "at most so many", wholeNumber, 1)
    .option("--lease <time>", "how long they are yours; default as the topic says (10m)", duration)
    .option("--create", "make the topic where it does not exist yet, and claim from it")
    .action((topic: string, options: PullOptions) =>
      options.claim ? claim(context, topic, options) : peek(context, topic, options),
    );

  settling(program, context);
}

async function claim(context: Context, topic: string, options: PullOptions): Promise<void> {
  const { out } = context;
  const agent = context.agent(options.agent);
  if (agent === undefined) throw new UsageError("Who claims?", "Give --agent @name, or set SIGNALBOX_AGENT.");
  const client = await context.client();
  const deadline = waitDeadline(options.wait);
  const reply = await claimBefore(deadline, context, (wait_ms) =>
    client.claimEvents({
      topic,
      agent,
      limit: options.limit,
      wait_ms,
      create: options.create === true,
      ...(options.lease === undefined ? {} : { lease_ms: options.lease }),
    }),
  );
  out.result(reply, () => {
    if (reply.claimed.length === 0) out.remark(`Nothing is waiting in ${topic}.`);
    reply.claimed.forEach((one, index) => {
      if (index > 0) out.line("");
      if (one.prompt !== null) out.line(styled("cyan", one.prompt), "\n");
      printEvent(out, one.event);
      out.line(styled("dim", `\nattempt ${one.attempt}, yours until ${showMoment(one.lease_until_ms)}`));
    });
  });
}

/**
 * Claims until there is something or the time is over. A service that goes away meanwhile is waited for as well: an
 * agent that waits outlives a restart. A claim whose answer got lost then comes again when its lease runs out.
 */
async function claimBefore(
  deadline: number,
  { out }: Context,
  claimOnce: (waitMs: number) => Promise<Reply<"claimEvents">>,
): Promise<Reply<"claimEvents">> {
  for (let failures = 0; ; ) {
    const remainingMs = Math.max(0, deadline - Date.now());
    try {
      const reply = await claimOnce(Math.min(remainingMs, LONGEST_WAIT_MS));
      if (reply.claimed.length > 0 || Date.now() >= deadline) return reply;
      failures = 0;
    } catch (error) {
      if (remainingMs === 0 || !isAway(error)) throw error;
      failures += 1;
      if (failures === 1) out.remark("The connection was lost; trying again.");
      const pauseMs = Math.min(backoffMs(failures, RETRY_BASE_MS, RETRY_MAX_MS), remainingMs);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

const isAway = (error: unknown) =>
  SignalboxError.is(error, "service_unreachable") || SignalboxError.is(error, "unavailable");

async function peek(context: Context, topic: string, options: PullOptions): Promise<void> {
  const { out } = context;
  const client = await context.client();
  const reply = await peekOrWait(client, topic, options);
  out.result(reply, () => {
    if (reply.events.length === 0) out.remark(`Nothing is waiting in ${topic}.`);
    else if (reply.prompt !== null) out.line(styled("cyan", reply.prompt), "\n");
    reply.events.forEach((event, index) => {
      if (index > 0) out.line("");
      printEvent(out, event);
    });
  });
}

/** Follows the topic from before the first look, so that nothing falls between the two. */
async function peekOrWait(client: Client, topic: string, options: PullOptions): Promise<Reply<"peekEvents">> {
  const look = () => client.peekEvents({ topic, limit: options.limit });
  if (options.wait === undefined) return await look();
  const { last_seq } = await client.getStatus();
  const first = await look();
  const remaining = waitDeadline(options.wait) - Date.now();
  if (first.events.length > 0 || remaining <= 0) return first;
  const signal = AbortSignal.timeout(Math.min(remaining, 2 ** 31 - 1));
  for await (const _ of client.streamEvents({ topic, after: last_seq }, { signal })) {
    const reply = await look();
    if (reply.events.length > 0) return reply;
  }
  return await look();
}

function waitDeadline(wait: number | true | undefined): number {
  if (wait === undefined) return 0;
  return wait === true ? Number.POSITIVE_INFINITY : Date.now() + wait;
}

interface SettleOptions {
  agent?: string;
  claimToken?: string;
  lease?: number;
  result?: Json;
  error?: string;
  retryIn?: number;
  retry?: boolean;
}

/** What ends or prolongs a claim. */
function settling(program: Command, context: Context): void {
  const settle = (name: string, description: string, argument = "<ids...>") =>
    program
      .command(name)
      .description(description)
      .argument(argument, argument === "<id>" ? "event" : "events")
      .option("-a, --agent <name>", "who holds it; default SIGNALBOX_AGENT or OC_AGENT_ID")
      .option("--claim-token <lease>", "the lease that claiming it gave, as proof");
  const holder = (options: SettleOptions) =>
    given({ agent: context.agent(options.agent), lease: options.claimToken });

  settle("extend", "keep claimed events for longer")
    .option("--lease <time>", "from now on; default as the topic says", duration)
    .action((ids: string[], options: SettleOptions) =>
      settleEach(context, ids, "extend", { ...holder(options), ...given({ lease_ms: options.lease }) }),
    );
  settle("complete", "finish claimed events without an answer")
    .option("--result <json>", "what came of it", json)
    .action((ids: string[], options: SettleOptions) =>
      settleEach(context, ids, "complete", { ...holder(options), ...given({ result: options.result }) }),
    );
  settle("fail", "say that claimed events failed; they come again unless their attempts are used up")
    .option("-e, --error <text>", "what went wrong")
    .option("--retry-in <time>", "come again after this time", duration)
    .option("--no-retry", "do not come again")
    .action((ids: string[], options: SettleOptions) => {
      const { error, retryIn, retry } = options;
      const more = given({ error, retry_in_ms: retryIn, retry });
      return settleEach(context, ids, "fail", { ...holder(options), ...more });
    });
  settle("release", "give claimed events back unharmed").action((ids: string[], options: SettleOptions) =>
    settleEach(context, ids, "release", holder(options)),
  );
  replying(settle("reply", "answer an event and finish it", "<id>"), context, holder);
}

interface ReplyOptions extends SettleOptions {
  status: "success" | "completed" | "failed" | "failure";
  body?: string;
  payload?: JsonObject;
  meta?: JsonObject;
  topic?: string;
}

function replying(command: Command, context: Context, holder: (options: SettleOptions) => object): void {
  const statuses = ["success", "completed", "failed", "failure"];
  command
    .addOption(
      command.createOption("-s, --status <status>", "how it went").choices(statuses).default("success"),
    )
    .option("-b, --body <text>", "the answer; - reads standard input")
    .option("-p, --payload <json>", "data, a JSON object", jsonObject)
    .option("-m, --meta <json>", "metadata, a JSON object", jsonObject)
    .option("--topic <topic>", "queue that the answer can be claimed from")
    .action(async (id: string, options: ReplyOptions) => {
      const { io, out } = context;
      const isPiped = options.body === undefined && options.payload === undefined && io.hasPipedInput();
      const body = options.body === "-" || isPiped ? await readAll(io) : options.body;
      const { status, payload, meta, topic } = options;
      const client = await context.client();
      const agent = context.agent(options.agent);
      const reply = await client.reply({
        event_id: id,
        status,
        ...holder(options),
        ...(agent === undefined ? { source: "cli", origin_kind: "human" } : {}),
        ...given({ body, payload, meta, topic }),
      });
      out.result(reply, () => out.line(reply.reply_id, "  ", id, " is ", statusPart(reply.status)));
    });
}

type Action = "extend" | "complete" | "fail" | "release";

/** One event by its own route; several share a transaction, and those that are refused keep none back. */
async function settleEach(context: Context, ids: string[], action: Action, how: object): Promise<void> {
  const { out } = context;
  const client = await context.client();
  const [event_id = ""] = ids;
  if (ids.length === 1) {
    const settled = await client[`${action}Claim`]({ event_id, ...how });
    out.result(settled, () => printSettled(context, settled));
    return;
  }
  const results: Reply<"settleClaims">["results"] = [];
  for (let at = 0; at < ids.length; at += SETTLED_AT_ONCE) {
    const items = ids.slice(at, at + SETTLED_AT_ONCE).map((id) => ({ ...how, action, event_id: id }));
    results.push(...(await client.settleClaims({ items })).results);
  }
  out.result({ results }, () => {
    results.forEach((result, index) => {
      if ("delivery" in result) printSettled(context, result);
      else if ("error" in result) out.remark(`${ids[index]}: ${result.error.message} (${result.error.code})`);
    });
  });
  if (results.some((result) => "error" in result)) context.exit(1);
}

function printSettled({ out }: Context, { event_id, delivery }: Reply<"extendClaim">): void {
  out.line(event_id, " is ", statusPart(delivery.status), whenNext(delivery));
}

function whenNext({ status, lease_until_ms, not_before_ms }: Reply<"extendClaim">["delivery"]): string {
  if (lease_until_ms !== null) return `, yours until ${showMoment(lease_until_ms)}`;
  return status === "pending" && not_before_ms !== null ? `, claimable ${showAge(not_before_ms)}` : "";
}
