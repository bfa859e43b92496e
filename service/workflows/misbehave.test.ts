import { describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/service.ts";
import {
  eventOf,
  eventsOf,
  nextCommand,
  pushAndRun,
  serviceWith,
  succeed,
  workflowThat,
  writeWorkflow,
} from "../../test/harness/workflows.ts";

/** Handlers may compute for a short time only, so that a test need not wait. */
const strict = { set: ["workflows.handler_timeout_ms=150", "workflows.debounce_ms=10"] };

/** Never ends on `loop`, answers otherwise. */
const moody = `sekia.on("work.asked", function(event)
  while event.payload.loop do pcall(function() while true do end end) end
  signalbox.state.set("n", (signalbox.state.get("n") or 0) + 1)
  return signalbox.state.get("n")
end)`;
const calm = `sekia.on("work.asked", function(event) return "calm" end)`;

const loop = { type: "work.asked", payload: { loop: true } };
const work = { type: "work.asked" };

describe("a workflow whose handler does not end", () => {
  it("fails its run with the line of the handler, and does not stop another workflow", async () => {
    const { client } = await serviceWith({ moody, calm }, { set: ["workflows.handler_timeout_ms=1500"] });
    const begun = performance.now();
    await client.pushEvent(loop);
    const runs = await eventually(
      async () => (await client.listRuns({ workflow: "calm" })).runs,
      (found) => found.length === 1,
    );
    expect(runs[0]).toMatchObject({ status: "succeeded", output: "calm" });
    expect(performance.now() - begun).toBeLessThan(1_400);
    const told = await eventOf(client, "signalbox.run.failed");
    expect(told.payload).toMatchObject({ workflow: "moody", line: "moody.lua:1" });
  });

  it("is parked after three strikes with the reason in view, and holds what comes meanwhile", async () => {
    const { client } = await serviceWith({ moody, calm }, strict);
    for (let strike = 1; strike <= 3; strike++) {
      await pushAndRun(client, loop);
      expect((await client.listRuns({ workflow: "moody", status: "failed" })).runs).toHaveLength(strike);
    }
    const parked = await workflowThat(client, "moody", ({ state }) => state === "parked");
    expect(parked.problem?.message).toMatch(/^parked after 3 strikes; the last: .+/);
    expect(await eventOf(client, "signalbox.workflow.parked")).toMatchObject({
      payload: { workflow: "moody", strikes: 3 },
      body: expect.stringContaining("moody"),
    });
    const { run_id } = await client.pushEvent(work);
    await eventually(async () => (await client.listRuns({ workflow: "calm" })).runs.length === 4);
    expect((await client.getRun({ run_id })).status).toBe("running");
    expect((await client.getWorkflow({ workflow: "moody" })).lag).toBeGreaterThan(0);
  });

  it("takes up what it missed when it is enabled, also after a restart", async () => {
    const service = await serviceWith({ moody }, strict);
    const { client } = service;
    await pushAndRun(client, work);
    for (let strike = 1; strike <= 3; strike++) await pushAndRun(client, loop);
    await workflowThat(client, "moody", ({ state }) => state === "parked");
    const missed = await client.pushEvent(work);
    await service.restart();
    expect(await client.getWorkflow({ workflow: "moody" })).toMatchObject({ state: "parked" });
    const enabled = await client.enableWorkflow({ workflow: "moody" });
    expect(enabled.workflow).toMatchObject({ state: "active", problem: null });
    const run = await eventually(
      () => client.getRun({ run_id: missed.run_id }),
      ({ status }) => status === "succeeded",
    );
    expect(run.output).toBe(2);
    // The strikes are forgotten: one more does not park it.
    await pushAndRun(client, loop);
    expect((await pushAndRun(client, work)).output).toBe(3);
  });

  it("three strikes do not use up the events that were queued behind them", async () => {
    const { client } = await serviceWith({ moody }, strict);
    const { results } = await client.pushEvents({ events: [loop, loop, loop, loop, work, work] });
    await workflowThat(client, "moody", ({ state }) => state === "parked");
    const failed = (await client.listRuns({ workflow: "moody", status: "failed" })).runs;
    expect(failed).toHaveLength(3);
    await client.enableWorkflow({ workflow: "moody" });
    const last = results.at(-1);
    const run_id = last && "run_id" in last ? last.run_id : "";
    const run = await eventually(
      () => client.getRun({ run_id }),
      ({ status }) => status === "succeeded",
    );
    expect(run.output).toBe(2);
  });

  it("a new text gives it a new chance", async () => {
    const service = await serviceWith({ moody }, strict);
    const { client } = service;
    for (let strike = 1; strike <= 3; strike++) await pushAndRun(client, loop);
    await workflowThat(client, "moody", ({ state }) => state === "parked");
    const missed = await client.pushEvent(work);
    writeWorkflow(service, "moody", calm);
    await workflowThat(client, "moody", ({ state }) => state === "active");
    const run = await eventually(
      () => client.getRun({ run_id: missed.run_id }),
      ({ status }) => status === "succeeded",
    );
    expect(run.output).toBe("calm");
  });

  it("a run of it that waited goes on once it is enabled", async () => {
    const { client } = await serviceWith(
      {
        moody: `${moody}
sekia.on("build.asked", function()
  sekia.publish("build.began", "build.began")
  return signalbox.call("builder", "build")
end)`,
      },
      strict,
    );
    const waiting = await pushAndRun(client, { type: "build.asked" });
    expect(waiting.status).toBe("waiting");
    for (let strike = 1; strike <= 3; strike++) await pushAndRun(client, loop);
    await workflowThat(client, "moody", ({ state }) => state === "parked");
    await succeed(client, await nextCommand(client, "builder"), "built");
    expect((await client.getRun({ run_id: waiting.run_id })).status).toBe("waiting");
    await client.enableWorkflow({ workflow: "moody" });
    const run = await eventually(
      () => client.getRun({ run_id: waiting.run_id }),
      ({ status }) => status === "succeeded",
    );
    expect(run.output).toBe("built");
    expect(await eventsOf(client, { type: "build.began" })).toHaveLength(1);
  });

  it("one that eats memory is stopped as well, and its neighbours go on", async () => {
    const { client } = await serviceWith(
      {
        hungry: `sekia.on("work.eat", function()
  local all = {}
  while true do all[#all + 1] = { #all, tostring(#all) .. "x" } end
end)`,
        calm,
      },
      { set: ["workflows.memory_mb=64", "workflows.handler_timeout_ms=30000"] },
    );
    await client.pushEvent({ type: "work.eat" });
    expect((await pushAndRun(client, work)).output).toBe("calm");
    const told = await eventOf(client, "signalbox.run.failed");
    expect(told.payload).toMatchObject({ workflow: "hungry", message: expect.stringMatching(/memory/) });
    expect((await pushAndRun(client, work)).output).toBe("calm");
  });

  it("one whose file does not end while it loads fails to load, and the service starts", async () => {
    const { client } = await serviceWith({ endless: "while true do end", calm }, strict);
    expect(await client.getWorkflow({ workflow: "endless" })).toMatchObject({
      state: "failed",
      problem: { message: expect.any(String) },
    });
    expect((await pushAndRun(client, work)).output).toBe("calm");
  });
});

describe("a disabled workflow", () => {
  it("skips what comes meanwhile, also over a restart", async () => {
    const service = await serviceWith({ moody });
    const { client } = service;
    await pushAndRun(client, work);
    const { workflow } = await client.disableWorkflow({ workflow: "moody" });
    expect(workflow.state).toBe("disabled");
    const skipped = await pushAndRun(client, work);
    expect(skipped.status).toBe("skipped");
    await service.restart();
    expect(await client.getWorkflow({ workflow: "moody" })).toMatchObject({ state: "disabled" });
    await client.pushEvent(work);
    await client.enableWorkflow({ workflow: "moody" });
    expect((await pushAndRun(client, work)).output).toBe(2);
    expect((await client.getRun({ run_id: skipped.run_id })).status).toBe("skipped");
  });
});

describe("workflows that set each other off", () => {
  const pong = (hears: string, says: string) =>
    `sekia.on("${hears}", function() sekia.publish("${says}", "${says}") end)`;

  it("B12 two that answer each other stop after a chain of 16, and one event tells of it", async () => {
    const { client } = await serviceWith({
      ping: pong("ball.pong", "ball.ping"),
      pong: pong("ball.ping", "ball.pong"),
    });
    const { event_id } = await client.pushEvent({ type: "ball.ping" });
    const told = await eventOf(client, "signalbox.chain.parked");
    const balls = (await eventsOf(client)).filter(({ type }) => type.startsWith("ball."));
    expect(balls.map(({ depth, parked }) => [depth, parked])).toEqual(
      Array.from({ length: 18 }, (_, depth) => [depth, depth === 17]),
    );
    expect(told).toMatchObject({
      source: "signalbox",
      payload: { event_id: balls.at(-1)?.id, root_id: event_id, depth: 17 },
      body: expect.stringContaining("ball."),
      parent_id: balls.at(-1)?.id,
    });
  });

  it("what hears everything and always answers stops as well, and each chain is told of once", async () => {
    const chatty = (name: string) =>
      `sekia.on(">", function() sekia.publish("${name}.said", "${name}.said") end)`;
    const { client } = await serviceWith(
      { a: chatty("a"), b: chatty("b") },
      { set: ["workflows.max_depth=3"] },
    );
    await client.pushEvent({ type: "work.asked" });
    await client.pushEvent({ type: "work.asked" });
    await eventually(
      () => eventsOf(client, { type: "signalbox.chain.parked" }),
      (told) => told.length === 2,
    );
    const settled = await eventually(
      async () => {
        const before = (await client.getStatus()).last_seq;
        const { workflows } = await client.listWorkflows();
        const idle = workflows.every(({ lag }) => lag === 0);
        return { idle, before, after: (await client.getStatus()).last_seq };
      },
      ({ idle, before, after }) => idle && before === after,
    );
    expect(settled.after).toBeLessThan(200);
    expect(await eventsOf(client, { type: "signalbox.chain.parked" })).toHaveLength(2);
  });

  it("a workflow may act on the news, but what it publishes then goes no further", async () => {
    const { client } = await serviceWith(
      {
        ping: pong("ball.pong", "ball.ping"),
        pong: pong("ball.ping", "ball.pong"),
        guard: `sekia.on("signalbox.chain.parked", function(event)
  sekia.command("pager", "alert", { about = event.payload.root_id })
  sekia.publish("ball.ping", "ball.ping")
end)`,
      },
      { set: ["workflows.max_depth=4"] },
    );
    const { event_id } = await client.pushEvent({ type: "ball.ping" });
    const command = await nextCommand(client, "pager");
    expect(command.payload).toEqual({ about: event_id });
    const extra = await eventually(
      async () => (await eventsOf(client, { source: "workflow:guard" })).at(-1),
      (event) => event !== undefined,
    );
    expect(extra?.parked).toBe(true);
    expect((await client.getRun({ run_id: extra?.id.replace("evt_", "run_") ?? "" })).status).toBe("skipped");
  });
});
