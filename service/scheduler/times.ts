import { Cron } from "croner";
import { SignalboxError } from "../contract/errors.ts";
import type { ScheduleRow } from "../store/store.ts";

/** What says when a schedule is due. */
export type Rhythm = Pick<ScheduleRow, "kind" | "at_ms" | "every_ms" | "anchor_ms" | "cron" | "time_zone">;

/** Due times of a cron expression that are counted one by one; a time zone makes each cost tens of microseconds. */
const COUNTED = 500;

/** The first due time after `afterMs`; null when there is none. */
export function nextDue(rhythm: Rhythm, afterMs: number): number | null {
  switch (rhythm.kind) {
    case "at":
      return rhythm.at_ms !== null && rhythm.at_ms > afterMs ? rhythm.at_ms : null;
    case "every": {
      const every = rhythm.every_ms ?? 0;
      const steps = Math.max(1, Math.floor((afterMs - rhythm.anchor_ms) / every) + 1);
      return rhythm.anchor_ms + steps * every;
    }
    case "cron":
      return cronOf(rhythm).nextRun(new Date(afterMs))?.getTime() ?? null;
    case "event":
      return null;
  }
}

/** `first` and those that follow it, `count` at the most. */
export function dueTimesFrom(rhythm: Rhythm, first: number | null, count: number): number[] {
  const times: number[] = [];
  for (let due = first; due !== null && times.length < count; due = nextDue(rhythm, due)) times.push(due);
  return times;
}

export interface DueTimes {
  /** The last ones, in order. */
  newest: number[];
  count: number;
  /** False where `count` is only the least that there are. */
  isExact: boolean;
}

/** The due times from `first`, which is one, up to `untilMs`: the newest `keep` of them, and how many there are. */
export function dueTimesUntil(rhythm: Rhythm, first: number, untilMs: number, keep: number): DueTimes {
  if (rhythm.kind === "every") return stepsUntil(rhythm, first, untilMs, keep);
  const times: number[] = [];
  for (let due: number | null = first; due !== null && due <= untilMs; due = nextDue(rhythm, due)) {
    times.push(due);
    if (times.length > COUNTED) return newestRuns(rhythm, first, untilMs, keep);
  }
  return { newest: times.slice(-keep), count: times.length, isExact: true };
}

function stepsUntil(rhythm: Rhythm, first: number, untilMs: number, keep: number): DueTimes {
  if (first > untilMs) return { newest: [], count: 0, isExact: true };
  const every = rhythm.every_ms ?? 1;
  // The first one may have been set by hand, beside the steps.
  const second = nextDue(rhythm, first) ?? first;
  const steps = second > untilMs ? 0 : Math.floor((untilMs - second) / every) + 1;
  const kept = Math.min(steps, keep);
  const newest = Array.from({ length: kept }, (_, index) => second + (steps - kept + index) * every);
  return { newest: kept < keep ? [first, ...newest] : newest, count: steps + 1, isExact: true };
}

function newestRuns(rhythm: Rhythm, first: number, untilMs: number, keep: number): DueTimes {
  const runs = cronOf(rhythm).previousRuns(keep, new Date(untilMs + 1));
  const newest = runs
    .map((run) => run.getTime())
    .filter((due) => due >= first)
    .sort((a, b) => a - b);
  return { newest, count: Math.max(COUNTED, newest.length), isExact: false };
}

function cronOf({ cron, time_zone }: Rhythm): Cron {
  return openCron(cron ?? "", time_zone);
}

function openCron(text: string, time_zone: string): Cron {
  return new Cron(text, {
    timezone: time_zone,
    mode: "5-or-6-parts",
    // Hours that are named, also several, come once on the day on which the clock goes back.
    fixedTimeRule: "no-wildcard",
  });
}

/** @throws SignalboxError `invalid_request` when it can't be read or is never due */
export function checkCron(text: string, time_zone: string): void {
  const fields = text.trim().split(/\s+/).length;
  // A date would be taken for a job that runs once.
  if (!text.trim().startsWith("@") && fields !== 5 && fields !== 6) {
    throw badTime(
      `the cron expression ${text} has ${fields} fields`,
      "Write five, such as 0 9 * * 1-5, or six with seconds first.",
    );
  }
  let next: Date | null;
  try {
    next = openCron(text.trim(), time_zone).nextRun(new Date(0));
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
    throw badTime(
      `the cron expression ${text} can't be read: ${message}`,
      "minute hour day month weekday",
      error,
    );
  }
  if (next === null) throw badTime(`the cron expression ${text} is never due`, "Check its day and month.");
}

/** @throws SignalboxError `invalid_request` for a name that is no time zone */
export function checkZone(time_zone: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone: time_zone });
  } catch (error) {
    throw badTime(`there is no time zone ${time_zone}`, "Use an IANA name such as Europe/Berlin.", error);
  }
}

/** Milliseconds of `2026-12-01T09:00` in a time zone, or of a time that names its own. @throws `invalid_request` */
export function readTime(text: string, time_zone: string): number {
  const written = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:?\d{2})?)?$/i.exec(
    text.trim(),
  );
  const hint = "Write a date and time such as 2026-12-01T09:00.";
  if (!written) throw badTime(`${text} is no time`, hint);
  const iso = written[1] === undefined ? `${text.trim()}T00:00` : text.trim().replace(" ", "T");
  if (written[4] !== undefined) {
    const ms = Date.parse(iso);
    if (Number.isNaN(ms)) throw badTime(`${text} is no time`, hint);
    return ms;
  }
  try {
    const date = new Cron(iso.replace(/\.\d+$/, ""), { timezone: time_zone }).nextRun(new Date(0));
    if (date === null) throw badTime(`${text} is no time`, hint);
    return date.getTime();
  } catch (error) {
    throw SignalboxError.is(error) ? error : badTime(`${text} is no time`, hint, error);
  }
}

/** The zone of this machine. */
export function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function badTime(message: string, hint: string, cause?: unknown): SignalboxError {
  return new SignalboxError("invalid_request", message, cause === undefined ? { hint } : { hint, cause });
}
