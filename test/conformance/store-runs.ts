import { expect, it } from "vitest";
import { append, type OpenedStore } from "../harness/store.ts";
import { effectDraft, runRow } from "./store-drafts.ts";

export function runsConformance(current: () => OpenedStore): void {
  it("a run is recorded with its events, effects and state in one write, and once by its cause", async () => {
    const { store, events } = current();
    const { event } = await append(current(), { type: "a.b" });
    const run = runRow({
      event_id: event.id,
      seq: event.seq,
      status: "waiting",
      journal: [{ ordinal: 1, kind: "sleep", now_ms: 5 }],
      waiting_for: "2 h",
      logs: [{ time_ms: 1, level: "info", message: "hello", line: 3 }],
    });
    const commit = (of: typeof run) => ({
      run: of,
      events: [events.draft({ type: "c.d" }, event)],
      effects: [effectDraft({ cause: { run_id: of.run_id } })],
      state: [{ key: "count", value: 1 }],
    });
    expect(await store.commitRun(commit(run))).toHaveLength(1);
    expect(await store.commitRun(commit({ ...run, run_id: "run_2" }))).toEqual([]);
    expect(await store.getRun("run_1")).toEqual(run);
    expect(await store.getRunByCause("run_1")).toEqual(run);
    expect(await store.getRun("run_2")).toBeNull();
    expect(await store.openRuns()).toEqual([run]);
    expect(await store.runsOfEvent(event.id)).toEqual([run]);
    expect(await store.readLog(0, 10)).toHaveLength(2);
    expect(await store.listEffects({ run_id: "run_1", limit: 5 })).toHaveLength(1);
    const ended = { ...run, status: "succeeded" as const, finished_ms: 9, output: { ok: 1 }, journal: [] };
    await store.commitRun({
      run: ended,
      events: [],
      effects: [],
      state: [{ key: "count", value: undefined }],
    });
    await current().reopen();
    expect(await current().store.getRun("run_1")).toEqual(ended);
    expect(await current().store.openRuns()).toEqual([]);
    expect(await current().store.readWorkflowState("labeller")).toEqual({});
    expect(await current().store.listWorkflowRows()).toMatchObject([
      { name: "labeller", events: 1, errors: 0 },
    ]);
  });

  it("a run whose events are refused leaves nothing", async () => {
    const { store, events } = current();
    await append(current(), { source: "w", idempotency_key: "k", body: "first" });
    const refused = events.draft({ source: "w", idempotency_key: "k", body: "other" }, null);
    const commit = {
      run: runRow(),
      events: [refused],
      effects: [effectDraft()],
      state: [{ key: "k", value: 1 }],
    };
    await expect(store.commitRun(commit)).rejects.toMatchObject({ code: "idempotency_conflict" });
    expect(await store.getRun("run_1")).toBeNull();
    expect(await store.getEffect("eff_1")).toBeNull();
    expect(await store.readWorkflowState("labeller")).toEqual({});
  });

  it("runs are listed newest first by workflow, status and event", async () => {
    const { store } = current();
    for (const run of [
      runRow({
        run_id: "run_1",
        status: "failed",
        finished_ms: 1,
        error: { message: "m", file: null, line: null, traceback: null },
      }),
      runRow({ run_id: "run_2", workflow: "other", event_id: "evt_1" }),
      runRow({ run_id: "run_3", status: "failed", finished_ms: 1 }),
    ]) {
      await store.commitRun({ run, events: [], effects: [], state: [] });
    }
    const ids = async (query: object) =>
      (await store.listRuns({ limit: 10, ...query })).map((run) => run.run_id);
    expect(await ids({})).toEqual(["run_3", "run_2", "run_1"]);
    expect(await ids({ workflow: "labeller" })).toEqual(["run_3", "run_1"]);
    expect(await ids({ status: "failed", before: "run_3" })).toEqual(["run_1"]);
    expect(await ids({ event_id: "evt_1" })).toEqual(["run_2"]);
    expect(await store.recentLogs("labeller", 1)).toMatchObject([{ run_id: "run_3" }]);
    expect(await store.listWorkflowRows()).toMatchObject([{ name: "labeller", events: 2, errors: 2 }]);
  });

  it("a workflow's switches and state are kept", async () => {
    const { store } = current();
    await store.saveWorkflowRow("w", { disabled: true });
    expect(await store.saveWorkflowRow("w", { strikes: 2, parked_reason: "loops" })).toMatchObject({
      disabled: true,
      strikes: 2,
    });
    const state = [
      { key: "a", value: { deep: [1, null] } },
      { key: "__proto__", value: "harmless" },
    ];
    await store.commitRun({ run: runRow({ workflow: "w" }), events: [], effects: [], state });
    await current().reopen();
    const read = await current().store.readWorkflowState("w");
    expect(Object.entries(read).sort()).toEqual([
      ["__proto__", "harmless"],
      ["a", { deep: [1, null] }],
    ]);
    expect(await current().store.listWorkflowRows()).toMatchObject([
      { name: "w", disabled: true, parked_reason: "loops", strikes: 2 },
    ]);
  });
}
