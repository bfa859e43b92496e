import { describe, expect, it } from "vitest";
import { manualClock } from "../../test/harness/clock.ts";
import { eventually, type TestService } from "../../test/harness/service.ts";
import { eventsOf, nextCommand, serviceWith, workflowThat } from "../../test/harness/workflows.ts";
import { startSchedule } from "./schedule.ts";

const ticking = `signalbox.schedule(60, function()
  sekia.publish("clock.ticked", "clock.ticked", { at = signalbox.now_ms() })
end)`;

/** Begins at the start of a minute. */
const onTheMinute = () => manualClock(1_700_000_040_000);

const ticks = (service: TestService) => eventsOf(service.client, { type: "clock.ticked" });
const ticksAre = (service: TestService, count: number) =>
  eventually(
    () => ticks(service),
    (found) => found.length === count,
  );

describe("a schedule", () => {
  it("calls its handler at each due time, as a run of its own", async () => {
    const clock = onTheMinute();
    const service = await serviceWith({ ticking }, { clock });
    clock.advance(59_999);
    expect(await ticks(service)).toEqual([]);
    for (const count of [1, 2]) {
      clock.advance(count === 1 ? 1 : 60_000);
      await ticksAre(service, count);
      await eventually(() => clock.pending > 0);
    }
    const { runs } = await service.client.listRuns({ workflow: "ticking" });
    expect(runs).toMatchObject([
      { status: "succeeded", event_id: null, handler: 1, line: "ticking.lua:1" },
      { status: "succeeded", event_id: null },
    ]);
    expect((await ticks(service)).map(({ depth, parent_id }) => [depth, parent_id])).toEqual([
      [0, null],
      [0, null],
    ]);
  });

  it("a restart neither repeats nor shifts a due time", async () => {
    const clock = onTheMinute();
    const service = await serviceWith({ ticking }, { clock });
    clock.advance(60_000);
    await ticksAre(service, 1);
    await service.restart();
    clock.advance(30_000);
    await service.restart();
    clock.advance(29_999);
    expect(await ticks(service)).toHaveLength(1);
    clock.advance(1);
    await ticksAre(service, 2);
  });

  it("a clock that was set back repeats no due time", async () => {
    const clock = onTheMinute();
    const service = await serviceWith({ ticking }, { clock });
    clock.advance(60_000);
    await ticksAre(service, 1);
    await eventually(async () => (await service.client.listRuns({ workflow: "ticking" })).runs.length === 1);
    clock.set(clock.nowMs() - 30_000);
    await service.client.reloadWorkflows();
    clock.advance(60_000);
    clock.advance(60_000);
    await ticksAre(service, 2);
    const { runs } = await service.client.listRuns({ workflow: "ticking" });
    expect(new Set(runs.map(({ run_id }) => run_id)).size).toBe(2);
  });

  it("rests while its workflow is disabled", async () => {
    const clock = onTheMinute();
    const service = await serviceWith({ ticking }, { clock });
    await service.client.disableWorkflow({ workflow: "ticking" });
    clock.advance(180_000);
    await service.client.enableWorkflow({ workflow: "ticking" });
    clock.advance(60_000);
    await ticksAre(service, 1);
  });

  it("B2 sekia.schedule does the same, and may send commands", async () => {
    const clock = onTheMinute();
    const service = await serviceWith(
      { sentinel: `sekia.schedule(300, function() sekia.command("pager", "alert", {}) end)` },
      { clock },
    );
    clock.advance(300_000);
    const command = await nextCommand(service.client, "pager");
    expect(command.source).toBe("workflow:sentinel");
  });

  it("one that fails is told like any other run, and comes again at its next time", async () => {
    const clock = onTheMinute();
    const service = await serviceWith(
      { broken: `sekia.schedule(60, function() error("no") end)` },
      { clock },
    );
    for (const errors of [1, 2]) {
      clock.advance(60_000);
      await workflowThat(service.client, "broken", (workflow) => workflow.errors === errors);
      await eventually(() => clock.pending > 0);
    }
    expect(await eventsOf(service.client, { type: "signalbox.run.failed" })).toHaveLength(2);
  });
});

describe("the timer of a schedule", () => {
  it("lets due times go by while the work of an earlier one lasts", async () => {
    const clock = manualClock(1_000_000);
    const due: number[] = [];
    const ends: (() => void)[] = [];
    const schedule = startSchedule({
      clock,
      everyMs: 1_000,
      onDue: (due_ms) => {
        due.push(due_ms);
        return new Promise((resolve) => ends.push(resolve));
      },
      onError: () => {},
    });
    clock.advance(3_500);
    expect(due).toEqual([1_001_000]);
    ends[0]?.();
    await eventually(() => clock.pending === 1);
    clock.advance(500);
    expect(due).toEqual([1_001_000, 1_004_000]);
    schedule.close();
    ends[1]?.();
    await Promise.resolve();
    expect(clock.pending).toBe(0);
  });

  it("waits on when its timer comes early", async () => {
    const clock = manualClock(1_000_000);
    const due: number[] = [];
    const schedule = startSchedule({
      clock,
      everyMs: 1_000,
      onDue: async (due_ms) => void due.push(due_ms),
      onError: () => {},
    });
    clock.set(999_990);
    clock.advance(1_000);
    expect(due).toEqual([]);
    clock.advance(10);
    expect(due).toEqual([1_001_000]);
    schedule.close();
  });
});
