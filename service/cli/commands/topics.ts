import type { Command } from "commander";
import type { Topic } from "../../contract/topics.ts";
import { confirmed } from "../confirm.ts";
import type { Context } from "../context.ts";
import { printEvents, statusPart } from "../event-view.ts";
import { given } from "../given.ts";
import { readInput } from "../input.ts";
import { collect, duration, wholeNumber } from "../parse.ts";
import { printTable } from "../table.ts";
import { count, styled } from "../text.ts";
import { UsageError } from "../usage.ts";

interface SettingsOptions {
  prompt?: string;
  promptFile?: string;
  lease?: number;
  maxAttempts?: number;
  retention?: number | "never";
  pendingTtl?: number | "never";
  allow?: string[];
  allowAll?: boolean;
  pause?: boolean;
  resume?: boolean;
}

export function register(program: Command, context: Context): void {
  const topics = program.command("topics").description("queues, each with its prompt and settings");
  topics
    .command("list", { isDefault: true })
    .description("list topics with their counts")
    .action(() => list(context));
  addSettings(topics.command("create").description("create a topic").argument("<topic>")).action(
    async (name: string, options: SettingsOptions) => {
      const client = await context.client();
      show(context, await client.createTopic({ name, ...(await toSettings(context, options)) }));
    },
  );
  topics
    .command("show")
    .description("show a topic's prompt, settings and counts")
    .argument("<topic>")
    .action(async (topic: string) => show(context, await (await context.client()).getTopic({ topic })));
  topics
    .command("set-prompt")
    .description("set the system prompt that is handed out with each claimed event")
    .argument("<topic>")
    .argument("[prompt]", "text; - reads standard input; nothing removes it")
    .option("--file <file>", "read it from a file")
    .action((topic: string, prompt: string | undefined, options: { file?: string }) =>
      setPrompt(context, topic, prompt, options.file),
    );
  addSettings(topics.command("set").description("change a topic's settings").argument("<topic>")).action(
    async (topic: string, options: SettingsOptions) => {
      const settings = await toSettings(context, options);
      if (Object.keys(settings).length === 0) {
        throw new UsageError("Nothing to change is given.", "See signalbox topics set --help.");
      }
      show(context, await (await context.client()).updateTopic({ topic, ...settings }));
    },
  );
  deliveries(topics, context);
}

/** What ends or revives the deliveries of a topic. */
function deliveries(topics: Command, context: Context): void {
  const purge = topics.command("purge").description("end deliveries of a topic; the events stay in the log");
  const statuses = ["pending", "completed", "failed", "dead", "all"] as const;
  purge
    .argument("<topic>")
    .addOption(purge.createOption("--status <status>", "which ones").choices(statuses).default("pending"))
    .option("-y, --yes", "do not ask")
    .action(async (topic: string, options: { status: (typeof statuses)[number]; yes?: boolean }) => {
      const client = await context.client();
      await confirmed(context, `End all ${options.status} deliveries of ${topic}?`, options.yes);
      const reply = await client.purgeTopic({ topic, status: options.status });
      context.out.result(reply, () =>
        context.out.line(`${count(reply.count, "delivery").replace(/ys$/, "ies")} ended`),
      );
    });
  topics
    .command("delete")
    .description("delete a topic; its events stay in the log")
    .argument("<topic>")
    .option("--force", "also when events are waiting in it")
    .option("-y, --yes", "do not ask")
    .action((topic: string, options: { force?: boolean; yes?: boolean }) => remove(context, topic, options));
  topics
    .command("dead")
    .description("list dead letters: events whose attempts are used up")
    .argument("<topic>")
    .option("-n, --limit <count>", "at most so many", wholeNumber, 50)
    .action(async (topic: string, options: { limit: number }) => {
      const client = await context.client();
      const page = await client.findEvents({ topic, status: "dead", limit: options.limit });
      context.out.result(page, () => printEvents(context.out, page.events));
    });
  topics
    .command("redrive")
    .description("make dead letters claimable again")
    .argument("<topic>")
    .argument("[ids...]", "these events alone")
    .option("--failed", "failed ones as well")
    .action(async (topic: string, ids: string[], options: { failed?: boolean }) => {
      const client = await context.client();
      const chosen = ids.length > 0 ? { event_ids: ids } : {};
      const reply = await client.redriveTopic({ topic, ...chosen, include_failed: options.failed === true });
      context.out.result(reply, () =>
        context.out.line(`${count(reply.count, "event")} can be claimed again`),
      );
    });
}

function addSettings(command: Command): Command {
  return command
    .option("--prompt <text>", "system prompt handed out with each claimed event")
    .option("--prompt-file <file>", "read it from a file; - reads standard input")
    .option("--lease <time>", "how long a claim lasts", duration)
    .option("--max-attempts <count>", "claims before an event is a dead letter", wholeNumber)
    .option("--retention <time>", "how long finished events stay; default: as configured", durationOrWord)
    .option(
      "--pending-ttl <time>",
      "how long unclaimed events stay claimable; never: for ever",
      durationOrWord,
    )
    .option("--allow <agent>", "agent that may claim; repeat for more", collect)
    .option("--allow-all", "any agent may claim")
    .option("--pause", "hand out nothing for now")
    .option("--resume", "hand out events again");
}

/** A word, since commander makes an empty text of null. */
function durationOrWord(text: string): number | "never" {
  return text === "never" || text === "default" ? "never" : duration(text);
}

function orNull(value: number | "never" | undefined): number | null | undefined {
  return value === "never" ? null : value;
}

async function toSettings({ io }: Context, options: SettingsOptions) {
  const prompt =
    options.promptFile === undefined ? options.prompt : (await readInput(io, options.promptFile)).trimEnd();
  const paused = options.pause ? true : options.resume ? false : undefined;
  return given({
    prompt,
    lease_ms: options.lease,
    max_attempts: options.maxAttempts,
    retention_ms: orNull(options.retention),
    pending_ttl_ms: orNull(options.pendingTtl),
    allow: options.allowAll ? [] : options.allow,
    paused,
  });
}

async function setPrompt(
  context: Context,
  topic: string,
  text: string | undefined,
  file: string | undefined,
): Promise<void> {
  const from = file ?? (text === "-" ? "-" : undefined);
  const prompt = from === undefined ? (text ?? null) : (await readInput(context.io, from)).trimEnd();
  const client = await context.client();
  show(context, await client.updateTopic({ topic, prompt }));
}

async function list({ client, out }: Context): Promise<void> {
  const reply = await (await client()).listTopics();
  out.result(reply, () =>
    printTable(out, {
      head: ["TOPIC", "PENDING", "DELAYED", "PROCESSING", "COMPLETED", "FAILED", "DEAD", "PROMPT"],
      rows: reply.topics.map(({ name, counts, prompt, paused }) => [
        paused ? styled("yellow", `${name} (paused)`) : name,
        String(counts.pending),
        String(counts.delayed),
        String(counts.processing),
        String(counts.completed),
        String(counts.failed),
        counts.dead > 0 ? styled("red", String(counts.dead)) : "0",
        prompt ?? "",
      ]),
      flexible: [0, 7],
      empty: "No topics yet. The first push makes one: signalbox push inbox --body hello",
    }),
  );
}

function show({ out }: Context, topic: Topic): void {
  const days = (ms: number | null, none: string) => (ms === null ? none : `${ms / 86_400_000} d`);
  out.result(topic, () => {
    out.fields([
      ["topic", styled("bold", topic.name)],
      ["paused", topic.paused ? statusPart("parked") : null],
      ["lease", `${topic.lease_ms / 1_000} s`],
      ["max attempts", String(topic.max_attempts)],
      ["retention", days(topic.retention_ms, "as configured")],
      ["pending ttl", days(topic.pending_ttl_ms, "never")],
      ["may claim", topic.allow.length === 0 ? "any agent" : topic.allow.join(", ")],
      [
        "counts",
        Object.entries(topic.counts)
          .map(([name, amount]) => `${amount} ${name}`)
          .join(", "),
      ],
    ]);
    if (topic.prompt !== null) out.line("\n", topic.prompt);
  });
}

async function remove(
  context: Context,
  topic: string,
  options: { force?: boolean; yes?: boolean },
): Promise<void> {
  const client = await context.client();
  // Before the question, since a mistyped name needs none.
  await client.getTopic({ topic });
  await confirmed(context, `Delete ${topic} with its settings?`, options.yes);
  const reply = await client.deleteTopic({ topic, force: options.force === true });
  context.out.result(reply, () => context.out.line(`${topic} is deleted`));
}
