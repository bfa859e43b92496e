import { describe, expect, it } from "vitest";
import { http } from "../../test/harness/http.ts";
import {
  eventOf,
  eventsOf,
  nextCommand,
  pushAndRun,
  serviceWith,
  succeed,
} from "../../test/harness/workflows.ts";

const labeller = `-- labels bugs
sekia.on("github.issue.*", function(event)
  if event.type ~= "github.issue.opened" then return end
  sekia.command("github-agent", "add_label", { number = event.payload.number, label = "bug" })
  sekia.log("info", "labelled #" .. event.payload.number)
end)`;

describe("a workflow", () => {
  it("S21 reacts to an event and sends a command", async () => {
    const { client } = await serviceWith({ labeller });
    const run = await pushAndRun(client, { type: "github.issue.opened", payload: { number: 42 } });
    expect(run).toMatchObject({ status: "succeeded", workflow: "labeller", event_id: run.event_id });
    expect(run.logs.map((line) => [line.level, line.message, line.line])).toEqual([
      ["info", "labelled #42", 5],
    ]);
    const command = await nextCommand(client, "github-agent");
    expect(command).toMatchObject({
      command: "add_label",
      payload: { number: 42, label: "bug" },
      source: "workflow:labeller",
      attempt: 1,
    });
    await succeed(client, command);
  });

  it("S24 a command is an effect that names the file and line it came from, and happens once", async () => {
    const service = await serviceWith({ labeller });
    const { client } = service;
    const run = await pushAndRun(client, { type: "github.issue.opened", payload: { number: 42 } });
    const { effects } = await client.listEffects({ workflow: "labeller" });
    const { version } = await client.getWorkflow({ workflow: "labeller" });
    expect(effects).toHaveLength(1);
    expect(effects[0]).toMatchObject({
      kind: "command",
      target: "github-agent",
      action: "add_label",
      state: "approved",
      cause: {
        event_id: run.event_id,
        workflow: "labeller",
        line: "labeller.lua:4",
        version,
        source: "workflow:labeller",
      },
      correlation_id: run.event_id,
    });
    // The cursor may not have been saved: the event comes again, the effect does not.
    await service.restart();
    await pushAndRun(client, { type: "github.issue.closed" });
    expect((await client.listEffects({ workflow: "labeller" })).effects).toHaveLength(1);
  });

  it("S22 hears * as exactly one token and > as one or more, and Sekia's subject of a source", async () => {
    const { client } = await serviceWith({
      ears: `
local function hear(name, pattern)
  sekia.on(pattern, function(event)
    if event.type ~= "test.heard" then sekia.publish("ears.heard", "test.heard", { by = name, what = event.type }) end
  end)
end
hear("one", "github.*")
hear("three", "github.*.opened")
hear("rest", "github.>")
hear("sekia", "sekia.events.github")
hear("sekia-any", "sekia.events.*")`,
    });
    const heardBy = async (event: { type: string; source?: string }) => {
      const run = await pushAndRun(client, event);
      const heard = (await eventsOf(client, { type: "test.heard" })).filter(
        ({ parent_id }) => parent_id === run.event_id,
      );
      return heard.map(({ payload }) => payload.by).sort();
    };
    expect(await heardBy({ type: "github.push", source: "github" })).toEqual([
      "one",
      "rest",
      "sekia",
      "sekia-any",
    ]);
    expect(await heardBy({ type: "github.issue.opened", source: "gitlab" })).toEqual([
      "rest",
      "sekia-any",
      "three",
    ]);
    expect(await heardBy({ type: "github", source: "a.b" })).toEqual([]);
  });

  it("S23 what it publishes is an event like any other, caused by the one it handled", async () => {
    const { client } = await serviceWith({
      reporter: `sekia.on("work.done", function(event)
  sekia.publish("reports.daily", "report.made", { of = event.id })
  signalbox.publish("reports.queue", "report.queued", {}, { topic = "reports", body = "please read" })
end)`,
      reader: `sekia.on("reports.>", function(event) return event.type end)`,
    });
    const run = await pushAndRun(client, { type: "work.done" });
    const made = await eventOf(client, "report.made");
    expect(made).toMatchObject({
      subject: "reports.daily",
      source: "workflow:reporter",
      payload: { of: run.event_id },
      parent_id: run.event_id,
      correlation_id: run.event_id,
      origin_kind: "workflow",
      depth: 1,
    });
    const { claimed } = await client.claimEvents({ topic: "reports", agent: "@a" });
    expect(claimed[0]?.event).toMatchObject({ type: "report.queued", body: "please read" });
    const { runs } = await client.listRuns({ workflow: "reader" });
    expect(runs.map(({ output }) => output).sort()).toEqual(["report.made", "report.queued"]);
  });

  it("B7 never sees the events it published itself, nor those of its failures", async () => {
    const { client } = await serviceWith({
      echo: `sekia.on(">", function(event)
  sekia.publish("echo.said", "echo.said", { of = event.type })
  if event.type == "work.bad" then error("no") end
end)`,
    });
    await pushAndRun(client, { type: "work.done" });
    await pushAndRun(client, { type: "work.bad" });
    await pushAndRun(client, { type: "work.done" });
    expect((await eventsOf(client, { type: "echo.said" })).map(({ payload }) => payload.of)).toEqual([
      "work.done",
      "work.done",
    ]);
    expect((await client.listRuns({ workflow: "echo" })).runs).toHaveLength(3);
  });

  it("S26 is called like its file, and S25 its log levels reach its log", async () => {
    const { client } = await serviceWith({
      "my-flow": `sekia.on("work.done", function()
  for _, level in ipairs({ "debug", "info", "warn", "error" }) do sekia.log(level, level .. " of " .. sekia.name) end
end)`,
    });
    await pushAndRun(client, { type: "work.done" });
    const { lines } = await client.workflowLogs({ workflow: "my-flow" });
    expect(lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      "debug: debug of my-flow",
      "info: info of my-flow",
      "warn: warn of my-flow",
      "error: error of my-flow",
    ]);
    const loud = await client.workflowLogs({ workflow: "my-flow", level: "warn", limit: 1 });
    expect(loud.lines.map(({ level }) => level)).toEqual(["error"]);
  });

  it("handles its events one after the other, in the order of the log", async () => {
    const { client } = await serviceWith({
      order: `local seen = {}
sekia.on("count.made", function(event)
  table.insert(seen, event.payload.n)
  return table.concat(seen, ",")
end)`,
    });
    const pushes = Array.from({ length: 40 }, (_, n) => ({ type: "count.made", payload: { n } }));
    const { results } = await client.pushEvents({ events: pushes });
    const last = results.at(-1);
    if (!last || "error" in last) throw new Error("it was not pushed");
    const run = await pushAndRun(client, { type: "count.made", payload: { n: 40 } });
    expect(run.output).toBe(Array.from({ length: 41 }, (_, n) => n).join(","));
  });

  it("keeps Lua variables between events, and durable state over a restart", async () => {
    const counter = `local count = 0
sekia.on("count.made", function()
  count = count + 1
  signalbox.state.set("count", (signalbox.state.get("count") or 0) + 1)
  return { count, signalbox.state.get("count") }
end)`;
    const service = await serviceWith({ counter });
    const outputs = [];
    for (let n = 0; n < 2; n++)
      outputs.push((await pushAndRun(service.client, { type: "count.made" })).output);
    await service.restart();
    outputs.push((await pushAndRun(service.client, { type: "count.made" })).output);
    expect(outputs).toEqual([
      [1, 1],
      [2, 2],
      [1, 3],
    ]);
  });
});

describe("the workflow list", () => {
  it("S17 B11 GET /api/v1/workflows has Sekia's exact fields", async () => {
    const service = await serviceWith({ labeller, other: `sekia.on("a.>", function() end)` });
    await pushAndRun(service.client, { type: "github.issue.closed" });
    const reply = await http(service.paths, "GET", "/api/v1/workflows");
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual([
      {
        name: "labeller",
        file_path: `${service.paths.workflowsDir}/labeller.lua`,
        handlers: 1,
        patterns: ["github.issue.*"],
        loaded_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        events: 1,
        errors: 0,
      },
      {
        name: "other",
        file_path: `${service.paths.workflowsDir}/other.lua`,
        handlers: 1,
        patterns: ["a.>"],
        loaded_at: expect.any(String),
        events: 0,
        errors: 0,
      },
    ]);
  });

  it("tells state, version, handlers with their lines, and how far behind a workflow is", async () => {
    const { client } = await serviceWith({
      mixed: `sekia.on("a.b", function() end)\nsignalbox.schedule(3600, function() end)`,
    });
    const { workflows } = await client.listWorkflows();
    expect(workflows).toMatchObject([
      {
        name: "mixed",
        state: "active",
        problem: null,
        version: expect.stringMatching(/^[0-9a-f]{64}$/),
        handlers: [
          { id: 1, kind: "event", pattern: "a.b", every_ms: null, line: 1 },
          { id: 2, kind: "schedule", pattern: null, every_ms: 3_600_000, line: 2 },
        ],
        lag: 0,
      },
    ]);
    await expect(client.getWorkflow({ workflow: "none" })).rejects.toMatchObject({ code: "not_found" });
  });
});
