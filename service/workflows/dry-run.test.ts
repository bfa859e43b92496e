import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import type { TestService } from "../../test/harness/service.ts";
import { pushAndRun, serviceWith } from "../../test/harness/workflows.ts";

const deploy = `sekia.on("deploy.*", function(event)
  signalbox.state.set("n", (signalbox.state.get("n") or 0) + 1)
  sekia.publish("deploy.began", "deploy.began", { ref = event.payload.ref })
  local answer = signalbox.call("builder", "build", { ref = event.payload.ref })
  signalbox.after(60)
  signalbox.state.set("gone", nil)
  sekia.command("notes", "write", { text = "built " .. answer.id })
  sekia.log("info", "done")
  return signalbox.state.get("n")
end)
sekia.on("other", function() end)`;

/** How many rows each table has, but for the full text, which is filled behind the commits. */
function rowCounts({ paths }: TestService): Record<string, number> {
  const db = new Database(paths.databaseFile, { readonly: true });
  try {
    const names = db
      .prepare<[], string>(
        // The indexes are filled behind the commits, so they may still grow by what was recorded before.
        `SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'meta'
         AND name NOT LIKE 'events_text%' AND name NOT LIKE 'words%' AND name <> 'subjects'`,
      )
      .pluck()
      .all();
    const count = (name: string) =>
      db.prepare<[], number>(`SELECT count(*) FROM "${name}"`).pluck().get() ?? 0;
    return Object.fromEntries(names.map((name) => [name, count(name)]));
  } finally {
    db.close();
  }
}

describe("a dry run", () => {
  it("shows what a workflow would do on a recorded event, and records nothing", async () => {
    const service = await serviceWith({ deploy });
    const { client } = service;
    const { event_id } = await pushAndRun(client, { type: "deploy.asked", payload: { ref: "main" } });
    const before = rowCounts(service);
    const tested = await client.testWorkflow({
      workflow: "deploy",
      event_id: event_id ?? "",
      results: [{ id: 7 }],
    });
    expect(tested.event.id).toBe(event_id);
    expect(tested.runs).toMatchObject([
      {
        handler: { id: 1, pattern: "deploy.*" },
        status: "succeeded",
        // State as it is now, and not changed by this.
        output: 2,
        error: null,
        logs: [{ level: "info", message: "done", line: 8 }],
        effects: [
          { kind: "state", summary: "Remember n", target: "n", payload: 2, line: "deploy.lua:2" },
          {
            kind: "publish",
            summary: "Publish deploy.began on deploy.began",
            payload: { ref: "main" },
            line: "deploy.lua:3",
          },
          { kind: "command", summary: "Send build to builder", target: "builder", line: "deploy.lua:4" },
          { kind: "state", summary: "Forget gone", target: "gone", payload: null, line: "deploy.lua:6" },
          { kind: "command", target: "notes", payload: { text: "built 7" }, line: "deploy.lua:7" },
        ],
      },
    ]);
    expect(rowCounts(service)).toEqual(before);
    expect(before.events).toBeGreaterThan(0);
    const again = await client.testWorkflow({
      workflow: "deploy",
      event_id: event_id ?? "",
      results: [{ id: 7 }],
    });
    expect(again.runs[0]?.output).toBe(2);
  });

  it("stops at a call without a result, and says what it waits for", async () => {
    const { client } = await serviceWith({ deploy });
    const tested = await client.testWorkflow({ workflow: "deploy", event: { type: "deploy.asked" } });
    expect(tested.runs).toMatchObject([
      { status: "waiting", waiting_for: "result of builder.build", output: null },
    ]);
  });

  it("simulates calls that fail, in the order of the answers, and shows a publish whole", async () => {
    const { client } = await serviceWith({});
    const tested = await client.testWorkflow({
      source: `sekia.on("a.b", function()
        local first = signalbox.call("deployer", "ship")
        local ok, why = pcall(signalbox.call, "deployer", "check")
        signalbox.publish("ops.told", "ops.told", { n = 1 }, { topic = "ops", body = first .. ": " .. why })
      end)`,
      event: { type: "a.b" },
      answers: [{ result: "shipped" }, { error: "the disk is full" }],
    });
    expect(tested.runs).toMatchObject([{ status: "succeeded", waiting_for: null }]);
    expect(tested.runs[0]?.effects.at(-1)).toMatchObject({
      kind: "publish",
      payload: { n: 1 },
      topic: "ops",
      body: "shipped: the disk is full",
    });
  });

  it("takes a text that is in no folder, and a made-up event", async () => {
    const { client } = await serviceWith({});
    const tested = await client.testWorkflow({
      source: `sekia.on("topics.inbox", function(event) return event.body .. event.payload.n end)`,
      event: { topic: "inbox", body: "n is ", payload: { n: 5 } },
    });
    expect(tested.runs).toMatchObject([{ status: "succeeded", output: "n is 5" }]);
    expect(tested.event).toMatchObject({ subject: "topics.inbox", type: "message.pushed" });
  });

  it("tells a handler's error with its line, and a load error as one", async () => {
    const { client } = await serviceWith({});
    const test = (source: string) =>
      client.testWorkflow({ source, file: "draft.lua", event: { type: "a.b" } });
    expect((await test(`sekia.on("a.b", function()\n  error("no")\nend)`)).runs).toMatchObject([
      { status: "failed", error: { line: 2, message: expect.stringContaining("no") } },
    ]);
    await expect(test("nonsense")).rejects.toMatchObject({
      code: "workflow_load_failed",
      details: { line: 1 },
    });
  });

  it("one that never ends fails, and hurts no workflow that runs", async () => {
    const { client } = await serviceWith(
      { calm: `sekia.on("a.b", function() return "calm" end)` },
      { set: ["workflows.handler_timeout_ms=200"] },
    );
    const tested = await client.testWorkflow({
      source: `sekia.on("a.b", function() while true do end end)`,
      event: { type: "a.b" },
    });
    expect(tested.runs).toMatchObject([{ status: "failed", error: { message: expect.any(String) } }]);
    expect((await pushAndRun(client, { type: "a.b" })).output).toBe("calm");
  });

  it("refuses what it can't run, by its reason", async () => {
    const { client } = await serviceWith({ deploy });
    const event = { type: "deploy.asked" };
    await expect(client.testWorkflow({ event })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(client.testWorkflow({ workflow: "deploy" })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(client.testWorkflow({ workflow: "none", event })).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(client.testWorkflow({ workflow: "deploy", event_id: "evt_x" })).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(
      client.testWorkflow({ workflow: "deploy", event: { ...event, payload: "text" } }),
    ).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("a check", () => {
  it("lists the handlers of a text, or its error with the line, and keeps nothing", async () => {
    const { client } = await serviceWith({});
    expect(await client.checkWorkflow({ source: deploy, file: "deploy.lua" })).toMatchObject({
      ok: true,
      handlers: [
        { id: 1, pattern: "deploy.*", line: 1 },
        { id: 2, pattern: "other", line: 11 },
      ],
      error: null,
    });
    expect(await client.checkWorkflow({ source: `local x = \n}`, file: "bad.lua" })).toMatchObject({
      ok: false,
      handlers: [],
      error: { file: "bad.lua", line: 2 },
    });
    expect((await client.listWorkflows()).workflows).toEqual([]);
  });
});
