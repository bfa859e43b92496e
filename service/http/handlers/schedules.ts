import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

type ScheduleRoutes =
  | "listSchedules"
  | "createSchedule"
  | "upcomingSchedules"
  | "previewSchedule"
  | "getSchedule"
  | "updateSchedule"
  | "removeSchedule"
  | "runSchedule"
  | "scheduleHistory"
  | "settleMissed";

export function scheduleHandlers({ scheduler }: Pick<Parts, "scheduler">): Pick<Handlers, ScheduleRoutes> {
  return {
    async listSchedules({ state, kind, scope, limit }) {
      const wanted = scheduler
        .list()
        .filter((one) => state === undefined || one.state === state)
        .filter((one) => kind === undefined || one.kind === kind)
        .filter((one) => scope === undefined || one.scope === scope);
      return { schedules: wanted.slice(0, limit) };
    },
    createSchedule: (input) => scheduler.create(input),
    upcomingSchedules: async ({ schedule, limit }) => ({ due: scheduler.upcoming(limit, schedule) }),
    previewSchedule: async (input) => scheduler.preview(input),
    getSchedule: async ({ schedule }) => scheduler.get(schedule),
    updateSchedule: ({ schedule, ...change }) => scheduler.update(schedule, change),
    async removeSchedule({ schedule }) {
      await scheduler.remove(schedule);
      return { ok: true };
    },
    runSchedule: ({ schedule }) => scheduler.run(schedule),
    scheduleHistory: ({ schedule, ...query }) => scheduler.history(schedule, query),
    settleMissed: ({ schedule, action }) => scheduler.settleMissed(schedule, action),
  };
}
