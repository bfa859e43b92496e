import type { Firing, Schedule } from "../contract/schedules.ts";
import { showDuration } from "../lib/duration.ts";
import { statusPart } from "./event-view.ts";
import type { Output } from "./output.ts";
import { printTable } from "./table.ts";
import { count, type Part, showAge, showTime, styled } from "./text.ts";

/** When it is due, in a few words. */
export function whenText(schedule: Schedule): string {
  const { kind, cron, time_zone, every_ms, at_ms, pattern, scope } = schedule;
  if (kind === "cron") return `${cron ?? ""} (${time_zone})`;
  if (kind === "every") return `every ${showDuration(every_ms ?? 0)}`;
  if (kind === "at") return `at ${showTime(at_ms)}`;
  return `on ${pattern ?? ""}${scope === null ? "" : ` in ${scope}`}`;
}

function statePart({ state, paused_reason, failures }: Schedule): Part {
  if (state === "paused") return styled(paused_reason === null ? "yellow" : "red", "paused");
  if (failures > 0) return styled("red", `held back (${failures})`);
  return state === "active" ? styled("green", "active") : state;
}

function nextText({ next_ms, hold_ms, state, kind }: Schedule): string {
  if (state === "active" && kind === "event") return "with the next event";
  return next_ms === null ? "–" : showAge(Math.max(next_ms, hold_ms ?? 0));
}

export function printSchedules(out: Output, schedules: readonly Schedule[]): void {
  printTable(out, {
    head: ["SCHEDULE", "STATE", "WHEN", "NEXT", "FIRED", "SKIPPED", "FAILED", "LAST", "TITLE"],
    rows: schedules.map((one) => [
      one.name,
      statePart(one),
      whenText(one),
      nextText(one),
      String(one.counts.fired),
      String(one.counts.skipped),
      one.counts.failed > 0 ? styled("red", String(one.counts.failed)) : "0",
      showAge(one.last_fired_ms),
      one.title ?? one.body ?? "",
    ]),
    flexible: [0, 2, 8],
    empty: 'No schedules yet. Try: signalbox schedules add standup --cron "0 9 * * 1-5" --topic inbox',
  });
}

export function printSchedule(out: Output, schedule: Schedule): void {
  const { counts } = schedule;
  out.fields([
    ["schedule", styled("bold", schedule.name)],
    ["id", schedule.id],
    ["title", schedule.title],
    ["state", statePart(schedule)],
    ["paused because", schedule.paused_reason],
    ["when", whenText(schedule)],
    ["records", `${schedule.type} on ${schedule.subject}`],
    ["topic", schedule.topic],
    ["scope", schedule.scope],
    ["payload", Object.keys(schedule.payload).length === 0 ? null : JSON.stringify(schedule.payload)],
    ["missed", missedText[schedule.missed]],
    ["counts", `${counts.fired} fired, ${counts.skipped} skipped, ${counts.failed} failed`],
    ["last", schedule.last_fired_ms === null ? null : showAge(schedule.last_fired_ms)],
    ["last error", schedule.last_error === null ? null : styled("red", schedule.last_error)],
    ["held back", schedule.hold_ms === null ? null : showAge(schedule.hold_ms)],
  ]);
  if (schedule.body !== null) out.line("\n", schedule.body);
  printUpcoming(out, schedule.upcoming);
}

const missedText = {
  skip: "skip: due times that were missed are left",
  once: "once: the newest makes up for all that were missed",
  all: "all: each that was missed is made up for",
} as const;

export function printUpcoming(out: Output, upcoming: readonly number[]): void {
  if (upcoming.length === 0) return;
  out.line("\n", styled("dim", "due"));
  for (const due of upcoming) out.line(`  ${dayText(due)}  `, styled("dim", showAge(due)));
}

/** With the weekday, since that is what a cron expression is wrong in. */
function dayText(ms: number): string {
  const time = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const day = time.toLocaleDateString("en", { weekday: "short" });
  return `${day} ${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

export function printDue(out: Output, due: readonly { name: string; due_ms: number }[]): void {
  printTable(out, {
    head: ["DUE", "IN", "SCHEDULE"],
    rows: due.map((one) => [dayText(one.due_ms), showAge(one.due_ms), one.name]),
    empty: "Nothing is due. signalbox schedules list shows paused ones and those that wait for events.",
  });
}

export function printHistory(out: Output, firings: readonly Firing[]): void {
  printTable(out, {
    head: ["DUE", "OUTCOME", "CAUSE", "LATE", "EVENT", "REASON"],
    rows: firings.map((one) => [
      one.count === 1 ? showTime(one.due_ms) : `${showTime(one.first_ms)} … ${showTime(one.due_ms)}`,
      outcomePart(one),
      one.cause,
      one.event_id === null ? "" : showDuration(Math.max(0, one.recorded_ms - one.due_ms)),
      one.event_id ?? "",
      one.reason ?? "",
    ]),
    flexible: [5],
    empty: "It has not been due yet.",
  });
}

function outcomePart({ outcome, count: amount }: Firing): Part {
  const text = amount === 1 ? outcome : `${amount} ${outcome}`;
  if (outcome === "failed") return statusPart("failed");
  if (outcome === "fired") return styled("green", text);
  return outcome === "skipped" ? styled("yellow", text) : text;
}

export function settledText({ fired, settled }: { fired: number; settled: number }): string {
  if (fired + settled === 0) return "Nothing was missed, or it was settled before.";
  return `${count(fired, "due time")} made up for, ${settled} left`;
}
