import { existsSync, statSync } from "node:fs";
import { dirname, isAbsolute } from "node:path";
import type { Json } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Finding } from "../../contract/system.ts";
import { isUnwell } from "../../health/health.ts";
import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

type SystemRoutes =
  | "healthz"
  | "getInfo"
  | "getStatus"
  | "getConfig"
  | "shutdown"
  | "backup"
  | "doctor"
  | "cleanup"
  | "reconnectConnector";

const DAY_MS = 86_400_000;
/** Rows removed in one transaction, so that a large clean-up lets others write in between. */
const CLEANUP_BATCH = 500;

export function systemHandlers(parts: Parts): Pick<Handlers, SystemRoutes> {
  const { store, clock, info, settings } = parts;
  return {
    healthz: async () => ({ status: "ok" }),
    getInfo: async () => info,
    getStatus: () => statusOf(parts),
    getConfig: async () => ({
      files: [...settings.files],
      entries: settings.entries.map((entry) => ({ ...entry, value: entry.value as Json })),
    }),
    async shutdown() {
      parts.stop();
      return { ok: true };
    },
    async backup({ file, overwrite }) {
      checkBackupTarget(file, overwrite, info.database);
      return { file, ...(await store.backup(file)) };
    },
    doctor: async () => ({
      findings: [...(await store.check()), ...settingFindings(parts), ...partFindings(parts)],
    }),
    reconnectConnector: async ({ connector }) => parts.supervisor.reconnect(connector),
    async cleanup({ completed_older_than_ms, dry_run }) {
      const now_ms = clock.nowMs();
      return {
        ...(await runCleanup(
          parts,
          now_ms - (completed_older_than_ms ?? parts.retention.completed_days * DAY_MS),
          dry_run,
        )),
        dry_run,
      };
    },
  };
}

function checkBackupTarget(file: string, overwrite: boolean, database: string): void {
  if (!isAbsolute(file)) throw new SignalboxError("invalid_request", "the backup's path must be absolute");
  if (!existsSync(dirname(file))) {
    throw new SignalboxError("invalid_request", `there is no folder ${dirname(file)}`);
  }
  const target = statSync(file, { throwIfNoEntry: false });
  if (target === undefined) return;
  if (!target.isFile()) throw new SignalboxError("invalid_request", `${file} is no file`);
  const own = [database, `${database}-wal`, `${database}-shm`].map((one) =>
    statSync(one, { throwIfNoEntry: false }),
  );
  if (own.some((one) => one?.ino === target.ino && one.dev === target.dev)) {
    throw new SignalboxError("invalid_request", `${file} is the database itself`);
  }
  if (!overwrite) {
    throw new SignalboxError("conflict", `${file} exists`, {
      hint: "Choose another name, or allow overwriting (`--overwrite`).",
    });
  }
}

/** Batch after batch until nothing is left that is past its time. */
export async function runCleanup(
  { store, clock, retention }: Pick<Parts, "store" | "clock" | "retention">,
  completed_before_ms: number,
  dry_run: boolean,
) {
  const now_ms = clock.nowMs();
  const total = { events: 0, raw: 0, runs: 0, effects: 0 };
  for (;;) {
    const { more, ...removed } = await store.cleanup({
      completed_before_ms,
      raw_before_ms: now_ms - retention.raw_days * DAY_MS,
      pending_before_ms: retention.pending_days === 0 ? 0 : now_ms - retention.pending_days * DAY_MS,
      dry_run,
      now_ms,
      batch: CLEANUP_BATCH,
    });
    for (const key of ["events", "raw", "runs", "effects"] as const) total[key] += removed[key];
    if (!more) return total;
  }
}

async function statusOf({ store, clock, agents, engine, supervisor, info, ingress, settings }: Parts) {
  const { topics, ...totals } = store.totals();
  const [allAgents, workflows] = [await agents.list(), await engine.list()];
  return {
    version: info.version,
    pid: info.pid,
    started_ms: info.started_ms,
    uptime_ms: Math.max(0, clock.nowMs() - info.started_ms),
    ...totals,
    topics,
    agents: {
      online: allAgents.filter((agent) => agent.status === "online").length,
      total: allAgents.length,
    },
    workflows: {
      active: workflows.filter((workflow) => workflow.state === "active").length,
      failed: workflows.filter((workflow) => workflow.problem !== null).length,
      total: workflows.length,
    },
    connectors: supervisor.status(),
    ingress: { listening: ingress() },
    aliases: [...settings.aliases],
  };
}

/** Parts that do not work as they should. */
function partFindings({ health }: Parts): Finding[] {
  return health
    .list()
    .filter(isUnwell)
    .map(({ name, state, message }) => ({
      check: `part ${name}`,
      ok: false,
      message: `${state}: ${message ?? "no reason given"}`,
      hint: "The log may say more; docs/schedules.md tells what is looked at.",
    }));
}

function settingFindings({ settings }: Parts): Finding[] {
  const older = settings.aliases.map(
    ({ name, use }): Finding => ({
      check: "older names",
      ok: true,
      message: `${name} is in use`,
      hint: `Write ${use} instead.`,
    }),
  );
  const ignored = settings.warnings.map(
    (message): Finding => ({ check: "settings", ok: false, message, hint: null }),
  );
  return [...older, ...ignored];
}
