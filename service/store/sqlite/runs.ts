import type { RunCommit, RunRow, Store } from "../store.ts";
import type { AppendOne } from "./append.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import type { ProposeOne } from "./effects.ts";
import { type RunSql, toRun } from "./rows.ts";

type RunMethods = Pick<
  Store,
  "commitRun" | "getRun" | "getRunByCause" | "listRuns" | "openRuns" | "runsOfEvent" | "recentLogs"
>;

const runColumns =
  "run_id, cause_key, workflow, handler, seq, event_id, status, attempts, version, line, started_ms, finished_ms, now_ms, wake_ms, waiting_for, waiting_effect, journal, output, error, logs";

const isEnd = (run: RunRow) => run.finished_ms !== null;

export function runMethods(context: SqliteContext, append: AppendOne, propose: ProposeOne): RunMethods {
  const { db, committer } = context;
  const commit = commitOne(context, append, propose);
  const one = db.prepare<[string], RunSql>("SELECT * FROM runs WHERE run_id = ?");
  const byCause = db.prepare<[string], RunSql>("SELECT * FROM runs WHERE cause_key = ?");
  const open = db.prepare<[], RunSql>(
    "SELECT * FROM runs WHERE status IN ('queued', 'running', 'waiting') ORDER BY run_id",
  );
  const ofEvent = db.prepare<[string], RunSql>("SELECT * FROM runs WHERE event_id = ? ORDER BY run_id");
  const logs = db.prepare<[string, number], RunSql>(
    "SELECT * FROM runs WHERE workflow = ? ORDER BY run_id DESC LIMIT ?",
  );
  const maybe = (row: RunSql | undefined) => (row ? toRun(row) : null);
  return {
    commitRun: (request) => committer.write((changes) => commit(request, changes)),
    getRun: async (run_id) => maybe(one.get(run_id)),
    getRunByCause: async (cause_key) => maybe(byCause.get(cause_key)),
    async listRuns(query) {
      const where: string[] = [];
      const values: unknown[] = [];
      for (const column of ["workflow", "status", "event_id"] as const) {
        if (query[column] === undefined) continue;
        where.push(`${column} = ?`);
        values.push(query[column]);
      }
      if (query.before !== undefined) {
        where.push("run_id < ?");
        values.push(query.before);
      }
      const sql = `SELECT * FROM runs ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""} ORDER BY run_id DESC LIMIT ?`;
      return (db.prepare(sql).all(...values, query.limit + 1) as RunSql[]).map(toRun);
    },
    openRuns: async () => open.all().map(toRun),
    runsOfEvent: async (event_id) => ofEvent.all(event_id).map(toRun),
    recentLogs: async (workflow, limit) => logs.all(workflow, limit).map(toRun),
  };
}

function commitOne(context: SqliteContext, append: AppendOne, propose: ProposeOne) {
  const { db } = context;
  const byCause = db.prepare<[string], { run_id: string }>("SELECT run_id FROM runs WHERE cause_key = ?");
  const save = db.prepare(
    `INSERT INTO runs (${runColumns}) VALUES (${runColumns.replace(/\w+/g, "@$&")})
     ON CONFLICT (run_id) DO UPDATE SET status = excluded.status, attempts = excluded.attempts, version = excluded.version,
       line = excluded.line, started_ms = excluded.started_ms, finished_ms = excluded.finished_ms, now_ms = excluded.now_ms,
       wake_ms = excluded.wake_ms, waiting_for = excluded.waiting_for, waiting_effect = excluded.waiting_effect,
       journal = excluded.journal, output = excluded.output, error = excluded.error, logs = excluded.logs`,
  );
  const setState = db.prepare(
    "INSERT INTO workflow_state (workflow, key, value) VALUES (?, ?, ?) ON CONFLICT (workflow, key) DO UPDATE SET value = excluded.value",
  );
  const unsetState = db.prepare("DELETE FROM workflow_state WHERE workflow = ? AND key = ?");
  const tally = db.prepare(
    `INSERT INTO workflows (name, events, errors, last_run_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET events = events + excluded.events, errors = errors + excluded.errors, last_run_ms = excluded.last_run_ms`,
  );
  return (request: RunCommit, changes: Changes) => {
    const { run } = request;
    const first = byCause.get(run.cause_key);
    if (first && first.run_id !== run.run_id) return [];
    save.run({
      ...run,
      journal: run.journal.length > 0 ? JSON.stringify(run.journal) : null,
      output: run.output === null ? null : JSON.stringify(run.output),
      error: run.error === null ? null : JSON.stringify(run.error),
      logs: JSON.stringify(run.logs),
    });
    for (const { key, value } of request.state) {
      if (value === undefined) unsetState.run(run.workflow, key);
      else setState.run(run.workflow, key, JSON.stringify(value));
    }
    if (isEnd(run)) tally.run(run.workflow, 1, run.status === "failed" ? 1 : 0, run.finished_ms);
    for (const draft of request.effects) propose(draft, changes);
    return request.events.map((draft) => append(draft, changes));
  };
}
