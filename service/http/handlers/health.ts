import type { Handlers } from "../register.ts";
import { whileAway } from "./away.ts";
import type { Parts } from "./parts.ts";

type HealthRoutes = "readyz" | "getHealth" | "getAway" | "markSeen";

export function healthHandlers(parts: Parts): Pick<Handlers, HealthRoutes> {
  const { health, agents, store, clock, healthSettings } = parts;
  return {
    async readyz() {
      await health.assertReady();
      return { status: "ok" };
    },
    getHealth: async () => ({
      state: health.state(),
      enabled: healthSettings.enabled,
      checked_ms: health.checkedMs,
      interval_ms: healthSettings.interval_ms,
      stale_ms: healthSettings.stale_ms,
      parts: health.list(),
      agents: (await agents.list()).map(({ name, kind, status, last_beat_ms }) => ({
        name,
        kind,
        status,
        last_beat_ms,
      })),
    }),
    async getAway({ by, since_ms }) {
      // Before anything is read, so that what comes meanwhile is seen the next time.
      const until_ms = clock.nowMs();
      const since = since_ms ?? (await store.readMark(by));
      return { by, since_ms: since, until_ms, items: await whileAway(parts, since ?? 0) };
    },
    markSeen: async ({ by, until_ms }) => ({
      by,
      // Nobody has seen what is yet to come.
      seen_ms: await store.saveMark(by, Math.min(until_ms, clock.nowMs())),
    }),
  };
}
