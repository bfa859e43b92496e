import { describe, expect, it } from "vitest";
import { manualClock } from "../../test/harness/clock.ts";
import { eventually, type TestService } from "../../test/harness/service.ts";
import {
  eventOf,
  eventsOf,
  fail,
  nextCommand,
  pushAndRun,
  serviceWith,
  succeed,
  workflowThat,
  writeWorkflow,
} from "../../test/harness/workflows.ts";
import type { Effect } from "../contract/effects.ts";
import type { Run } from "../contract/workflows.ts";

/** Publishes, counts and commands before and after it waits for an agent. */
const deploy = `sekia.on("deploy.asked", function(event)
  signalbox.state.set("asked", (signalbox.state.get("asked") or 0) + 1)
  signalbox.publish("deploy.began", "deploy.began", { at = signalbox.now_ms() })
  local noted = signalbox.command("notes", "write", { text = "began" })
  local answer = signalbox.call("builder", "build", { ref = event.payload.ref })
  signalbox.publish("deploy.built", "deploy.built", { answer = answer, noted = noted, at = signalbox.now_ms() })
  signalbox.command("notes", "write", { text = "built " .. answer.id })
  return { answer = answer, asked = signalbox.state.get("asked") }
end)`;

const runThat = (service: TestService, run_id: string, isRight: (run: Run) => boolean) =>
  eventually(() => service.client.getRun({ run_id }), isRight);

/** The handler's own run of the event. */
async function runOf(service: TestService, event_id: string | null): Promise<Run> {
  const [run] = (await service.client.listRuns({ event_id: event_id ?? "" })).runs;
  if (!run) throw new Error(`${event_id} has no run`);
  return run;
}

/** The command to write this note that the event led to. */
async function noteOf(service: TestService, event_id: string | null, text: string): Promise<Effect> {
  const { effects } = await service.client.listEffects({ target: "notes", event_id: event_id ?? "" });
  const note = effects.find(({ payload }) => payload.text === text);
  if (!note) throw new Error(`there is no note ${text}`);
  return note;
}

describe("a run that waits", () => {
  it("goes on with the result of its command, and lets later events pass meanwhile", async () => {
    const service = await serviceWith({ deploy });
    const { client } = service;
    const first = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    expect(first).toMatchObject({ status: "waiting", waiting_for: "result of builder.build" });
    const second = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "b" } });
    expect(second.status).toBe("waiting");
    const command = await nextCommand(client, "builder");
    expect(command.payload).toEqual({ ref: "a" });
    await succeed(client, command, { id: 7 });
    const done = await runThat(service, first.run_id, ({ status }) => status === "succeeded");
    expect(done.output).toEqual({ answer: { id: 7 }, asked: 2 });
    const built = await eventOf(client, "deploy.built");
    const note = await noteOf(service, first.event_id, "began");
    expect(built.payload).toMatchObject({ answer: { id: 7 }, noted: note.id });
  });

  it("survives a restart without repeating what it did before", async () => {
    const service = await serviceWith({ deploy });
    const { client } = service;
    const { run_id, event_id } = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    const [before] = await eventsOf(client, { type: "deploy.began" });
    await service.restart();
    expect((await client.getRun({ run_id })).status).toBe("waiting");
    await succeed(client, await nextCommand(client, "builder"), { id: 7 });
    const done = await runThat(service, run_id, ({ status }) => status === "succeeded");
    expect(done).toMatchObject({ attempts: 2, output: { asked: 1 } });
    expect(await eventsOf(client, { type: "deploy.began" })).toEqual([before]);
    expect((await client.listEffects({ target: "notes" })).effects).toHaveLength(2);
    // The id it was told of is that of the effect there is.
    const note = await noteOf(service, event_id, "began");
    expect((await eventOf(client, "deploy.built")).payload.noted).toBe(note.id);
  });

  it("goes on after a restart when the result came while nothing ran", async () => {
    const service = await serviceWith({ deploy });
    const { client } = service;
    const { run_id } = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    const command = await nextCommand(client, "builder");
    await client.disableWorkflow({ workflow: "deploy" });
    await succeed(client, command, { id: 7 });
    await service.restart();
    expect((await client.getRun({ run_id })).status).toBe("waiting");
    await client.enableWorkflow({ workflow: "deploy" });
    await runThat(service, run_id, ({ status }) => status === "succeeded");
  });

  it("fails with the agent's error at the line of its call, which the handler may catch", async () => {
    const { client } = await serviceWith({
      careful: `sekia.on("work.asked", function()
  local ok, message = pcall(signalbox.call, "builder", "build")
  if not ok then signalbox.publish("work.refused", "work.refused", { message = message }) end
  return signalbox.call("builder", "build")
end)`,
    });
    await pushAndRun(client, { type: "work.asked" });
    await fail(client, await nextCommand(client, "builder"), "no disk");
    expect((await eventOf(client, "work.refused")).payload.message).toContain(
      "builder.build failed: no disk",
    );
    await fail(client, await nextCommand(client, "builder"), "still no disk");
    const told = await eventOf(client, "signalbox.run.failed");
    expect(told.payload).toMatchObject({ workflow: "careful", line: "careful.lua:4" });
    expect(told.body).toContain("still no disk");
  });

  it("wakes up at its time, also when that came while nothing ran", async () => {
    const clock = manualClock();
    const service = await serviceWith(
      {
        later: `sekia.on("work.asked", function(event)
  local began = signalbox.now_ms()
  signalbox.publish("work.began", "work.began")
  signalbox.after(event.payload.seconds)
  return (signalbox.now_ms() - began) / 1000
end)`,
      },
      { clock },
    );
    const { client } = service;
    const soon = await pushAndRun(client, { type: "work.asked", payload: { seconds: 60 } });
    const late = await pushAndRun(client, { type: "work.asked", payload: { seconds: 30 * 86_400 } });
    expect(soon.waiting_for).toBe(`time: ${new Date(clock.nowMs() + 60_000).toISOString()}`);
    clock.advance(60_000);
    expect((await runThat(service, soon.run_id, ({ status }) => status === "succeeded")).output).toBe(60);
    await service.restart();
    clock.advance(40 * 86_400_000);
    const done = await runThat(service, late.run_id, ({ status }) => status === "succeeded");
    expect(Number(done.output)).toBeGreaterThanOrEqual(30 * 86_400);
    expect(await eventsOf(client, { type: "work.began" })).toHaveLength(2);
  });

  it("sleeps on when the machine's clock was set back", async () => {
    const clock = manualClock();
    const service = await serviceWith(
      { later: `sekia.on("work.asked", function() signalbox.after(60) return "awake" end)` },
      { clock },
    );
    const { run_id } = await pushAndRun(service.client, { type: "work.asked" });
    clock.set(clock.nowMs() - 3_600_000);
    clock.advance(60_000);
    expect((await service.client.getRun({ run_id })).status).toBe("waiting");
    clock.advance(3_600_000);
    await runThat(service, run_id, ({ output }) => output === "awake");
  });

  it("can be cancelled, and then nothing of the rest happens", async () => {
    const service = await serviceWith({ deploy });
    const { client } = service;
    const { run_id, event_id } = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    const run = await runOf(service, event_id);
    expect(await client.cancelRun({ run_id: run.run_id })).toMatchObject({
      status: "cancelled",
      waiting_for: null,
    });
    await succeed(client, await nextCommand(client, "builder"), { id: 7 });
    expect((await client.getRun({ run_id })).status).toBe("cancelled");
    expect(await eventsOf(client, { type: "deploy.built" })).toEqual([]);
    await expect(client.cancelRun({ run_id: run.run_id })).rejects.toMatchObject({ code: "conflict" });
    await service.restart();
    expect((await client.getRun({ run_id })).status).toBe("cancelled");
  });

  it("that was cancelled can be retried, and then waits for the same command or as long again", async () => {
    const clock = manualClock();
    const service = await serviceWith(
      { deploy, later: `sekia.on("work.asked", function() signalbox.after(60) return "awake" end)` },
      { clock },
    );
    const { client } = service;
    const asked = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    const call = await runOf(service, asked.event_id);
    await client.cancelRun({ run_id: call.run_id });
    expect(await client.retryRun({ run_id: call.run_id })).toMatchObject({
      status: "waiting",
      waiting_for: "result of builder.build",
    });
    expect((await client.listEffects({ target: "builder" })).effects).toHaveLength(1);
    await succeed(client, await nextCommand(client, "builder"), { id: 7 });
    await runThat(service, asked.run_id, ({ status }) => status === "succeeded");
    expect(await eventsOf(client, { type: "deploy.began" })).toHaveLength(1);

    const slept = await pushAndRun(client, { type: "work.asked" });
    const sleep = await runOf(service, slept.event_id);
    await client.cancelRun({ run_id: sleep.run_id });
    clock.advance(59_000);
    expect((await client.retryRun({ run_id: sleep.run_id })).status).toBe("waiting");
    clock.advance(59_000);
    expect((await client.getRun({ run_id: sleep.run_id })).status).toBe("waiting");
    clock.advance(1_000);
    await runThat(service, slept.run_id, ({ output }) => output === "awake");
  });

  it("ends in the text it began with when the file changes meanwhile", async () => {
    const service = await serviceWith({ deploy }, { set: ["workflows.debounce_ms=10"] });
    const { run_id } = await pushAndRun(service.client, { type: "deploy.asked", payload: { ref: "a" } });
    const { version } = await service.client.getWorkflow({ workflow: "deploy" });
    writeWorkflow(service, "deploy", `sekia.on("deploy.asked", function() return "new" end)`);
    await workflowThat(service.client, "deploy", (workflow) => workflow.version !== version);
    await succeed(service.client, await nextCommand(service.client, "builder"), { id: 7 });
    const done = await runThat(service, run_id, ({ status }) => status === "succeeded");
    expect(done.output).toMatchObject({ answer: { id: 7 } });
  });
});

describe("a handler that fails", () => {
  const fragile = (more: string) => `sekia.on("work.asked", function(event)
  signalbox.state.set("asked", (signalbox.state.get("asked") or 0) + 1)
  sekia.publish("work.begun", "work.begun")
  sekia.command("notes", "write", {})
  ${more}
  return signalbox.state.get("asked")
end)`;

  it("has done nothing, and its run and an event tell the line", async () => {
    const service = await serviceWith({ fragile: fragile(`local t = nil; t.x = 1`) });
    const { client } = service;
    const run = await pushAndRun(client, { type: "work.asked", conversation_key: "chat:1" });
    expect(run).toMatchObject({
      status: "failed",
      error: { line: 5, file: expect.stringContaining("fragile.lua"), traceback: expect.any(String) },
    });
    expect(await eventOf(client, "signalbox.run.failed")).toMatchObject({
      source: "workflow:fragile",
      parent_id: run.event_id,
      payload: {
        workflow: "fragile",
        line: "fragile.lua:5",
        run_id: (await runOf(service, run.event_id)).run_id,
      },
    });
    expect(await eventsOf(client, { type: "work.begun" })).toEqual([]);
    expect((await client.listEffects({})).effects).toEqual([]);
    expect(await client.getWorkflow({ workflow: "fragile" })).toMatchObject({
      state: "active",
      events: 1,
      errors: 1,
    });
  });

  it("can be retried after a correction, once for all", async () => {
    const service = await serviceWith(
      { fragile: fragile(`error("not yet")`) },
      { set: ["workflows.debounce_ms=10"] },
    );
    const { client } = service;
    const { event_id, run_id } = await pushAndRun(client, { type: "work.asked" });
    const failed = await runOf(service, event_id);
    const again = await client.retryRun({ run_id: failed.run_id });
    expect(again).toMatchObject({ status: "failed", attempts: 2 });
    expect(await eventsOf(client, { type: "signalbox.run.failed" })).toHaveLength(2);
    writeWorkflow(service, "fragile", fragile(""));
    await workflowThat(client, "fragile", ({ version }) => version !== failed.version);
    expect(await client.retryRun({ run_id: failed.run_id })).toMatchObject({
      status: "succeeded",
      output: 1,
    });
    expect((await client.getRun({ run_id })).status).toBe("succeeded");
    expect(await eventsOf(client, { type: "work.begun" })).toHaveLength(1);
    expect((await client.listEffects({})).effects).toHaveLength(1);
    await expect(client.retryRun({ run_id: failed.run_id })).rejects.toMatchObject({ code: "conflict" });
  });

  it("a retry repeats nothing that was done before its last wait", async () => {
    const text = (end: string) => `${deploy.slice(0, deploy.indexOf('  signalbox.publish("deploy.built"'))}
  ${end}
  return { answer = answer, asked = signalbox.state.get("asked") }
end)`;
    const service = await serviceWith(
      { deploy: text(`error("after the call")`) },
      { set: ["workflows.debounce_ms=10"] },
    );
    const { client } = service;
    const { event_id } = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    await succeed(client, await nextCommand(client, "builder"), { id: 7 });
    await eventOf(client, "signalbox.run.failed");
    const failed = await runOf(service, event_id);
    writeWorkflow(service, "deploy", text(""));
    await workflowThat(client, "deploy", ({ version }) => version !== failed.version);
    expect(await client.retryRun({ run_id: failed.run_id })).toMatchObject({
      status: "succeeded",
      output: { answer: { id: 7 }, asked: 1 },
    });
    expect(await eventsOf(client, { type: "deploy.began" })).toHaveLength(1);
    expect((await client.listEffects({ target: "notes" })).effects).toHaveLength(1);
    expect((await client.listEffects({ target: "builder" })).effects).toHaveLength(1);
  });

  it("a retry tries the command again whose failure ended it", async () => {
    const service = await serviceWith({ deploy });
    const { client } = service;
    const { event_id, run_id } = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    await fail(client, await nextCommand(client, "builder"), "no disk");
    await eventOf(client, "signalbox.run.failed");
    const failed = await runOf(service, event_id);
    expect(failed.error?.message).toContain("builder.build failed: no disk");
    expect(await client.retryRun({ run_id: failed.run_id })).toMatchObject({ status: "waiting" });
    await expect(client.retryRun({ run_id: failed.run_id })).rejects.toMatchObject({ code: "conflict" });
    const command = await nextCommand(client, "builder");
    expect(command).toMatchObject({ payload: { ref: "a" }, attempt: 2 });
    await succeed(client, command, { id: 8 });
    const done = await runThat(service, run_id, ({ status }) => status === "succeeded");
    expect(done.output).toEqual({ answer: { id: 8 }, asked: 1 });
    expect(await eventsOf(client, { type: "deploy.began" })).toHaveLength(1);
  });

  it("a retry of a text that does something else now says so instead of mixing both", async () => {
    const service = await serviceWith({ deploy }, { set: ["workflows.debounce_ms=10"] });
    const { client } = service;
    const { event_id } = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "a" } });
    await succeed(client, await nextCommand(client, "builder"), "no table");
    await eventOf(client, "signalbox.run.failed");
    const failed = await runOf(service, event_id);
    writeWorkflow(
      service,
      "deploy",
      `sekia.on("deploy.asked", function() sekia.command("notes", "write", {}) return 1 end)`,
    );
    await workflowThat(client, "deploy", ({ version }) => version !== failed.version);
    const again = await client.retryRun({ run_id: failed.run_id });
    expect(again).toMatchObject({ status: "failed" });
    expect(again.error?.message).toContain("a handler must do the same when it is repeated");
    const fresh = await client.runWorkflow({ workflow: "deploy", event_id: event_id ?? "" });
    expect(fresh.runs).toMatchObject([{ status: "succeeded", output: 1 }]);
  });

  it("what it did that can't be recorded fails it, and takes its state back", async () => {
    const service = await serviceWith({
      greedy: `sekia.on("work.asked", function(event)
  local n = (signalbox.state.get("n") or 0) + 1
  signalbox.state.set("n", n)
  if event.payload.big then
    local text = string.rep("x", 600000)
    signalbox.publish("big.made", "big.made", { one = text, two = text })
  end
  return n
end)`,
    });
    const { client } = service;
    const run = await pushAndRun(client, { type: "work.asked", payload: { big: true } });
    expect(run).toMatchObject({
      status: "failed",
      error: { message: expect.stringContaining("1048576 bytes") },
    });
    await workflowThat(client, "greedy", ({ state }) => state === "active");
    const next = await eventually(
      () => pushAndRun(client, { type: "work.asked" }),
      ({ status }) => status === "succeeded",
    );
    expect(next.output).toBe(1);
  });
});

describe("a run again", () => {
  it("gives a recorded event to a workflow once more, as a run of its own", async () => {
    const { client } = await serviceWith({
      counter: `sekia.on("count.made", function()
  signalbox.state.set("n", (signalbox.state.get("n") or 0) + 1)
  return signalbox.state.get("n")
end)`,
    });
    const first = await pushAndRun(client, { type: "count.made" });
    const event_id = first.event_id ?? "";
    const { runs } = await client.runWorkflow({ workflow: "counter", event_id });
    expect(runs).toMatchObject([{ status: "succeeded", output: 2, event_id }]);
    expect((await client.listRuns({ event_id })).runs).toHaveLength(2);
    await expect(client.runWorkflow({ workflow: "none", event_id })).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(client.runWorkflow({ workflow: "counter", event_id: "evt_x" })).rejects.toMatchObject({
      code: "not_found",
    });
    await client.disableWorkflow({ workflow: "counter" });
    await expect(client.runWorkflow({ workflow: "counter", event_id })).rejects.toMatchObject({
      code: "conflict",
    });
  });
});
