import type { Command } from "commander";
import type { Client } from "../../client/call.ts";
import type { Event } from "../../contract/events.ts";
import type { Context } from "../context.ts";
import { gist } from "../event-view.ts";
import { given } from "../given.ts";
import { moment, wholeNumber } from "../parse.ts";
import { cut } from "../table.ts";
import { neutralise, showTime, styled, textOf } from "../text.ts";
import { widthOf } from "../width.ts";

interface WatchOptions {
  topic?: string;
  type?: string;
  source?: string;
  subject?: string;
  after?: number;
  since?: number;
  limit?: number;
}

export function register(program: Command, context: Context): void {
  program
    .command("watch")
    .description("show events as they are recorded, until Ctrl-C")
    .option("--topic <topic>", "in this topic")
    .option("--type <type>", "of this type")
    .option("--source <source>", "from this source")
    .option("--subject <pattern>", "with this subject; * is one token, > the rest")
    .option("--after <seq>", "begin with what was recorded after this number", wholeNumber)
    .option("--since <time>", "begin with what was recorded since: a date, or how long ago (2h)", moment)
    .option("-n, --limit <count>", "stop after so many", wholeNumber)
    .action((options: WatchOptions) => watch(context, options));
}

async function watch(context: Context, options: WatchOptions): Promise<void> {
  const { out, io } = context;
  const { topic, type, source, subject } = options;
  const client = await context.client();
  const after = options.after ?? (await seqBefore(client, options.since));
  let isLost = false;
  const stream = client.streamEvents(given({ topic, type, source, subject, after }), {
    signal: io.signal,
    onReconnect: () => {
      // Each attempt is told of, but once is enough for a reader.
      if (!isLost) out.remark("The connection was lost; trying again.");
      isLost = true;
    },
  });
  out.progress("Waiting for events; Ctrl-C ends.");
  let seen = 0;
  for await (const event of stream) {
    if (seen === 0) out.progress("");
    isLost = false;
    out.item(event, () => printLine(context, event));
    seen += 1;
    if (seen === options.limit) return;
  }
}

/** The number of the last event recorded before that moment; nothing where no moment is given. */
async function seqBefore(client: Client, since_ms: number | undefined): Promise<number | undefined> {
  if (since_ms === undefined) return undefined;
  const { events } = await client.findEvents({ since_ms, oldest_first: true, limit: 1 });
  return events[0] === undefined ? undefined : events[0].seq - 1;
}

/** The id takes much room, so it is left out where the terminal is narrow. */
const WIDE_ENOUGH_FOR_IDS = 120;

function printLine({ out }: Context, event: Event): void {
  const from = `${event.source}${event.topic === null ? "" : ` → ${event.topic}`}`;
  const head = [
    styled("dim", showTime(event.time_ms)),
    ...(out.width() >= WIDE_ENOUGH_FOR_IDS ? [event.id] : []),
    styled("cyan", event.type),
    from,
  ].flatMap((part) => [part, "  "]);
  const used = head.reduce((sum, part) => sum + widthOf(textOf(part)), 0);
  const text = neutralise(gist(event)).replaceAll(/\s+/g, " ");
  out.line(...head, cut(text, Math.max(20, out.width() - used)));
}
