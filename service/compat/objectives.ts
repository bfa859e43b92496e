import * as z from "zod";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { HealthReply } from "../contract/health.ts";
import type { RouteAlias } from "../contract/routes.ts";
import type { Schedule } from "../contract/schedules.ts";
import { newId } from "../lib/ids.ts";

/**
 * agent-runtime's objectives (R11, R12, R48) are schedules: what it called a task of kind `objective` is the event
 * that a schedule records, claimable from the topic `objectives`.
 */

const trigger = {
  trigger_type: z.enum(["schedule", "event"]).optional(),
  event_key: z.string().optional(),
  cron_expr: z.string().optional(),
  timezone: z.string().optional(),
  next_run_unix: z.int().min(0).optional(),
  active: z.boolean().optional(),
};

const created = z.object({
  ...trigger,
  workspace_id: z.string().min(1),
  context_id: z.string().default(""),
  title: z.string().min(1),
  prompt: z.string().min(1),
  trigger_type: z.enum(["schedule", "event"]),
});
const updated = z.object({
  ...trigger,
  id: z.string().min(1),
  title: z.string().optional(),
  prompt: z.string().optional(),
});
const activated = z.object({ id: z.string().min(1), active: z.boolean() });
const deleted = z.object({ id: z.string().min(1) });
const listed = z.object({
  workspace_id: z.string().min(1),
  active_only: z.string().default("true"),
  limit: z.coerce.number().int().min(1).max(1_000).catch(50),
});

function read<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
  throw new SignalboxError("invalid_request", faults.join("; "));
}

/** Empty texts and zero mean "not given" there. */
function rhythmOf(given: z.infer<z.ZodObject<typeof trigger>>): JsonObject {
  const { trigger_type, event_key, cron_expr, timezone, next_run_unix, active } = given;
  const fields: JsonObject = {};
  const next_ms = next_run_unix ? next_run_unix * 1_000 : undefined;
  if (trigger_type !== "schedule" && event_key) fields.pattern = event_key;
  else if (cron_expr) fields.cron = cron_expr;
  if (fields.pattern === undefined && next_ms !== undefined) {
    // Without a rhythm it is for that time alone.
    const isSingle = trigger_type === "schedule" && !cron_expr;
    fields[isSingle ? "at_ms" : "next_ms"] = next_ms;
  }
  if (timezone) fields.time_zone = timezone;
  if (active !== undefined) fields.paused = !active;
  return fields;
}

function nameOf(title: string): string {
  const slug = title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 60);
  return `${slug === "" ? "objective" : slug}-${newId("o").slice(-6).toLowerCase()}`;
}

function newObjective(body: unknown): JsonObject {
  const { workspace_id, context_id, title, prompt, ...rest } = read(created, body);
  return {
    name: nameOf(title),
    title,
    body: prompt,
    type: "objective.due",
    topic: "objectives",
    payload: { kind: "objective", workspace_id, context_id },
    scope: workspace_id,
    time_zone: "UTC",
    ...rhythmOf(rest),
  };
}

function change(body: unknown): { params: JsonObject; body: JsonObject } {
  const { id, title, prompt, ...rest } = read(updated, body);
  const fields = rhythmOf(rest);
  if (title !== undefined) fields.title = title;
  if (prompt !== undefined) fields.body = prompt;
  return { params: { schedule: id }, body: fields };
}

const unix = (ms: number | null) => (ms === null ? null : Math.floor(ms / 1_000));

function objective(schedule: Schedule): JsonObject {
  const { counts, failures, state, paused_reason, payload, upcoming } = schedule;
  const health = failures > 0 ? "degraded" : "healthy";
  return {
    id: schedule.id,
    workspace_id: schedule.scope ?? "",
    context_id: payload.context_id ?? "",
    title: schedule.title ?? schedule.name,
    prompt: schedule.body ?? "",
    trigger_type: schedule.kind === "event" ? "event" : "schedule",
    event_key: schedule.pattern ?? "",
    cron_expr: schedule.cron ?? "",
    timezone: schedule.time_zone,
    active: state === "active",
    next_run_unix: unix(schedule.next_ms),
    last_run_unix: unix(schedule.last_fired_ms),
    last_error: schedule.last_error ?? "",
    run_count: counts.fired,
    success_count: Math.max(0, counts.fired - counts.failed),
    failure_count: counts.failed,
    consecutive_failures: failures,
    failure_streak: failures,
    auto_paused_reason: paused_reason,
    next_runs_unix: upcoming.map((ms) => Math.floor(ms / 1_000)),
    health_state: state === "active" ? health : paused_reason === null ? "paused" : "auto_paused",
  };
}

const componentStates = { ok: "healthy", degraded: "degraded", failed: "degraded", off: "disabled" } as const;

/** @throws SignalboxError `unavailable` when nothing is watched */
function heartbeat(reply: HealthReply): Json {
  if (!reply.enabled)
    throw new SignalboxError("unavailable", "the heartbeat is disabled", {
      hint: "Set health.enabled = true.",
    });
  return {
    generated_at_unix: Math.floor(reply.checked_ms / 1_000),
    overall: reply.state === "ok" ? "healthy" : "degraded",
    components: reply.parts.map(({ name, state, message, since_ms, last_beat_ms }) => ({
      name,
      state: componentStates[state],
      base_state: componentStates[state],
      ...(message === null ? {} : { message }),
      last_beat_at_unix: Math.floor(last_beat_ms / 1_000),
      updated_at_unix: Math.floor(since_ms / 1_000),
      ...(reply.checked_ms - last_beat_ms > reply.stale_ms ? { stale: true } : {}),
    })),
  };
}

export const objectiveAliases: readonly RouteAlias[] = [
  {
    method: "POST",
    path: "/api/v1/objectives",
    route: "createSchedule",
    input: ({ body }) => ({ body: newObjective(body) }),
    shape: objective,
  },
  {
    method: "GET",
    path: "/api/v1/objectives",
    route: "listSchedules",
    input({ query }) {
      const { workspace_id, active_only, limit } = read(listed, query);
      const isActiveOnly = !["false", "0", "no"].includes(active_only.trim().toLowerCase());
      return { query: { scope: workspace_id, limit, ...(isActiveOnly ? { state: "active" } : {}) } };
    },
    shape: ({ schedules }: { schedules: Schedule[] }): Json => ({
      items: schedules.map(objective),
      count: schedules.length,
    }),
  },
  {
    method: "POST",
    path: "/api/v1/objectives/update",
    route: "updateSchedule",
    input: ({ body }) => change(body),
    shape: objective,
  },
  {
    method: "POST",
    path: "/api/v1/objectives/active",
    route: "updateSchedule",
    input({ body }) {
      const { id, active } = read(activated, body);
      return { params: { schedule: id }, body: { paused: !active } };
    },
    shape: objective,
  },
  {
    method: "POST",
    path: "/api/v1/objectives/delete",
    route: "removeSchedule",
    input: ({ body }) => ({ params: { schedule: read(deleted, body).id } }),
    shape: (_reply: never, { schedule }: { schedule: string }): Json => ({ id: schedule, deleted: true }),
  },
  { method: "GET", path: "/api/v1/heartbeat", route: "getHealth", shape: heartbeat },
];
