import * as z from "zod";
import { type EventQuery, eventQuery, type ListedEvent, searchQuery } from "../contract/events.ts";
import { routes } from "../contract/routes.ts";
import { defineTool, reading, type Tool } from "./tools.ts";
import { limitOf } from "./tools-queue.ts";
import { caps, eventView, lineOf, listedView, notice, quote, viewOf } from "./view.ts";

const q = eventQuery.shape;
const s = searchQuery.shape;
const page = z.object({
  events: z.array(listedView),
  next: z.int().nullable().describe("Give it as before for the next page."),
  notice: z.string(),
});

function shown(events: ListedEvent[], next: number | null) {
  const views = events.map((one) => viewOf(one, caps.many));
  const more = next === null ? [] : [`There is more: before=${next}.`];
  const text = views.length === 0 ? "No events." : [notice, ...views.map(lineOf), ...more].join("\n");
  return { data: { events: views, next, notice } as const, text };
}

const search = defineTool({
  name: "search",
  title: "Search the text of events",
  description:
    'Search the full text of all events. All words must occur; "quoted text" is a phrase, a final * finds beginnings.',
  input: z.strictObject({
    text: s.text.describe("Words to look for."),
    topic: s.topic.describe("Only in this topic."),
    type: s.type.describe("Only events of this type."),
    source: s.source.describe("Only from this source."),
    status: s.status.describe("Only in this state of the queue."),
    order: s.order.describe("ranked: best match first."),
    limit: limitOf(20, 100),
    before: seqField("Only events with a smaller seq: next of the page before."),
  }),
  output: page,
  annotations: reading,
  async run(input, { client, signal }) {
    const { events, next } = await client.searchEvents(input, { signal });
    return shown(events, next);
  },
});

const query = defineTool({
  name: "query",
  title: "List events",
  description: "List events, newest first, by any of these fields.",
  input: z.strictObject({
    topic: q.topic.describe("In this topic."),
    status: q.status.describe("In this state of the queue; dead: attempts used up."),
    source: q.source.describe("From this source."),
    type: q.type.describe("Of this type."),
    subject: q.subject.describe("Subject pattern: github.issue.*, or github.>"),
    mention: q.mention.describe("That speak to @name."),
    tool: q.tool.describe("That speak of a call of this tool."),
    agent: q.agent.describe("Claimed by this agent."),
    correlation_id: q.correlation_id.describe("An event and its answers share it."),
    conversation_key: q.conversation_key.describe("Of this conversation."),
    parent_id: q.parent_id.describe("Caused by this event."),
    since_ms: timeField("Recorded at or after, in milliseconds since the epoch."),
    until_ms: timeField("Recorded before."),
    limit: limitOf(20, 100),
    before: seqField("Only events with a smaller seq: next of the page before."),
    oldest_first: z.boolean().optional().describe("Oldest first instead."),
  }),
  output: page,
  annotations: reading,
  async run(input, { client, signal }) {
    const { events, next } = await client.findEvents(input satisfies Partial<EventQuery>, { signal });
    return shown(events, next);
  },
});

const whole = routes.getEvent.reply.shape;
const look = defineTool({
  name: "event",
  title: "Show one event",
  description: "Show one event with what became of it: its deliveries, its answers, its runs and effects.",
  input: z.strictObject({ event_id: z.string().describe("evt_…") }),
  output: z.object({
    event: eventView,
    deliveries: whole.deliveries,
    receipts: whole.receipts,
    caused: z.array(eventView),
    runs: z.array(z.object({ run_id: z.string(), workflow: z.string().nullable(), status: z.string() })),
    effects: z.array(z.object({ id: z.string(), summary: z.string(), state: z.string() })),
    notice: z.string(),
  }),
  annotations: reading,
  async run({ event_id }, { client, signal }) {
    const found = await client.getEvent({ event_id }, { signal });
    const event = viewOf(found.event, caps.one);
    const consequences = found.caused.filter(({ type }) => !type.startsWith("signalbox.receipt."));
    const caused = consequences.slice(0, 20).map((one) => viewOf(one, caps.many));
    const { receipts } = found;
    const runs = found.runs.map(({ run_id, workflow, status }) => ({ run_id, workflow, status }));
    const effects = found.effects.map(({ id, summary, state }) => ({ id, summary, state }));
    const facts = [
      ...found.deliveries.map((one) => `${one.status}${one.claimed_by ? ` by ${one.claimed_by}` : ""}`),
      ...receipts.map((one) => `${one.kind} by ${one.agent} at ${new Date(one.time_ms).toISOString()}`),
      ...runs.map((run) => `run ${run.run_id} of ${run.workflow}: ${run.status}`),
      ...effects.map((effect) => `${effect.id} ${effect.summary}: ${effect.state}`),
    ];
    const causedText = caused.length === 0 ? [] : ["It caused:", ...caused.map((view) => quote(view))];
    return {
      data: { event, deliveries: found.deliveries, receipts, caused, runs, effects, notice },
      text: [notice, quote(event), facts.join("\n"), ...causedText]
        .filter((part) => part !== "")
        .join("\n\n"),
    };
  },
});

function seqField(description: string) {
  return z.int().min(1).optional().describe(description);
}

function timeField(description: string) {
  return z.int().min(0).optional().describe(description);
}

export const logTools: readonly Tool[] = [search, query, look];
