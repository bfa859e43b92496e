import type { Json } from "../../service/contract/common.ts";
import type { Effect } from "../../service/contract/effects.ts";
import type { Delivery, Event } from "../../service/contract/events.ts";
import type { Output } from "../../service/contract/routes.ts";
import type { Run, Tested } from "../../service/contract/workflows.ts";
import type { Translate } from "./row.ts";
import { excerpt } from "./words.ts";

type EventDetail = Output<"getEvent">;

/** An event with all that led to it and came of it, as a Markdown text that is read, never run. */
export function eventText(detail: EventDetail, t: Translate): string {
  const { event, raw, deliveries, causes, caused, runs, effects } = detail;
  return [
    `# ${event.type}`,
    ...(event.body === null ? [] : [quote(event.body)]),
    facts(event, t),
    section(t("Payload"), [fenced(event.payload)]),
    section(
      t("Why: what caused it"),
      causes.map((cause, index) => `${index + 1}. ${eventLine(cause)}`),
    ),
    section(
      t("What came of it"),
      caused.map((one) => `- ${eventLine(one)}`),
    ),
    section(
      t("Deliveries"),
      deliveries.map((delivery) => deliveryLine(delivery, t)),
    ),
    section(
      t("Runs"),
      runs.flatMap((run) => runLines(run)),
    ),
    section(
      t("Effects"),
      effects.flatMap((effect) => effectLines(effect)),
    ),
    section(t("Meta"), Object.keys(event.meta).length === 0 ? [] : [fenced(event.meta)]),
    section(t("Raw"), raw === null ? [] : [fenced(raw)]),
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

function facts(event: Event, t: Translate): string {
  const fields: [string, string | number | null][] = [
    [t("id"), event.id],
    [t("subject"), event.subject],
    [t("topic"), event.topic],
    [t("source"), `${event.source} (${event.origin_kind})`],
    [t("time"), isoTime(event.time_ms)],
    [t("recorded"), event.recorded_ms === event.time_ms ? null : isoTime(event.recorded_ms)],
    [t("correlation"), event.correlation_id],
    [t("conversation"), event.conversation_key],
    [t("depth"), event.depth === 0 ? null : event.depth],
    [t("parked"), event.parked ? t("yes: too many events caused each other") : null],
  ];
  return fields.flatMap(([name, value]) => (value === null ? [] : [`- ${name}: ${value}`])).join("\n");
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `## ${title}\n\n${lines.join("\n")}`;
}

function eventLine(event: Event): string {
  const body = event.body === null ? "" : ` — ${excerpt(event.body, 80)}`;
  return `${event.id} ${event.type}, ${event.source}, ${isoTime(event.time_ms)}${body}`;
}

function deliveryLine(delivery: Delivery, t: Translate): string {
  const by = delivery.claimed_by === null ? "" : ` ${t("by {0}", delivery.claimed_by)}`;
  const error = delivery.last_error === null ? "" : `: ${excerpt(delivery.last_error)}`;
  return `- ${delivery.group}: ${delivery.status}${by}, ${t("{0} attempts", delivery.attempts)}${error}`;
}

function runLines(run: Run): string[] {
  const error = run.error === null ? [] : [`  - ${excerpt(run.error.message)}`];
  const logs = run.logs.map(({ level, line, message }) => `  - ${level} :${line ?? "?"} ${excerpt(message)}`);
  return [`- ${run.workflow ?? ""} ${run.line ?? ""} ${run.status}`, ...error, ...logs];
}

function effectLines(effect: Effect): string[] {
  const line = effect.cause.line === null ? "" : ` (${effect.cause.line})`;
  const error = effect.error === null ? [] : [`  - ${excerpt(effect.error)}`];
  return [`- ${effect.id} ${effect.state}: ${effect.summary}${line}`, ...error];
}

/** What handlers would do with an event, next to what was done when it came. */
export function dryRunText(
  workflow: string,
  tested: Tested,
  detail: EventDetail | null,
  t: Translate,
): string {
  const lines = [
    `# ${t("Dry run: {0}", workflow)}`,
    `${t("Nothing of this has happened.")} ${tested.event.id} ${tested.event.type}`,
    section(t("Payload"), [fenced(tested.event.payload)]),
  ];
  if (tested.runs.length === 0) lines.push(t("No handler of this workflow takes this event."));
  for (const run of tested.runs) {
    const pattern = run.handler.pattern ?? "";
    lines.push(
      section(`${pattern} ${t("line {0}", run.handler.line)}: ${run.status}`, [
        ...(run.error === null
          ? []
          : [`- ${run.error.file ?? ""}:${run.error.line ?? "?"} ${run.error.message}`]),
        ...run.logs.map(({ level, line, message }) => `- ${level} :${line ?? "?"} ${excerpt(message)}`),
        ...run.effects.map(
          (effect) => `- ${t("would")} ${effect.summary} (${effect.line ?? "?"})\n${fenced(effect.payload)}`,
        ),
        ...(run.waiting_for === null ? [] : [`- ${t("then waits for {0}", run.waiting_for)}`]),
      ]),
    );
  }
  const done = detail?.effects.filter(({ cause }) => cause.workflow === workflow) ?? [];
  lines.push(
    section(
      t("What it did when the event came"),
      done.flatMap((effect) => effectLines(effect)),
    ),
  );
  return lines
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

/** What is quoted can't begin a heading or a list of ours. */
function quote(text: string): string {
  return text
    .split("\n")
    .map((line) => `> ${line}`)
    .join("\n");
}

/** The fence is longer than any within, so that nothing inside can close it. */
function fenced(value: Json): string {
  const text = JSON.stringify(value, null, 2);
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}json\n${text}\n${fence}`;
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
