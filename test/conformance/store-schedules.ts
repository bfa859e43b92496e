import { expect, it } from "vitest";
import type { FiringDraft, ScheduleChange } from "../../service/store/store.ts";
import { append, type OpenedStore } from "../harness/store.ts";
import { scheduleRow } from "./store-drafts.ts";

const due = 1_700_000_100_000;

export function schedulesConformance(current: () => OpenedStore): void {
  const eventOf = (key: string) =>
    current().events.draft({ type: "schedule.due", source: "scheduler", external_id: key }, null);
  const firing = (given: Partial<FiringDraft> & { due_ms: number }): FiringDraft => {
    const key = `objective:sch_1:${given.due_ms / 1_000}`;
    return {
      key,
      first_ms: given.due_ms,
      count: 1,
      outcome: "fired",
      cause: "due",
      recorded_ms: given.due_ms + 5,
      reason: null,
      event: given.outcome === undefined || given.outcome === "fired" ? eventOf(key) : null,
      ...given,
    };
  };
  const change = (given: Partial<ScheduleChange>): ScheduleChange => ({
    revision: 0,
    patch: {},
    firings: [],
    marks: [],
    events: [],
    ...given,
  });

  it("U11 a schedule is kept whole across a restart, by a name that is taken once", async () => {
    const row = scheduleRow({
      payload: { deep: [1, null, "x"] },
      title: "Nightly",
      scope: "notes",
      topic: "t",
    });
    await current().store.insertSchedule(row);
    const again = current().store.insertSchedule({ ...row, id: "sch_2" });
    await expect(again).rejects.toMatchObject({ code: "conflict" });
    await current().reopen();
    expect(await current().store.listSchedules()).toEqual([row]);
    expect(await current().store.removeSchedule("sch_1")).toBe(true);
    expect(await current().store.removeSchedule("sch_1")).toBe(false);
    expect(await current().store.listSchedules()).toEqual([]);
  });

  it("R49 a due time and its event are one write, and the same key is one event however often it comes", async () => {
    const { store } = current();
    await store.insertSchedule(scheduleRow());
    const first = await store.changeSchedule(
      "sch_1",
      change({ patch: { next_ms: due + 1_000, last_due_ms: due }, firings: [firing({ due_ms: due })] }),
    );
    expect(first).toMatchObject({ schedule: { fired: 1, revision: 1, next_ms: due + 1_000 } });
    const id = first!.fired[0]!.event.id;
    const again = await store.changeSchedule(
      "sch_1",
      change({ revision: 1, firings: [firing({ due_ms: due })] }),
    );
    expect(again).toMatchObject({ schedule: { fired: 1 }, fired: [{ duplicate: true, event: { id } }] });
    await current().reopen();
    expect(await current().store.readLog(0, 10)).toHaveLength(1);
    expect(await current().store.listFirings({ limit: 10 })).toMatchObject([
      { key: `objective:sch_1:${due / 1_000}`, event_id: id, outcome: "fired", due_ms: due },
    ]);
    expect(await current().store.getFiringByEvent(id)).toMatchObject({ schedule_id: "sch_1" });
    expect(await current().store.getFiringByEvent("evt_other")).toBeNull();
  });

  it("R49 a change that was decided on another state of the schedule does nothing", async () => {
    const { store } = current();
    await store.insertSchedule(scheduleRow());
    await store.changeSchedule("sch_1", change({ patch: { state: "paused" } }));
    const late = change({ revision: 0, patch: { next_ms: 5 }, firings: [firing({ due_ms: due })] });
    expect(await store.changeSchedule("sch_1", late)).toBeNull();
    expect(await store.changeSchedule("sch_unknown", change({}))).toBeNull();
    expect(await store.readLog(0, 10)).toEqual([]);
    expect(await store.listFirings({ limit: 10 })).toEqual([]);
    expect(await store.listSchedules()).toMatchObject([{ state: "paused", revision: 1 }]);
  });

  it("U11 skipped due times are counted, and one can still be fired or left for good", async () => {
    const { store } = current();
    await store.insertSchedule(scheduleRow());
    const skipped = firing({
      due_ms: due,
      first_ms: due - 3_000,
      count: 4,
      outcome: "skipped",
      reason: "late",
    });
    await store.changeSchedule("sch_1", change({ firings: [skipped] }));
    expect(await store.listFirings({ outcome: "skipped", limit: 5 })).toMatchObject([
      { count: 4, event_id: null },
    ]);
    const fired = await store.changeSchedule(
      "sch_1",
      change({ revision: 1, firings: [firing({ due_ms: due, cause: "missed" })] }),
    );
    expect(fired).toMatchObject({ schedule: { fired: 1, skipped: 4 }, fired: [{ duplicate: false }] });
    const mark = { key: skipped.key, from: ["skipped" as const], to: "settled" as const, reason: null };
    const marked = await store.changeSchedule("sch_1", change({ revision: 2, marks: [mark] }));
    expect(marked).toMatchObject({ marked: 0 });
    expect(await store.listFirings({ limit: 5 })).toMatchObject([
      { outcome: "fired", cause: "missed", count: 1 },
    ]);
  });

  it("B16 a firing fails once, whatever is said of it again", async () => {
    const { store, events } = current();
    await store.insertSchedule(scheduleRow());
    await store.changeSchedule("sch_1", change({ firings: [firing({ due_ms: due })] }));
    const mark = {
      key: `objective:sch_1:${due / 1_000}`,
      from: ["fired" as const],
      to: "failed" as const,
      reason: "boom",
    };
    const told = events.draft({ type: "signalbox.schedule.paused" }, null);
    const first = change({ revision: 1, patch: { failures: 1 }, marks: [mark], events: [told] });
    expect(await store.changeSchedule("sch_1", first)).toMatchObject({ marked: 1, schedule: { failed: 1 } });
    const again = change({ revision: 2, marks: [mark] });
    expect(await store.changeSchedule("sch_1", again)).toMatchObject({ marked: 0, schedule: { failed: 1 } });
    expect(await store.listFirings({ limit: 5 })).toMatchObject([{ outcome: "failed", reason: "boom" }]);
    expect(await store.readLog(0, 10)).toHaveLength(2);
  });

  it("U11 the history is listed newest first, page by page, and keeps its newest 200", async () => {
    const { store } = current();
    await store.insertSchedule(scheduleRow());
    for (let n = 0; n < 205; n++) {
      const patch = { last_due_ms: due + n * 1_000 };
      await store.changeSchedule(
        "sch_1",
        change({ revision: n, patch, firings: [firing({ due_ms: due + n * 1_000 })] }),
      );
    }
    const page = await store.listFirings({ schedule_id: "sch_1", limit: 2 });
    expect(page.map((one) => one.due_ms)).toEqual([204, 203, 202].map((n) => due + n * 1_000));
    const next = await store.listFirings({ schedule_id: "sch_1", limit: 1, before: page[1]!.seq });
    expect(next[0]).toMatchObject({ due_ms: due + 202_000 });
    expect(await store.listFirings({ limit: 500 })).toHaveLength(200);
    expect(await store.listFirings({ limit: 500, since_ms: due + 204_000 })).toHaveLength(1);
    expect(await store.listFirings({ schedule_id: "sch_other", limit: 5 })).toEqual([]);
    await store.removeSchedule("sch_1");
    expect(await store.listFirings({ limit: 5 })).toEqual([]);
  });

  it("U11 what somebody has seen is a mark of their own that never goes back", async () => {
    const { store } = current();
    expect(await store.readMark("me")).toBeNull();
    expect(await store.saveMark("me", 20)).toBe(20);
    expect(await store.saveMark("me", 10)).toBe(20);
    await store.saveMark("you", 5);
    await current().reopen();
    expect([await current().store.readMark("me"), await current().store.readMark("you")]).toEqual([20, 5]);
  });

  it("R53 a write that is refused for its content is no problem of the store", async () => {
    const { store, events } = current();
    expect(store.writeProblem()).toBeNull();
    await append(current(), { source: "w", idempotency_key: "k", body: "first" });
    const refused = events.draft({ source: "w", idempotency_key: "k", body: "other" }, null);
    await expect(store.append([refused])).rejects.toMatchObject({ code: "idempotency_conflict" });
    // The caller's fault, not the store's.
    expect(store.writeProblem()).toBeNull();
  });
}
