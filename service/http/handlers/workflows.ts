import { toRun } from "../../workflows/run-view.ts";
import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

type WorkflowRoutes =
  | "listWorkflows"
  | "getWorkflow"
  | "reloadWorkflows"
  | "checkWorkflow"
  | "testWorkflow"
  | "enableWorkflow"
  | "disableWorkflow"
  | "runWorkflow"
  | "workflowLogs"
  | "streamLogs"
  | "listRuns"
  | "getRun"
  | "retryRun"
  | "cancelRun";

export function workflowHandlers({ store, engine }: Parts): Pick<Handlers, WorkflowRoutes> {
  return {
    listWorkflows: async () => ({ workflows: await engine.list() }),
    getWorkflow: ({ workflow }) => engine.get(workflow),
    reloadWorkflows: async () => ({ status: "reloaded", ...(await engine.reload()) }),
    checkWorkflow: ({ source, file }) => engine.check(source, file),
    testWorkflow: (input) => engine.test(input),
    enableWorkflow: async ({ workflow }) => ({ workflow: await engine.enable(workflow) }),
    disableWorkflow: async ({ workflow }) => ({ workflow: await engine.disable(workflow) }),
    runWorkflow: async ({ workflow, event_id }) => ({ runs: await engine.runAgain(workflow, event_id) }),
    workflowLogs: async ({ workflow, limit, level }) => ({
      lines: await engine.logs(workflow, limit, level),
    }),
    async streamLogs({ workflow }, stream) {
      let left = 0;
      const stop = engine.followLogs(workflow, (line) => {
        // Lines are in the log file too, so a reader that stands still may miss some, but is told so.
        if (stream.isFull) {
          left += 1;
          return;
        }
        if (left > 0)
          stream.send({ ...line, level: "warn", message: `${left} lines left out here`, line: null });
        left = 0;
        stream.send(line);
      });
      await stream.closed();
      stop();
    },
    async listRuns(input) {
      const rows = await store.listRuns(input);
      const runs = rows.slice(0, input.limit).map(toRun);
      return { runs, next: rows.length > input.limit ? (runs.at(-1)?.run_id ?? null) : null };
    },
    getRun: ({ run_id }) => engine.getRun(run_id),
    retryRun: ({ run_id }) => engine.retryRun(run_id),
    cancelRun: ({ run_id }) => engine.cancelRun(run_id),
  };
}
