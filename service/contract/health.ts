import * as z from "zod";
import { limits, name, time_ms } from "./common.ts";

/** `failed`: it does not work, where `degraded` means that it works badly or has not reported. */
export const partState = z.enum(["ok", "degraded", "failed", "off"]);
export type PartState = z.infer<typeof partState>;

/** How one part of the service is. */
export const partHealth = z.object({
  name: z.string(),
  state: partState,
  /** What is wrong, where something is. */
  message: z.string().nullable(),
  /** The service is not ready without it. */
  needed: z.boolean(),
  /** In this state since then. */
  since_ms: z.int(),
  /** When it last reported. */
  last_beat_ms: z.int(),
});
export type PartHealth = z.infer<typeof partHealth>;

export const healthReply = z.object({
  /** The worst of the parts. */
  state: z.enum(["ok", "degraded", "failed"]),
  enabled: z.boolean(),
  checked_ms: z.int(),
  interval_ms: z.int(),
  stale_ms: z.int(),
  parts: z.array(partHealth),
  agents: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(["agent", "connector"]),
      status: z.enum(["seen", "online", "offline"]),
      last_beat_ms: z.int().nullable(),
    }),
  ),
});
export type HealthReply = z.infer<typeof healthReply>;

export const awayKind = z.enum([
  "schedule_missed",
  "schedule_paused",
  "effect_waiting",
  "effect_unknown",
  "effect_expired",
  "effect_failed",
  "dead_letters",
  "runs_failed",
  "workflow_parked",
  "chain_parked",
  "agent_offline",
  "agent_unknown",
  "part_degraded",
]);
export type AwayKind = z.infer<typeof awayKind>;

/** One thing that happened and that somebody may want to settle. */
export const awayItem = z.object({
  kind: awayKind,
  title: z.string(),
  /** What went wrong, in words. */
  detail: z.string().nullable(),
  /** When it last happened. */
  time_ms: z.int(),
  count: z.int(),
  /** The schedule, effect, topic, run, workflow, event, agent or part it is about. */
  ref: z.string(),
  /** What settles it. */
  actions: z.array(z.object({ label: z.string(), command: z.string() })),
});
export type AwayItem = z.infer<typeof awayItem>;

/** Whose look it is: everybody has a mark of their own. */
const by = name.max(limits.name).default("me");

export const awayQuery = z.strictObject({
  by,
  /** Instead of the mark. */
  since_ms: z.coerce.number().int().min(0).optional(),
});
export const awayReply = z.object({
  by: z.string(),
  /** Null: since the beginning. */
  since_ms: z.int().nullable(),
  until_ms: z.int(),
  items: z.array(awayItem),
});
export type AwayReply = z.infer<typeof awayReply>;
export const markSeen = z.strictObject({ by, until_ms: time_ms });

export const healthRoutes = {
  getHealth: {
    method: "GET",
    path: "/v1/health",
    summary: "Tell how each part is.",
    reply: healthReply,
  },
  getAway: {
    method: "GET",
    path: "/v1/away",
    summary: "Tell what happened since somebody last looked, and what settles it.",
    query: awayQuery,
    reply: awayReply,
  },
  markSeen: {
    method: "POST",
    path: "/v1/away/seen",
    summary: "Remember that somebody has seen what happened until then.",
    body: markSeen,
    reply: z.object({ by: z.string(), seen_ms: z.int() }),
  },
} as const;
