import type { Event, ListedEvent } from "../contract/events.ts";
import type { Output } from "./output.ts";
import { printTable } from "./table.ts";
import { count, type Part, type Style, showMoment, showTime, styled } from "./text.ts";

const statusStyle: Readonly<Record<string, Style>> = {
  pending: "yellow",
  waiting: "yellow",
  queued: "yellow",
  processing: "cyan",
  running: "cyan",
  completed: "green",
  succeeded: "green",
  failed: "red",
  dead: "red",
  unknown: "red",
  parked: "red",
};

export function statusPart(status: string | null): Part {
  if (status === null) return "";
  const style = statusStyle[status];
  return style === undefined ? status : styled(style, status);
}

/** What an event is about, in a line: its text, or else its data. */
export function gist(event: Pick<Event, "body" | "payload">): string {
  if (event.body !== null && event.body !== "") return event.body.slice(0, 500);
  return Object.keys(event.payload).length === 0 ? "" : JSON.stringify(event.payload).slice(0, 500);
}

export function printEvents(out: Output, events: readonly ListedEvent[]): void {
  printTable(out, {
    head: ["TIME", "ID", "TYPE", "SOURCE", "TOPIC", "STATUS", "BODY"],
    rows: events.map((event) => [
      styled("dim", showTime(event.time_ms)),
      event.id,
      event.type,
      event.source,
      event.topic ?? "",
      statusPart(event.parked ? "parked" : event.status),
      gist(event),
    ]),
    flexible: [2, 3, 4, 6],
    empty: "No events found.",
  });
}

/** An event as an agent or a person wants to read it. */
export function printEvent(out: Output, event: Event): void {
  out.fields([
    ["id", styled("bold", event.id)],
    ["type", event.type],
    ["source", `${event.source} (${event.origin_kind})`],
    ["subject", event.subject],
    ["topic", event.topic],
    ["time", showMoment(event.time_ms)],
    ["correlation", event.correlation_id],
    ["conversation", event.conversation_key],
    ["user", event.user_key],
    ["scope", event.scope],
    ["external id", event.external_id],
    ["caused by", event.parent_id],
    [
      "parked",
      event.parked ? styled("red", `the last of a chain of ${count(event.depth + 1, "event")}`) : null,
    ],
    ["meta", shortJson(event.meta)],
    ["payload", shortJson(event.payload)],
  ]);
  if (event.body) out.line("\n", event.body);
}

function shortJson(value: object): string | null {
  return Object.keys(value).length === 0 ? null : JSON.stringify(value);
}
