import type { Event } from "../contract/events.ts";
import type { Run, RunStatus } from "../contract/workflows.ts";
import { runIdOfEvent } from "../events/log.ts";
import type { RunRow } from "../store/store.ts";

export function toRun(row: RunRow): Run {
  const {
    run_id,
    workflow,
    handler,
    event_id,
    status,
    attempts,
    version,
    line,
    started_ms,
    finished_ms,
    waiting_for,
    output,
    error,
    logs,
  } = row;
  return {
    run_id,
    workflow,
    handler,
    event_id,
    status,
    attempts,
    version,
    line,
    started_ms,
    finished_ms,
    waiting_for,
    output,
    error,
    logs,
  };
}

/**
 * One run that stands for all an event started (P4, P5): under way while any is, failed when one failed, skipped
 * when no workflow wanted it. Its output is the first that is not nothing.
 */
export function summarizeRuns(event: Event, rows: RunRow[], stillQueued: boolean): Run {
  const open = rows.filter((row) => row.finished_ms === null);
  const failed = rows.find((row) => row.status === "failed");
  const output = rows.find((row) => row.output !== null)?.output ?? null;
  const status: RunStatus = overallStatus(rows, open, stillQueued, failed !== undefined);
  const started = rows.map((row) => row.started_ms).filter((ms) => ms !== null);
  const finished = rows.map((row) => row.finished_ms).filter((ms) => ms !== null);
  const ended = ["succeeded", "failed", "skipped", "cancelled"].includes(status);
  return {
    run_id: runIdOfEvent(event.id),
    workflow: rows.length === 1 ? (rows[0]?.workflow ?? null) : null,
    handler: null,
    event_id: event.id,
    status,
    attempts: Math.max(0, ...rows.map((row) => row.attempts)),
    version: null,
    line: null,
    started_ms: started.length > 0 ? Math.min(...started) : null,
    finished_ms: ended ? Math.max(event.recorded_ms, ...finished) : null,
    waiting_for: open.find((row) => row.waiting_for !== null)?.waiting_for ?? null,
    output,
    error: failed?.error ?? null,
    logs: rows.flatMap((row) => row.logs),
  };
}

function overallStatus(rows: RunRow[], open: RunRow[], stillQueued: boolean, failed: boolean): RunStatus {
  if (stillQueued) return rows.length === 0 ? "queued" : "running";
  if (open.length > 0) return open.every((row) => row.status === "waiting") ? "waiting" : "running";
  if (rows.length === 0) return "skipped";
  if (failed) return "failed";
  return rows.every((row) => row.status === "cancelled") ? "cancelled" : "succeeded";
}
