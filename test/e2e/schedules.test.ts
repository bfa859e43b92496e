import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { manualClock } from "../harness/clock.ts";
import { http } from "../harness/http.ts";
import {
  eventually,
  startTestService,
  startTestServiceProcess,
  type TestService,
  type TestServiceOptions,
} from "../harness/service.ts";

const minute = 60_000;
/** Where the manual clock begins: 2023-11-14T22:13:20Z. */
const begin = 1_700_000_000_000;
const closing: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

async function open(options: TestServiceOptions = {}) {
  const clock = manualClock();
  const service = await startTestService({ ...options, clock });
  closing.push(service);
  const call = (method: string, path: string, body?: unknown) =>
    http(service.paths, method, path, body === undefined ? {} : { body: JSON.stringify(body) });
  return { service, clock, client: service.client, call };
}

const dueOf = (meta: unknown) => (meta as { schedule: { due_ms: number } }).schedule.due_ms;

describe("a schedule in the service", () => {
  it("U11 its event reaches a workflow and a topic, and a run that fails holds it back (B16)", async () => {
    const { client, clock } = await open({
      workflows: {
        "report.lua": `signalbox.on("schedules.report", function(event)
          if event.payload.fail then error("no data") end
          signalbox.publish("report.written", "report.written", { due = event.meta.schedule.due_ms })
        end)`,
      },
    });
    await client.createSchedule({ name: "report", every_ms: 10 * minute, topic: "inbox" });
    clock.advance(10 * minute);
    const { runs } = await eventually(
      () => client.listRuns({ workflow: "report", status: "succeeded" }),
      (page) => page.runs.length === 1,
    );
    expect(runs[0]).toMatchObject({ status: "succeeded", error: null });
    expect((await client.getTopic({ topic: "inbox" })).counts.pending).toBe(1);
    await client.updateSchedule({ schedule: "report", payload: { fail: true } });
    clock.advance(10 * minute);
    const held = await eventually(
      () => client.getSchedule({ schedule: "report" }),
      (one) => one.failures === 1,
    );
    expect(held).toMatchObject({
      hold_ms: clock.nowMs() + minute,
      last_error: "report failed: no data",
      counts: { fired: 2, failed: 1 },
    });
    const history = await client.scheduleHistory({ schedule: "report" });
    expect(history.firings.map((one) => one.outcome)).toEqual(["failed", "fired"]);
  });

  it("U11 R49 killed at any moment and started again, it records each due time exactly once", async () => {
    const service = await startTestServiceProcess();
    closing.push(service);
    const { id } = await service.client.createSchedule({ name: "tick", every_ms: 1_000, missed: "all" });
    const recorded = async () => {
      const page = await service.client.findEvents({
        subject: "schedules.tick",
        oldest_first: true,
        limit: 1_000,
      });
      return page.events;
    };
    for (let kills = 1; kills <= 3; kills++) {
      const before = (await recorded()).length;
      await eventually(recorded, (events) => events.length > before + 1);
      await service.kill9();
      await service.start();
    }
    const last = (await recorded()).length;
    const events = await eventually(recorded, (now) => now.length > last + 1);
    const times = events.map((event) => dueOf(event.meta));
    expect(times).toEqual(times.map((_, index) => (times[0] ?? 0) + index * 1_000));
    expect(events.map((event) => event.external_id)).toEqual(
      times.map((ms) => `objective:${id}:${ms / 1_000}`),
    );
  });

  it("R3 R50 a changed Markdown file of a workspace is answered by that workspace's schedules", async () => {
    const root = mkdtempSync(join(tmpdir(), "signalbox-ws-"));
    closing.push({ close: () => rmSync(root, { recursive: true, force: true }) });
    const dirs = ["alpha", "beta"].map((name) => join(root, name));
    for (const dir of dirs) mkdirSync(dir);
    const service = await startTestService({
      set: [`workspaces.dirs=${JSON.stringify(dirs)}`, "workspaces.debounce_ms=20"],
    });
    closing.push(service);
    const { client } = service;
    for (const scope of ["alpha", "beta"])
      await client.createSchedule({ name: scope, pattern: "markdown.updated", scope, topic: "review" });
    writeFileSync(join(root, "beta", "todo.md"), "- buy milk");
    const page = await eventually(
      () => client.findEvents({ topic: "review" }),
      ({ events }) => events.length > 0,
    );
    expect(page.events).toMatchObject([
      { subject: "schedules.beta", scope: "beta", payload: { event: { payload: { path: "todo.md" } } } },
    ]);
    expect((await client.getHealth()).parts).toContainEqual(
      expect.objectContaining({ name: "workspaces", state: "ok" }),
    );
  });

  it("U11 says over HTTP what is wrong with a schedule", async () => {
    const { call, client } = await open();
    const refused = async (body: unknown) => {
      const reply = await call("POST", "/v1/schedules", body);
      return [reply.status, (reply.body as { error: { message: string } }).error.message] as const;
    };
    expect(await refused({ name: "x" })).toEqual([400, expect.stringContaining("exactly one of at")]);
    expect(await refused({ name: "x", cron: "* * * * *", every_ms: 5_000 })).toEqual([
      400,
      expect.stringContaining("exactly one of at"),
    ]);
    expect(await refused({ name: "x", every_ms: 999 })).toEqual([400, expect.stringContaining("every_ms")]);
    expect(await refused({ name: "a..b", every_ms: 5_000 })).toEqual([400, expect.stringContaining("dots")]);
    expect(await refused({ name: "next", every_ms: 5_000 })).toEqual([400, expect.stringContaining("route")]);
    expect(await refused({ name: "x", cron: "bad", time_zone: "UTC" })).toEqual([
      400,
      expect.stringContaining("has 1 fields"),
    ]);
    expect(await refused({ name: "x", cron: "* * * * *", time_zone: "Mars/Base" })).toEqual([
      400,
      "there is no time zone Mars/Base",
    ]);
    await client.createSchedule({ name: "x", every_ms: 5_000 });
    expect((await refused({ name: "x", every_ms: 5_000 }))[0]).toBe(409);
    expect((await call("GET", "/v1/schedules/none")).status).toBe(404);
    expect((await call("PATCH", "/v1/schedules/none", { paused: true })).status).toBe(404);
  });
});

describe("objectives of agent-runtime", () => {
  const objective = {
    workspace_id: "ws-1",
    context_id: "ctx-1",
    title: "Daily status",
    prompt: "Summarize key updates",
    trigger_type: "schedule",
    cron_expr: "0 */6 * * *",
  };

  it("R11 R48 are created and listed as they were, and their event can be claimed", async () => {
    const { call, clock, client } = await open();
    const created = await call("POST", "/api/v1/objectives", objective);
    expect(created.status).toBe(201);
    const due = Date.parse("2023-11-15T00:00:00Z");
    expect(created.body).toMatchObject({
      ...objective,
      id: expect.stringMatching(/^sch_/),
      event_key: "",
      timezone: "UTC",
      active: true,
      next_run_unix: due / 1_000,
      last_run_unix: null,
      run_count: 0,
      consecutive_failures: 0,
      auto_paused_reason: null,
      health_state: "healthy",
    });
    clock.advance(due - begin);
    const topic = await eventually(
      () => client.findEvents({ topic: "objectives" }),
      ({ events }) => events.length === 1,
    );
    const { id } = created.body as { id: string };
    expect(topic.events[0]).toMatchObject({
      type: "objective.due",
      body: "Summarize key updates",
      scope: "ws-1",
      payload: { kind: "objective", workspace_id: "ws-1", context_id: "ctx-1" },
      meta: { schedule: { id, title: "Daily status" } },
      external_id: `objective:${id}:${due / 1_000}`,
      status: "pending",
    });
    const event = {
      ...objective,
      trigger_type: "event",
      event_key: "markdown.updated",
      cron_expr: "",
      active: false,
    };
    await call("POST", "/api/v1/objectives", event);
    const list = async (query: string) => (await call("GET", `/api/v1/objectives?${query}`)).body;
    expect(await list("workspace_id=ws-1&active_only=true")).toMatchObject({
      count: 1,
      items: [{ id, run_count: 1, success_count: 1, last_run_unix: due / 1_000 }],
    });
    expect(await list("workspace_id=ws-1")).toMatchObject({ count: 1 });
    expect(await list("workspace_id=ws-1&active_only=false")).toMatchObject({
      count: 2,
      items: expect.arrayContaining([
        expect.objectContaining({
          trigger_type: "event",
          event_key: "markdown.updated",
          active: false,
          health_state: "paused",
        }),
      ]),
    });
    expect(await list("workspace_id=other&active_only=false")).toEqual({ items: [], count: 0 });
  });

  it("R12 are changed, paused, resumed and deleted, and run at once when their next time is set", async () => {
    const { call, clock, client } = await open();
    const { id } = (await call("POST", "/api/v1/objectives", objective)).body as { id: string };
    const post = async (path: string, body: object) =>
      (await call("POST", `/api/v1/objectives/${path}`, body)).body;
    expect(
      await post("update", { id, title: "Hourly", cron_expr: "0 * * * *", prompt: "Again" }),
    ).toMatchObject({
      title: "Hourly",
      cron_expr: "0 * * * *",
      prompt: "Again",
      next_run_unix: Date.parse("2023-11-14T23:00:00Z") / 1_000,
    });
    await post("update", { id, next_run_unix: begin / 1_000 - 5 });
    clock.advance(0);
    await eventually(
      () => client.findEvents({ topic: "objectives" }),
      ({ events }) => events.length === 1,
    );
    expect(await post("active", { id, active: false })).toMatchObject({ active: false, next_run_unix: null });
    expect(await post("active", { id, active: true })).toMatchObject({ active: true, run_count: 1 });
    expect(await post("update", { id, trigger_type: "event", event_key: "markdown.updated" })).toMatchObject({
      trigger_type: "event",
      event_key: "markdown.updated",
      cron_expr: "",
    });
    expect(await post("delete", { id })).toEqual({ id, deleted: true });
    expect((await client.listSchedules()).schedules).toEqual([]);
  });

  it("R11 R48 with a time alone are for that time, and errors have our shape", async () => {
    const { call } = await open();
    const once = { ...objective, cron_expr: "", next_run_unix: begin / 1_000 + 60 };
    expect((await call("POST", "/api/v1/objectives", once)).body).toMatchObject({
      trigger_type: "schedule",
      cron_expr: "",
      next_run_unix: begin / 1_000 + 60,
    });
    const refused = async (method: string, path: string, body?: unknown) => {
      const reply = await call(method, path, body);
      return { status: reply.status, ...(reply.body as { error: { code: string; message: string } }).error };
    };
    expect(await refused("POST", "/api/v1/objectives", { title: "x" })).toMatchObject({
      status: 400,
      code: "invalid_request",
      message: expect.stringContaining("workspace_id"),
    });
    expect(await refused("GET", "/api/v1/objectives")).toMatchObject({ status: 400 });
    expect(await refused("POST", "/api/v1/objectives/delete", { id: "sch_none" })).toMatchObject({
      status: 404,
      code: "not_found",
    });
    expect(await refused("DELETE", "/api/v1/objectives")).toMatchObject({ status: 405 });
  });
});

describe("health", () => {
  const asked = (service: TestService) =>
    eventually(
      () => service.client.getHealth(),
      ({ parts }) => parts.every((part) => part.name !== "connector:github" || part.state === "off"),
    );

  it("R53 U16 every part is there, well, and the agents with it", async () => {
    const { service, client } = await open();
    await client.registerAgent({ name: "deployer", version: "1", capabilities: [], commands: [] });
    const health = await asked(service);
    expect(health).toMatchObject({ state: "ok", enabled: true, interval_ms: 30_000, stale_ms: 120_000 });
    const states = Object.fromEntries(health.parts.map(({ name, state }) => [name, state]));
    expect(states).toEqual({
      "connector:github": "off",
      "connector:webhook": "off",
      bus: "ok",
      control: "ok",
      loop: "ok",
      scheduler: "ok",
      store: "ok",
      workflows: "ok",
      workspaces: "off",
    });
    expect(health.agents).toMatchObject([{ name: "deployer", kind: "agent", status: "online" }]);
  });

  it("R7 GET /api/v1/heartbeat answers as it did", async () => {
    const { service, call } = await open();
    await asked(service);
    const { status, body } = await call("GET", "/api/v1/heartbeat");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      overall: "healthy",
      generated_at_unix: begin / 1_000,
      components: expect.arrayContaining([
        {
          name: "scheduler",
          state: "healthy",
          base_state: "healthy",
          last_beat_at_unix: begin / 1_000,
          updated_at_unix: begin / 1_000,
        },
        expect.objectContaining({ name: "connector:github", state: "disabled" }),
      ]),
    });
    const off = await open({ env: { AGENT_RUNTIME_HEARTBEAT_ENABLED: "false" } });
    expect(await off.call("GET", "/api/v1/heartbeat")).toMatchObject({
      status: 503,
      body: { error: { code: "unavailable" } },
    });
  });

  it("R53 R54 a folder that is gone degrades its watcher with one event, and its return is told", async () => {
    const root = mkdtempSync(join(tmpdir(), "signalbox-ws-"));
    closing.push({ close: () => rmSync(root, { recursive: true, force: true }) });
    const dir = join(root, "notes");
    const { client, clock } = await open({ set: [`workspaces.dirs=${JSON.stringify([dir])}`] });
    const told = async () => {
      const page = await client.findEvents({ subject: "signalbox.health.*", oldest_first: true });
      // Turned by hand, the clock is faster than parts can answer: of others nothing is expected.
      return page.events.filter(({ payload }) => payload.part === "workspaces").map(({ type }) => type);
    };
    await eventually(told, (all) => all.length === 1);
    expect((await client.doctor()).findings).toContainEqual(
      expect.objectContaining({
        check: "part workspaces",
        ok: false,
        message: `degraded: there is no folder ${dir}`,
      }),
    );
    clock.advance(30_000);
    clock.advance(30_000);
    mkdirSync(dir);
    const recovered = async () => {
      clock.advance(30_000);
      return told();
    };
    expect(await eventually(recovered, (all) => all.length > 1)).toEqual([
      "signalbox.health.degraded",
      "signalbox.health.recovered",
    ]);
  });

  it("R6 readyz says 503 while the store can't be written, healthz goes on", async () => {
    const { service, call } = await open();
    expect((await call("GET", "/readyz")).status).toBe(200);
    const isFull = { state: "failed" as const, message: "the disk is full" };
    service.app.parts.health.add({ name: "store", needed: true, check: () => isFull });
    expect(await call("GET", "/readyz")).toMatchObject({
      status: 503,
      body: { error: { code: "unavailable", message: "store does not work: the disk is full" } },
    });
    expect((await call("GET", "/healthz")).status).toBe(200);
  });

  it("U11 the service notices a sleep by itself, and makes up for what was missed", async () => {
    const { client, clock } = await open();
    await client.createSchedule({ name: "nightly", cron: "0 3 * * *", time_zone: "UTC" });
    clock.set(Date.parse("2023-11-15T09:00:00Z"));
    const recorded = async () => {
      clock.advance(30_000);
      return (await client.findEvents({ subject: "schedules.nightly" })).events;
    };
    const [event] = await eventually(recorded, (events) => events.length > 0);
    expect(event?.meta).toMatchObject({
      schedule: { cause: "missed", due_ms: Date.parse("2023-11-15T03:00:00Z") },
    });
  });
});
