import type { Command } from "commander";
import type { Client } from "../../client/call.ts";
import type { JsonObject } from "../../contract/common.ts";
import type { Run } from "../../contract/workflows.ts";
import type { Context } from "../context.ts";
import { statusPart } from "../event-view.ts";
import { given } from "../given.ts";
import { readAll } from "../input.ts";
import { duration, jsonObject } from "../parse.ts";

const USUAL_WAIT_MS = 10_000;
const FIRST_LOOK_MS = 10;
const SLOWEST_LOOK_MS = 500;

interface AskOptions {
  type?: string;
  conversation?: string;
  user?: string;
  payload?: JsonObject;
  /** True: as long as it takes; false: not at all; not given: the usual time. */
  wait?: number | boolean;
}

/** What `ask` and `workflow run` print: the words that my-kaiser's command line has (P8). */
export interface Answer {
  event_id: string;
  run_id: string;
  status: "succeeded" | "failed" | "running";
  output?: unknown;
  error?: string;
}

export function register(program: Command, context: Context): void {
  program
    .command("ask")
    .description("record a message and wait for what the workflows make of it")
    .argument("<text...>", "the message; - reads standard input")
    .option("-t, --type <type>", "type of the event; default message.received")
    .option("--conversation <key>", "messages with the same key are worked on one by one")
    .option("--user <key>", "who asks")
    .option("-p, --payload <json>", "data, a JSON object", jsonObject)
    .option(
      "-w, --wait [seconds]",
      "how long to wait; without a number as long as it takes (default: 10)",
      duration,
    )
    .option("--no-wait", "do not wait")
    .action((words: string[], options: AskOptions) => ask(context, words.join(" "), options));
}

async function ask(context: Context, text: string, options: AskOptions): Promise<void> {
  const client = await context.client();
  const pushed = await client.pushEvent({
    type: options.type ?? "message.received",
    source: "cli",
    origin_kind: "human",
    body: text === "-" ? await readAll(context.io) : text,
    ...given({
      payload: options.payload,
      conversation_key: options.conversation,
      user_key: options.user,
    }),
  });
  const run = await waitForRun(client, pushed.run_id, options.wait ?? USUAL_WAIT_MS);
  printAnswer(context, toAnswer(pushed.event_id, run));
  if (run.status === "skipped" && !context.out.isJson()) {
    context.out.remark(`No workflow listens to ${options.type ?? "message.received"}.`);
  }
}

/** Looks again, less and less often, until the run has ended or the time is over. */
export async function waitForRun(client: Client, run_id: string, wait: number | boolean): Promise<Run> {
  const deadline = Date.now() + (wait === true ? Number.POSITIVE_INFINITY : wait === false ? 0 : wait);
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 1.5, SLOWEST_LOOK_MS)) {
    const run = await client.getRun({ run_id });
    if (statusOf(run) !== "running" || Date.now() >= deadline) return run;
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, deadline - Date.now())));
  }
}

/** Nobody listening is no failure: there was nothing to do. */
function statusOf(run: Run): Answer["status"] {
  if (run.status === "failed" || run.status === "cancelled") return "failed";
  return run.status === "succeeded" || run.status === "skipped" ? "succeeded" : "running";
}

export function toAnswer(event_id: string, run: Run): Answer {
  const status = statusOf(run);
  const answer: Answer = { event_id, run_id: run.run_id, status };
  if (status === "succeeded") answer.output = run.output;
  if (status === "failed") answer.error = run.error?.message ?? run.status;
  return answer;
}

/** P7: JSON first; a person on a terminal gets the output alone. */
export function printAnswer(context: Context, answer: Answer): void {
  const { out, io } = context;
  if (answer.status === "failed") context.exit(1);
  if (io.stdout.isTTY !== true || out.isJson()) {
    out.json(answer);
    return;
  }
  out.line(statusPart(answer.status), `  ${answer.run_id}`);
  if (answer.error !== undefined) out.remark(answer.error);
  if (typeof answer.output === "string") out.line(answer.output);
  else if (answer.output != null) out.line(JSON.stringify(answer.output, null, 2));
}
