import type { Config } from "./config.ts";
import type { PartState } from "./contract/health.ts";
import type { ConnectorStatus } from "./contract/system.ts";
import { busPart, progressPart, storePart } from "./health/checks.ts";
import { Health } from "./health/health.ts";
import { readTold } from "./health/told.ts";
import type { Parts } from "./http/handlers/parts.ts";
import { controlPart } from "./http/self-check.ts";
import type { Closeable } from "./lib/scope.ts";
import type { WorkspaceWatcher } from "./workspaces/watcher.ts";

/** What `openHealth` looks at. */
type Watched = Pick<
  Parts,
  "store" | "bus" | "clock" | "log" | "events" | "scheduler" | "engine" | "supervisor" | "info"
>;

/** Not asked yet: `start` does that once everything is open, and closing it first keeps a stop from looking like a failure. */
export async function openHealth(
  parts: Watched & { workspaces: WorkspaceWatcher },
  config: Config,
): Promise<{ health: Health; watching: Closeable }> {
  const { store, bus, clock, log, events, scheduler, supervisor, info, workspaces } = parts;
  const { enabled, interval_ms, stale_ms, notify } = config.health;
  const health = new Health({
    clock,
    log,
    enabled,
    intervalMs: interval_ms,
    staleMs: stale_ms,
    notify,
    publish: (event) => events.push(event),
    told: await readTold(store),
  });
  const heard = busPart(bus, store);
  health.add(storePart(store));
  health.add(heard);
  health.add(controlPart(info.socket));
  health.add({
    name: "scheduler",
    check() {
      const late = scheduler.overdue(stale_ms);
      return late === null ? { state: "ok" } : { state: "degraded", message: `${late.name} is overdue` };
    },
  });
  health.add(
    progressPart(
      "workflows",
      () => clock.nowMs(),
      stale_ms,
      () => workflowProgress(parts),
    ),
  );
  health.add({
    name: "workspaces",
    check() {
      const problems = workspaces.check();
      if (problems.length > 0) return { state: "degraded", message: problems.join("; ") };
      return { state: config.workspaces.dirs.length === 0 ? "off" : "ok" };
    },
  });
  for (const { connector } of supervisor.connections) {
    health.add({
      name: `connector:${connector.id}`,
      check() {
        const status = supervisor.status().find((one) => one.id === connector.id);
        return { state: connectorState(status?.state ?? "off"), message: status?.message };
      },
    });
  }
  // Neither a sleep nor a clock that was set moves a timer.
  const stop = health.onClockChange(() => void scheduler.wake());
  return {
    health,
    watching: {
      close() {
        stop();
        heard.close();
      },
    },
  };
}

async function workflowProgress({ store, engine }: Watched) {
  const workflows = await engine.list();
  const last = store.lastSeq();
  return workflows
    .filter(({ state }) => state === "active")
    .map(({ name, lag }) => ({ name, lag, cursor: last - lag }));
}

function connectorState(state: ConnectorStatus["state"]): PartState {
  return state === "connecting" || state === "ready" ? "ok" : state;
}
