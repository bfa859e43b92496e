import type { Json, JsonObject } from "../../contract/common.ts";
import type { Store, WorkflowRow } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { toWorkflow, type WorkflowSql } from "./rows.ts";

type WorkflowMethods = Pick<Store, "listWorkflowRows" | "saveWorkflowRow" | "readWorkflowState">;

export function workflowMethods(context: SqliteContext): WorkflowMethods {
  const { db, committer } = context;
  const all = db.prepare<[], WorkflowSql>("SELECT * FROM workflows ORDER BY name");
  const one = db.prepare<[string], WorkflowSql>("SELECT * FROM workflows WHERE name = ?");
  const save = db.prepare(
    `INSERT INTO workflows (name, disabled, parked_reason, strikes, events, errors, last_run_ms)
     VALUES (@name, @disabled, @parked_reason, @strikes, @events, @errors, @last_run_ms)
     ON CONFLICT (name) DO UPDATE SET disabled = excluded.disabled, parked_reason = excluded.parked_reason, strikes = excluded.strikes`,
  );
  const state = db.prepare<[string], { key: string; value: string }>(
    "SELECT key, value FROM workflow_state WHERE workflow = ?",
  );
  const blank: Omit<WorkflowRow, "name"> = {
    disabled: false,
    parked_reason: null,
    strikes: 0,
    events: 0,
    errors: 0,
    last_run_ms: null,
  };
  return {
    listWorkflowRows: async () => all.all().map(toWorkflow),
    saveWorkflowRow: (name, patch) =>
      committer.write(() => {
        const before = one.get(name);
        const next: WorkflowRow = { ...(before ? toWorkflow(before) : { name, ...blank }), ...patch };
        save.run({ ...next, disabled: Number(next.disabled) });
        return next;
      }),
    async readWorkflowState(workflow): Promise<JsonObject> {
      // fromEntries, since assigning to `__proto__` would not keep that key.
      return Object.fromEntries(
        state.all(workflow).map(({ key, value }) => [key, JSON.parse(value) as Json]),
      );
    },
  };
}
