import type { Command } from "commander";
import type { Event } from "../../contract/events.ts";
import type { Context } from "../context.ts";
import { gist } from "../event-view.ts";
import { given } from "../given.ts";
import { wholeNumber } from "../parse.ts";
import { cut } from "../table.ts";
import { neutralise, showTime, styled } from "../text.ts";

interface WatchOptions {
  topic?: string;
  type?: string;
  source?: string;
  subject?: string;
  after?: number;
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
    .option("-n, --limit <count>", "stop after so many", wholeNumber)
    .action((options: WatchOptions) => watch(context, options));
}

async function watch(context: Context, options: WatchOptions): Promise<void> {
  const { out, io } = context;
  const { topic, type, source, subject, after } = options;
  const client = await context.client();
  const stream = client.streamEvents(given({ topic, type, source, subject, after }), {
    signal: io.signal,
    onReconnect: () => out.remark("The connection was lost; trying again."),
  });
  let seen = 0;
  for await (const event of stream) {
    out.item(event, () => printLine(context, event));
    seen += 1;
    if (seen === options.limit) return;
  }
}

function printLine({ out }: Context, event: Event): void {
  const head = `${showTime(event.time_ms)}  ${event.type}  ${event.source}${event.topic === null ? "" : ` → ${event.topic}`}  `;
  const room = Math.max(20, out.width() - head.length);
  const text = neutralise(gist(event)).replaceAll(/\s+/g, " ");
  out.line(
    styled("dim", showTime(event.time_ms)),
    "  ",
    styled("cyan", event.type),
    `  ${event.source}${event.topic === null ? "" : ` → ${event.topic}`}  `,
    cut(text, room),
  );
}
