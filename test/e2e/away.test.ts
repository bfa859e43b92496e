import { afterEach, describe, expect, it } from "vitest";
import { manualClock } from "../harness/clock.ts";
import { eventually, startTestService, type TestService } from "../harness/service.ts";

const minute = 60_000;
let service: TestService;
afterEach(() => service.close());

const clock = manualClock();

/** One of everything that can wait for somebody. */
async function leaveAMess(): Promise<void> {
  service = await startTestService({
    clock,
    set: ["workflows.max_depth=2", 'workspaces.dirs=["gone"]'],
    workflows: {
      "broken.lua": 'signalbox.on("a.broken", function() error("boom") end)',
      "ping.lua": 'signalbox.on("ping.>", function(event) signalbox.publish("pong", "pong", {}) end)',
      "pong.lua": 'signalbox.on("pong", function(event) signalbox.publish("ping.x", "ping.x", {}) end)',
    },
  });
  const { client } = service;
  await client.createSchedule({ name: "nightly", every_ms: 10 * minute, missed: "skip" });
  await client.pushEvent({ type: "a.broken" });
  await client.pushEvent({ type: "ping.x" });
  await client.createTopic({ name: "work", max_attempts: 1 });
  const { event_id } = await client.pushEvent({ topic: "work", body: "hard" });
  await client.claimEvents({ topic: "work", agent: "@a" });
  await client.failClaim({ event_id, error: "no idea" });
  await client.registerAgent({ name: "deployer", version: "1", capabilities: [], commands: [] });
  await client.sendCommand({ agent: "deployer", command: "deploy", expires_in_ms: 5_000, source: "cli" });
  await client.goOffline({ agent: "deployer" });
  clock.advance(35 * minute);
}

const board = async (input: { by?: string; since_ms?: number } = {}) =>
  (await service.client.getAway(input)).items.map((item) => item.kind).sort();

const mess = [
  "agent_offline",
  "chain_parked",
  "dead_letters",
  "effect_expired",
  "part_degraded",
  "runs_failed",
  "schedule_missed",
];

/** All of it is there, and no part is still being asked how it is. */
const messIsThere = () => eventually(board, (kinds) => kinds.join() === mess.join());

describe("signalbox away", () => {
  it("U11 names what happened and still waits, each with the command that settles it", async () => {
    await leaveAMess();
    await messIsThere();
    const { items, since_ms, by } = await service.client.getAway();
    expect([by, since_ms]).toEqual(["me", null]);
    const of = (kind: string) => items.find((item) => item.kind === kind);
    expect(of("schedule_missed")).toMatchObject({
      title: "nightly missed 3 due times",
      count: 3,
      ref: "nightly",
      actions: [
        { label: "skip", command: "signalbox schedules missed nightly skip" },
        { label: "once", command: "signalbox schedules missed nightly once" },
        { label: "all", command: "signalbox schedules missed nightly all" },
      ],
    });
    expect(of("runs_failed")).toMatchObject({
      title: "1 run of broken failed",
      detail: "boom",
      actions: [
        { label: "retry", command: expect.stringMatching(/^signalbox runs retry run_/) },
        { label: "look" },
      ],
    });
    expect(of("dead_letters")).toMatchObject({
      title: "1 dead letter in work",
      actions: [{ label: "redrive", command: "signalbox topics redrive work" }, { label: "look" }],
    });
    expect(of("effect_expired")?.actions[0]?.command).toMatch(/^signalbox effects retry eff_/);
    expect(of("agent_offline")).toMatchObject({
      ref: "deployer",
      actions: [{ label: "look" }, { label: "forget" }],
    });
    expect(of("part_degraded")).toMatchObject({
      ref: "workspaces",
      detail: expect.stringContaining("there is no folder"),
    });
  });

  it("U11 leaves out what was settled, by whatever way", async () => {
    await leaveAMess();
    const { client } = service;
    await messIsThere();
    const { items } = await client.getAway();
    await client.settleMissed({ schedule: "nightly", action: "once" });
    await client.redriveTopic({ topic: "work" });
    await client.removeAgent({ agent: "deployer" });
    const effect = items.find((item) => item.kind === "effect_expired")!;
    await client
      .skipEffect({ effect_id: effect.ref })
      .catch(() => client.retryEffect({ effect_id: effect.ref }));
    // The command that is tried again is for an agent that nobody knows any more.
    expect(await board()).toEqual(["agent_unknown", "chain_parked", "part_degraded", "runs_failed"]);
    const found = await client.findEvents({ subject: "schedules.nightly" });
    expect(found.events).toHaveLength(1);
  });

  it("U11 everybody has a mark of their own, which moves when they say so and never back", async () => {
    await leaveAMess();
    const { client } = service;
    await messIsThere();
    const { until_ms } = await client.getAway({ by: "ada" });
    expect(await client.markSeen({ by: "ada", until_ms })).toEqual({ by: "ada", seen_ms: until_ms });
    // What does not work now is still shown.
    expect(await board({ by: "ada" })).toEqual(["part_degraded"]);
    expect((await board({ by: "bob" })).length).toBeGreaterThan(5);
    expect((await board({ by: "ada", since_ms: 0 })).length).toBeGreaterThan(5);
    clock.advance(25 * minute);
    const later = () => board({ by: "ada" });
    await eventually(later, (kinds) => kinds.join() === "part_degraded,schedule_missed");
    const future = await client.markSeen({ by: "ada", until_ms: clock.nowMs() + 1e9 });
    expect(future.seen_ms).toBe(clock.nowMs());
    expect((await client.markSeen({ by: "ada", until_ms: 5 })).seen_ms).toBe(clock.nowMs());
    await service.restart();
    expect((await client.getAway({ by: "ada" })).since_ms).toBe(clock.nowMs());
  });

  it("U11 shows what waits for a decision, what nobody saw the end of, parked workflows and paused schedules", async () => {
    service = await startTestService({
      clock,
      workflows: { "loops.lua": 'signalbox.on("never.comes", function() end)' },
    });
    const { client, app } = service;
    const { store, ledger, scheduler } = app.parts;
    const cause = { event_id: null, run_id: null, workflow: null, version: null, line: null, source: "test" };
    const propose = (key: string) =>
      ledger.draft({
        target: "deployer",
        action: "deploy",
        payload: {},
        cause,
        idempotency_key: key,
        correlation_id: null,
        depth: 0,
      });
    const drafts = [
      { ...propose("a"), state: "waiting" as const },
      { ...propose("b"), state: "unknown" as const },
    ];
    const [waiting, unknown] = await store.proposeEffects(drafts);
    const parked = { type: "signalbox.workflow.parked", source: "signalbox", payload: { workflow: "loops" } };
    await app.parts.events.push(parked);
    await store.saveWorkflowRow("loops", { parked_reason: "parked after 3 strikes; the last: too slow" });
    await client.createSchedule({ name: "fails", every_ms: 10 * minute });
    for (let n = 0; n < 5; n++) {
      const { next_ms, hold_ms } = scheduler.get("fails");
      clock.advance(Math.max(next_ms ?? 0, hold_ms ?? 0) - clock.nowMs());
      const { events } = await eventually(
        () => client.findEvents({ subject: "schedules.fails" }),
        (page) => page.events.length === n + 1,
      );
      const told = {
        type: "signalbox.run.failed",
        source: "workflow:w",
        parent_id: events[0]!.id,
        body: "no",
      };
      await app.parts.events.push(told);
      await eventually(() => scheduler.get("fails").failures === n + 1);
    }
    await service.restart();
    const { items } = await client.getAway();
    const commands = Object.fromEntries(
      items.map((item) => [item.kind, item.actions.map((one) => one.command)]),
    );
    expect(commands).toEqual({
      effect_waiting: [
        `signalbox approvals approve ${waiting?.id}`,
        `signalbox approvals deny ${waiting?.id}`,
      ],
      effect_unknown: [`signalbox effects retry ${unknown?.id}`, `signalbox effects skip ${unknown?.id}`],
      workflow_parked: ["signalbox workflow enable loops", "signalbox workflow show loops"],
      schedule_paused: ["signalbox schedules resume fails", "signalbox schedules history fails"],
    });
  });
});
