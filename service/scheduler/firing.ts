import type { JsonObject } from "../contract/common.ts";
import type { Event } from "../contract/events.ts";
import type { EventLog } from "../events/log.ts";
import { newId } from "../lib/ids.ts";
import type { EventDraft, FiringDraft, ScheduleRow } from "../store/store.ts";
import type { Plan } from "./plan.ts";

/** Of the events that schedules record; with the key it makes them unique. */
export const SCHEDULER_SOURCE = "scheduler";
/** Data of an answered event up to this many characters of JSON is handed on. */
const HANDED_ON = 65_536;

/** The same due time always has the same key (R49). */
export function dueKey(id: string, due_ms: number): string {
  return `objective:${id}:${Math.floor(due_ms / 1_000)}`;
}

interface Occasion {
  key: string;
  due_ms: number;
  cause: FiringDraft["cause"];
  now_ms: number;
  missed?: number;
  /** The event that it answers. */
  trigger?: Event;
}

/** The one event of a due time. */
export function eventOf(events: EventLog, row: ScheduleRow, occasion: Occasion): EventDraft {
  const { key, due_ms, cause, now_ms, missed = 0, trigger } = occasion;
  const about: JsonObject = {
    id: row.id,
    name: row.name,
    key,
    cause,
    due_ms,
    late_ms: Math.max(0, now_ms - due_ms),
  };
  if (row.title !== null) about.title = row.title;
  if (missed > 0) about.missed = missed;
  return events.draft(
    {
      type: row.type,
      source: SCHEDULER_SOURCE,
      subject: row.subject,
      topic: row.topic ?? undefined,
      body: row.body ?? undefined,
      payload: trigger === undefined ? row.payload : { ...row.payload, event: handOn(trigger) },
      meta: { schedule: about },
      scope: row.scope ?? undefined,
      external_id: key,
      origin_kind: "system",
    },
    trigger === undefined
      ? null
      : { id: trigger.id, depth: trigger.depth, correlation_id: trigger.correlation_id ?? trigger.id },
  );
}

/** What an answered event says, without what is too large to be said twice: its id leads to that. */
function handOn({ id, type, subject, source, payload }: Event): JsonObject {
  const short = { id, type, subject, source };
  return JSON.stringify(payload).length > HANDED_ON ? short : { ...short, payload };
}

/** One firing with its event. */
export function firingOf(events: EventLog, row: ScheduleRow, occasion: Occasion): FiringDraft {
  const { key, due_ms, cause, now_ms } = occasion;
  return {
    key,
    due_ms,
    first_ms: due_ms,
    count: 1,
    outcome: "fired",
    cause,
    recorded_ms: now_ms,
    reason: null,
    event: eventOf(events, row, occasion),
  };
}

/** All that a plan asks for, in the order of the due times. */
export function firingsOf(events: EventLog, row: ScheduleRow, plan: Plan, now_ms: number): FiringDraft[] {
  const fired = plan.fire.map(({ due_ms, cause, missed }) =>
    firingOf(events, row, { key: dueKey(row.id, due_ms), due_ms, cause, now_ms, missed }),
  );
  const { leave } = plan;
  if (leave === null) return fired;
  const { outcome, first_ms, due_ms, count, isExact } = leave;
  const amount = isExact ? "" : `${count} or more; `;
  const reason =
    outcome === "settled"
      ? `${amount}made up for by a later one`
      : `${amount}noticed ${describeLate(now_ms - due_ms)} late`;
  return [
    {
      key: dueKey(row.id, due_ms),
      due_ms,
      first_ms,
      count,
      outcome,
      cause: "due",
      recorded_ms: now_ms,
      reason,
      event: null,
    },
    ...fired,
  ];
}

function describeLate(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** For a person who runs it besides its due times. */
export function manualKey(id: string): string {
  return `objective:${id}:${newId("run")}`;
}

/** For an event that it answers: an event that comes again is not answered again. */
export function answerKey(id: string, event_id: string): string {
  return `objective:${id}:${event_id}`;
}

/** Tells that due times were skipped. */
export function missedEvent(events: EventLog, row: ScheduleRow, plan: Plan): EventDraft[] {
  const { leave } = plan;
  if (leave?.outcome !== "skipped") return [];
  const { first_ms, due_ms, count } = leave;
  return [
    events.draft(
      {
        type: "signalbox.schedule.missed",
        source: "signalbox",
        body: `${row.name} missed ${count} due time${count === 1 ? "" : "s"}`,
        payload: { schedule_id: row.id, name: row.name, first_ms, due_ms, count },
        origin_kind: "system",
      },
      null,
    ),
  ];
}

/** Tells that a schedule paused by itself. */
export function pausedEvent(events: EventLog, row: ScheduleRow, failures: number, error: string): EventDraft {
  return events.draft(
    {
      type: "signalbox.schedule.paused",
      source: "signalbox",
      body: `${row.name} is paused after ${failures} failures in a row: ${error}`,
      payload: { schedule_id: row.id, name: row.name, failures, error },
      origin_kind: "system",
    },
    null,
  );
}
