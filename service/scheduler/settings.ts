import { SignalboxError } from "../contract/errors.ts";
import type { CreateSchedule, Schedule, UpdateSchedule } from "../contract/schedules.ts";
import { newId } from "../lib/ids.ts";
import type { ScheduleChange, ScheduleRow } from "../store/store.ts";
import { checkCron, checkZone, dueTimesFrom, localZone, nextDue, type Rhythm, readTime } from "./times.ts";

type TriggerFields = Pick<CreateSchedule, "at" | "at_ms" | "every_ms" | "cron" | "pattern" | "time_zone">;

const UPCOMING = 5;

/** A schedule as it is before its first due time. @throws SignalboxError `invalid_request` */
export function newSchedule(input: CreateSchedule, now_ms: number): ScheduleRow {
  const { name, payload = {}, missed = "once", paused = false } = input;
  const rhythm = rhythmOf(input, input.time_zone ?? localZone(), now_ms);
  const first = firstDue(rhythm, input.next_ms, now_ms);
  return {
    id: newId("sch"),
    name,
    title: input.title ?? null,
    ...rhythm,
    type: input.type ?? "schedule.due",
    subject: input.subject ?? `schedules.${name}`,
    topic: input.topic ?? null,
    body: input.body ?? null,
    payload,
    scope: input.scope ?? null,
    missed,
    state: paused ? "paused" : "active",
    paused_reason: null,
    next_ms: paused ? null : first,
    hold_ms: null,
    failures: 0,
    fired: 0,
    skipped: 0,
    failed: 0,
    last_due_ms: null,
    last_fired_ms: null,
    last_error: null,
    created_ms: now_ms,
    updated_ms: now_ms,
    revision: 0,
  };
}

/** What a change makes of a schedule. @throws SignalboxError `invalid_request` */
export function changedSchedule(
  row: ScheduleRow,
  input: UpdateSchedule,
  now_ms: number,
): ScheduleChange["patch"] {
  const { paused, next_ms, at, at_ms, every_ms, cron, pattern, time_zone, ...plain } = input;
  const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined));
  const isRetimed = [at, at_ms, every_ms, cron, pattern, time_zone, next_ms].some((one) => one !== undefined);
  const rhythm = isRetimed ? retimed(row, input, now_ms) : row;
  const patch: ScheduleChange["patch"] = { ...given, ...(isRetimed ? rhythm : {}), updated_ms: now_ms };
  if (paused === true)
    return { ...patch, state: "paused", paused_reason: null, next_ms: null, hold_ms: null };
  const stays = row.state === "paused" ? paused === undefined : !isRetimed;
  if (stays) return patch;
  return {
    ...patch,
    state: "active",
    paused_reason: null,
    failures: 0,
    hold_ms: null,
    next_ms: firstDue(rhythm, next_ms, now_ms),
  };
}

/** The rhythm alone: what a row has more stays as it is. */
function retimed(
  row: ScheduleRow,
  input: UpdateSchedule,
  now_ms: number,
): Rhythm & Pick<ScheduleRow, "pattern"> {
  const zone = input.time_zone ?? row.time_zone;
  const hasTrigger = [input.at, input.at_ms, input.every_ms, input.cron, input.pattern].some(
    (one) => one !== undefined,
  );
  if (hasTrigger) return rhythmOf(input, zone, now_ms);
  const { kind, at_ms, every_ms, anchor_ms, cron, pattern } = row;
  checkZone(zone);
  return { kind, at_ms, every_ms, anchor_ms, cron, pattern, time_zone: zone };
}

/** @throws SignalboxError `invalid_request` */
export function rhythmOf(
  input: TriggerFields,
  time_zone: string,
  now_ms: number,
): Rhythm & Pick<ScheduleRow, "pattern"> {
  checkZone(time_zone);
  const none = { at_ms: null, every_ms: null, cron: null, pattern: null };
  // Whole seconds, since the key of a due time counts them.
  const anchor_ms = Math.floor(now_ms / 1_000) * 1_000;
  const base = { ...none, anchor_ms, time_zone };
  if (input.pattern !== undefined) return { ...base, kind: "event", pattern: input.pattern };
  if (input.every_ms !== undefined) return { ...base, kind: "every", every_ms: input.every_ms };
  if (input.cron !== undefined) {
    checkCron(input.cron, time_zone);
    return { ...base, kind: "cron", cron: input.cron.trim() };
  }
  const at_ms = input.at_ms ?? readTime(input.at ?? "", time_zone);
  return { ...base, kind: "at", at_ms };
}

function firstDue(rhythm: Rhythm, given: number | undefined, now_ms: number): number | null {
  if (given !== undefined && rhythm.kind !== "event") return given;
  const first = nextDue(rhythm, now_ms);
  if (first === null && rhythm.kind === "at") {
    throw new SignalboxError("invalid_request", `${new Date(rhythm.at_ms ?? 0).toISOString()} has gone by`, {
      hint: "Give a time to come, or run it now with `signalbox schedules run`.",
    });
  }
  return first;
}

/** As everybody sees it. */
export function toSchedule(row: ScheduleRow): Schedule {
  const { anchor_ms: _anchor, revision: _revision, fired, skipped, failed, ...rest } = row;
  const upcoming = dueTimesFrom(row, row.next_ms, UPCOMING);
  return { ...rest, counts: { fired, skipped, failed }, upcoming };
}
