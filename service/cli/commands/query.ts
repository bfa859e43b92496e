import type { Command } from "commander";
import type { DeliveryStatus } from "../../contract/events.ts";
import type { Output as Reply } from "../../contract/routes.ts";
import type { Context } from "../context.ts";
import { printEvents } from "../event-view.ts";
import { given } from "../given.ts";
import { moment, wholeNumber } from "../parse.ts";

const statuses = ["pending", "processing", "completed", "failed", "dead"];

interface QueryOptions {
  topic?: string;
  status?: DeliveryStatus;
  source?: string;
  type?: string;
  subject?: string;
  mention?: string;
  toolCall?: string;
  agent?: string;
  correlation?: string;
  conversation?: string;
  parent?: string;
  scope?: string;
  since?: number;
  until?: number;
  limit: number;
  before?: number;
  oldestFirst?: boolean;
}

export function register(program: Command, context: Context): void {
  addFilters(program.command("query").description("list events, newest first"))
    .option("--oldest-first", "begin with the oldest")
    .action(async (options: QueryOptions) => {
      const client = await context.client();
      printPage(context, await client.findEvents(toQuery(options)));
    });

  const search = program.command("search").description("search the full text of events, newest first");
  search
    .argument("<text...>", 'words that must all occur; "quoted" for a phrase, a final * for beginnings')
    .option("--ranked", "best match first, among the newest 500")
    .option("--topic <topic>", "in this topic")
    .option("--type <type>", "of this type")
    .option("--source <source>", "from this source")
    .addOption(search.createOption("--status <status>", "in this state").choices(statuses))
    .option("-n, --limit <count>", "at most so many", wholeNumber, 50)
    .option("--before <seq>", "the page after the one that named this number", wholeNumber)
    .action(async (words: string[], options: QueryOptions & { ranked?: boolean }) => {
      const { topic, type, source, status, limit, before } = options;
      const order = options.ranked ? "ranked" : "recent";
      const client = await context.client();
      const query = {
        text: words.join(" "),
        order,
        limit,
        ...given({ topic, type, source, status, before }),
      } as const;
      printPage(context, await client.searchEvents(query));
    });
}

export function addFilters(command: Command): Command {
  return command
    .option("--topic <topic>", "in this topic")
    .addOption(command.createOption("--status <status>", "in this state").choices(statuses))
    .option("--source <source>", "from this source")
    .option("--type <type>", "of this type")
    .option("--subject <pattern>", "with this subject; * is one token, > the rest")
    .option("--mention <name>", "that speak to this name")
    .option("--tool-call <name>", "that speak of this tool")
    .option("--agent <name>", "claimed by this agent")
    .option("--correlation <id>", "that belong to this")
    .option("--conversation <key>", "of this conversation")
    .option("--parent <id>", "caused by this event")
    .option("--scope <scope>", "of this scope")
    .option("--since <time>", "recorded since: a date, or how long ago (2h)", moment)
    .option("--until <time>", "recorded before: a date, or how long ago", moment)
    .option("-n, --limit <count>", "at most so many", wholeNumber, 50)
    .option("--before <seq>", "the page after the one that named this number", wholeNumber);
}

export function toQuery(options: QueryOptions) {
  const { topic, status, source, type, subject, mention, agent, parent, scope, limit, before } = options;
  return {
    limit,
    ...given({
      topic,
      status,
      source,
      type,
      subject,
      mention,
      agent,
      scope,
      before,
      tool: options.toolCall,
      parent_id: parent,
      correlation_id: options.correlation,
      conversation_key: options.conversation,
      since_ms: options.since,
      until_ms: options.until,
      oldest_first: options.oldestFirst,
    }),
  };
}

export function printPage({ out }: Context, page: Reply<"findEvents">): void {
  out.result(page, () => {
    printEvents(out, page.events);
    if (page.next !== null) out.remark(`There is more: --before ${page.next}`);
  });
}
