import { once } from "node:events";
import { createWriteStream, openSync } from "node:fs";
import { resolve } from "node:path";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import type { JsonObject } from "../../contract/common.ts";
import type { Event } from "../../contract/events.ts";
import type { Output as Reply } from "../../contract/routes.ts";
import type { Context } from "../context.ts";
import { printEvent, printEvents, statusPart } from "../event-view.ts";
import { given } from "../given.ts";
import type { Output } from "../output.ts";
import { moment } from "../parse.ts";
import { count, showAge, showMoment, styled, toJson } from "../text.ts";
import { UsageError } from "../usage.ts";
import { sendLines } from "./push-lines.ts";
import { addFilters, printPage, toQuery } from "./query.ts";

export function register(program: Command, context: Context): void {
  const events = program.command("events").description("the event log");
  addFilters(events.command("list", { isDefault: true }).description("list events, newest first")).action(
    async (options) => printPage(context, await (await context.client()).findEvents(toQuery(options))),
  );
  events
    .command("show")
    .description("show an event with all that came of it")
    .argument("<id>")
    .action(async (id: string) => show(context, await (await context.client()).getEvent({ event_id: id })));
  events
    .command("export")
    .description("write all events, oldest first, one JSON document a line")
    .argument("[file]", "- or nothing: standard output", "-")
    .option("--topic <topic>", "of this topic")
    .option("--since <time>", "recorded since: a date, or how long ago (2h)", moment)
    .action((file: string, options: { topic?: string; since?: number }) => exportTo(context, file, options));
  events
    .command("import")
    .description("read events that were exported; those that are there already are left out")
    .argument("<file>", "- reads standard input")
    .option("--run", "let workflows and schedules hear of them, as if they happened now")
    .action((file: string, { run }: { run?: true }) =>
      sendLines(context, file, (line) => ({ ...toNewEvent(line), ...(run ? {} : { history: true }) })),
    );
}

function show({ out }: Context, shown: Reply<"getEvent">): void {
  out.result(shown, () => {
    printEvent(out, shown.event);
    section(out, "Deliveries", shown.deliveries, (one) => {
      const holder = one.claimed_by === null ? "" : ` by ${one.claimed_by}`;
      const until = one.lease_until_ms === null ? "" : `, lease ${showAge(one.lease_until_ms)}`;
      out.line(
        `  ${one.group}: `,
        statusPart(one.status),
        `${holder}${until}, ${count(one.attempts, "attempt")}`,
      );
      return one.last_error;
    });
    section(out, "Receipts", shown.receipts, (one) => {
      const session = one.session === null ? "" : ` in ${one.session}`;
      const detail = one.detail === null ? "" : `: ${one.detail}`;
      out.line(`  ${showMoment(one.time_ms)}  ${one.kind} by ${one.agent}${session}${detail}`);
      return null;
    });
    section(out, "Runs", shown.runs, (run) => {
      out.line(`  ${run.run_id}  ${run.workflow ?? ""} `, statusPart(run.status), `  ${run.line ?? ""}`);
      return run.error?.message ?? null;
    });
    section(out, "Effects", shown.effects, (effect) => {
      out.line(
        `  ${effect.id}  `,
        statusPart(effect.state),
        `  ${effect.summary}  ${effect.cause.line ?? ""}`,
      );
      return effect.error;
    });
    printBrief(out, "Caused by", shown.causes);
    printBrief(out, "Caused", shown.caused);
  });
}

/** A heading, then each item with its error below, if it has one. */
function section<T>(
  out: Output,
  title: string,
  items: readonly T[],
  print: (item: T) => string | null,
): void {
  if (items.length > 0) out.line("\n", styled("bold", title));
  for (const item of items) {
    const error = print(item);
    if (error !== null) out.line(styled("red", `    ${error}`));
  }
}

function printBrief(out: Output, title: string, events: readonly Event[]): void {
  if (events.length === 0) return;
  out.line("\n", styled("bold", title));
  printEvents(
    out,
    events.map((event) => ({ ...event, status: null })),
  );
}

async function exportTo(
  context: Context,
  file: string,
  options: { topic?: string; since?: number },
): Promise<void> {
  const { out, io } = context;
  const client = await context.client();
  const query = given({ topic: options.topic, since_ms: options.since });
  if (file === "-") {
    for await (const event of client.exportEvents(query)) out.raw(`${toJson(event)}\n`);
    return;
  }
  const target = createWriteStream(resolve(io.cwd, file), { fd: openNew(resolve(io.cwd, file)) });
  const written = finished(target);
  let events = 0;
  for await (const event of client.exportEvents(query)) {
    events += 1;
    if (!target.write(`${toJson(event)}\n`)) await once(target, "drain");
    if (events % 1_000 === 0) out.progress(`${count(events, "event")} …`);
  }
  target.end();
  await written;
  out.progress("");
  out.result({ file: resolve(io.cwd, file), events }, () =>
    out.line(`${count(events, "event")} written to ${file}`),
  );
}

/** A file that was not there before, for its owner only: events hold what people wrote. */
function openNew(file: string): number {
  try {
    return openSync(file, "wx", 0o600);
  } catch (error) {
    throw new UsageError(
      `${file} can't be written: ${(error as Error).message}`,
      "Name a file that does not exist yet.",
    );
  }
}

/** Fields that the log gives anew; the old id stays as `external_id`, by which a second import is recognised. */
export function toNewEvent(line: JsonObject): JsonObject {
  const { id, seq: _seq, recorded_ms: _recorded, depth: _depth, parked: _parked, status, ...rest } = line;
  const event: JsonObject = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  if (event.external_id === undefined && typeof id === "string") event.external_id = id;
  if (status === "completed" || status === "failed") event.status = status;
  if (status === "dead") event.status = "failed";
  return event;
}
