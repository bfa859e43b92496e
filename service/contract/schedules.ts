import * as z from "zod";
import {
  durationMs,
  empty,
  jsonObject,
  limits,
  name,
  okReply,
  pageLimit,
  subject,
  subjectPattern,
  text,
  time_ms,
} from "./common.ts";

/** Once, in even steps, by a cron expression, or whenever an event comes. */
export const scheduleKind = z.enum(["at", "every", "cron", "event"]);
export type ScheduleKind = z.infer<typeof scheduleKind>;

/** What becomes of due times that went by unseen: none is made up for, the newest is, or each one. */
export const missedPolicy = z.enum(["skip", "once", "all"]);
export type MissedPolicy = z.infer<typeof missedPolicy>;

/** `done`: it was for one time, and that is over. */
export const scheduleState = z.enum(["active", "paused", "done"]);
export type ScheduleState = z.infer<typeof scheduleState>;

/** When and what: a due schedule records one event, and does nothing else. */
export const schedule = z.object({
  /** `sch_` + ULID. */
  id: z.string(),
  name: z.string(),
  /** A line for people. */
  title: z.string().nullable(),
  kind: scheduleKind,
  at_ms: z.int().nullable(),
  every_ms: z.int().nullable(),
  /** Five fields, or six with seconds first. */
  cron: z.string().nullable(),
  /** In which the cron expression is read. */
  time_zone: z.string(),
  /** Subjects of the events that it answers. */
  pattern: z.string().nullable(),
  /** Of the event that it records. */
  type: z.string(),
  subject: z.string(),
  topic: z.string().nullable(),
  body: z.string().nullable(),
  payload: jsonObject,
  /** Its events carry it; where it answers events, only those of this scope count. */
  scope: z.string().nullable(),
  missed: missedPolicy,
  state: scheduleState,
  /** Why it paused by itself; null where a person paused it. */
  paused_reason: z.string().nullable(),
  /** When it is due next; null where nothing is. */
  next_ms: z.int().nullable(),
  /** Held back until then after a failure. */
  hold_ms: z.int().nullable(),
  /** Failures in a row. */
  failures: z.int(),
  /** Since it was made. */
  counts: z.object({ fired: z.int(), skipped: z.int(), failed: z.int() }),
  last_due_ms: z.int().nullable(),
  last_fired_ms: z.int().nullable(),
  last_error: z.string().nullable(),
  created_ms: z.int(),
  updated_ms: z.int(),
  /** The next due times, soonest first, five at the most. */
  upcoming: z.array(z.int()),
});
export type Schedule = z.infer<typeof schedule>;

const MIN_EVERY_MS = 1_000;

/** Exactly one of these says when. */
const triggerFields = {
  at_ms: time_ms.optional(),
  /** `2026-12-01T09:00`, read in `time_zone` where it names no zone itself. */
  at: text(40).optional(),
  every_ms: durationMs.min(MIN_EVERY_MS).optional(),
  cron: text(200).min(1).optional(),
  pattern: subjectPattern.optional(),
};
const triggerNames = ["at_ms", "at", "every_ms", "cron", "pattern"] as const;
type TriggerFields = { [Name in (typeof triggerNames)[number]]?: unknown };
const triggersIn = (fields: TriggerFields) => triggerNames.filter((one) => fields[one] !== undefined);

const otherFields = {
  title: text(500).nullable().optional(),
  /** An IANA name such as `Europe/Berlin`; the service's own when left out. */
  time_zone: text(100).min(1).optional(),
  type: subject.optional(),
  /** `schedules.<name>` when left out. */
  subject: subject.optional(),
  topic: name.nullable().optional(),
  body: text(262_144).nullable().optional(),
  payload: jsonObject.optional(),
  scope: text(200).nullable().optional(),
  missed: missedPolicy.optional(),
  /** The next time, whatever the rhythm says; the rhythm goes on from there. */
  next_ms: time_ms.optional(),
  paused: z.boolean().optional(),
};

/** It becomes part of a subject, and of paths. */
const scheduleName = name
  .max(limits.name)
  .refine(
    (one) => subject.safeParse(`schedules.${one}`).success,
    "dots may stand between other characters only",
  )
  .refine((one) => !["next", "preview"].includes(one), "is taken by a route; choose another name");

export const createSchedule = z
  .strictObject({ name: scheduleName, ...triggerFields, ...otherFields })
  .refine((fields) => triggersIn(fields).length === 1, "give exactly one of at, every_ms, cron and pattern");
export type CreateSchedule = z.infer<typeof createSchedule>;

export const updateSchedule = z
  .strictObject({ ...triggerFields, ...otherFields })
  .refine((fields) => triggersIn(fields).length <= 1, "give at most one of at, every_ms, cron and pattern");
export type UpdateSchedule = z.infer<typeof updateSchedule>;

export const previewSchedule = z
  .strictObject({
    ...triggerFields,
    time_zone: otherFields.time_zone,
    count: z.int().min(1).max(100).default(5),
  })
  .refine((fields) => triggersIn(fields).length === 1, "give exactly one of at, every_ms, cron and pattern");
export type PreviewSchedule = z.infer<typeof previewSchedule>;

/** `settled`: it was missed, and made up for by another or left by a person. `failed`: what its event started failed. */
export const firingOutcome = z.enum(["fired", "skipped", "settled", "failed"]);
export type FiringOutcome = z.infer<typeof firingOutcome>;

/** One due time, or several in a row that were skipped, and what came of it. */
export const firing = z.object({
  /** Its place in the history; the larger the later. */
  seq: z.int(),
  /** `objective:<schedule>:<due time in seconds>`: recorded with the event, so that none is recorded twice (R49). */
  key: z.string(),
  schedule_id: z.string(),
  due_ms: z.int(),
  /** The first of them, where it stands for several. */
  first_ms: z.int(),
  count: z.int(),
  outcome: firingOutcome,
  /** `missed`: made up for later. */
  cause: z.enum(["due", "missed", "manual", "event"]),
  event_id: z.string().nullable(),
  recorded_ms: z.int(),
  /** Why it was skipped, or how it failed. */
  reason: z.string().nullable(),
});
export type Firing = z.infer<typeof firing>;

export const scheduleQuery = z.strictObject({
  state: scheduleState.optional(),
  kind: scheduleKind.optional(),
  scope: text(200).optional(),
  limit: pageLimit.default(limits.page),
});
export const historyQuery = z.strictObject({
  outcome: firingOutcome.optional(),
  limit: pageLimit.default(50),
  /** The `next` of the page before. */
  before: z.coerce.number().int().min(1).optional(),
});
export const upcomingQuery = z.strictObject({
  /** By name or id. */
  schedule: text(200).optional(),
  limit: pageLimit.default(20),
});
export const settleMissed = z.strictObject({ action: missedPolicy });

const scheduleParams = z.object({ schedule: z.string() });

export const scheduleRoutes = {
  listSchedules: {
    method: "GET",
    path: "/v1/schedules",
    summary: "List schedules.",
    query: scheduleQuery,
    reply: z.object({ schedules: z.array(schedule) }),
  },
  createSchedule: {
    method: "POST",
    path: "/v1/schedules",
    summary: "Create a schedule.",
    body: createSchedule,
    reply: schedule,
    status: 201,
  },
  upcomingSchedules: {
    method: "GET",
    path: "/v1/schedules/next",
    summary: "List what is due next, soonest first.",
    query: upcomingQuery,
    reply: z.object({
      due: z.array(z.object({ schedule_id: z.string(), name: z.string(), due_ms: z.int() })),
    }),
  },
  previewSchedule: {
    method: "POST",
    path: "/v1/schedules/preview",
    summary: "Show when a schedule would be due, without creating it.",
    body: previewSchedule,
    reply: z.object({ upcoming: z.array(z.int()), time_zone: z.string() }),
  },
  getSchedule: {
    method: "GET",
    path: "/v1/schedules/:schedule",
    summary: "Show one schedule, by name or id.",
    params: scheduleParams,
    reply: schedule,
  },
  updateSchedule: {
    method: "PATCH",
    path: "/v1/schedules/:schedule",
    summary: "Change, pause or resume a schedule.",
    params: scheduleParams,
    body: updateSchedule,
    reply: schedule,
  },
  removeSchedule: {
    method: "DELETE",
    path: "/v1/schedules/:schedule",
    summary: "Remove a schedule with its history; its events stay.",
    params: scheduleParams,
    reply: okReply,
  },
  runSchedule: {
    method: "POST",
    path: "/v1/schedules/:schedule/run",
    summary: "Record a schedule's event now, besides its due times.",
    params: scheduleParams,
    body: empty,
    reply: z.object({ event_id: z.string(), key: z.string() }),
    status: 201,
  },
  scheduleHistory: {
    method: "GET",
    path: "/v1/schedules/:schedule/history",
    summary: "List a schedule's due times and what came of them, newest first.",
    params: scheduleParams,
    query: historyQuery,
    reply: z.object({ firings: z.array(firing), next: z.int().nullable() }),
  },
  settleMissed: {
    method: "POST",
    path: "/v1/schedules/:schedule/missed",
    summary: "Decide about skipped due times: leave them, make up for the newest, or for each.",
    params: scheduleParams,
    body: settleMissed,
    reply: z.object({ fired: z.int(), settled: z.int() }),
  },
} as const;
