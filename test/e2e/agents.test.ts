/** Agents made with the SDK against the real service. */
import { describe, expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import {
  type AgentOptions,
  type CommandContext,
  command,
  createAgent,
  type ErrorPlace,
  type JsonObject,
  type RunningAgent,
  TryAgain,
} from "../../service/agents/sdk.ts";
import { openAgent } from "../../service/agents/sdk-agent.ts";
import { type Command, registerAgent } from "../../service/contract/agents.ts";
import type { Effect } from "../../service/contract/effects.ts";
import { manualClock } from "../harness/clock.ts";
import { http } from "../harness/http.ts";
import {
  eventually,
  startTestService,
  startTestServiceProcess,
  type TestService,
  type TestServiceOptions,
  type TestServiceProcess,
} from "../harness/service.ts";

type Service = Pick<TestService | TestServiceProcess, "home" | "client">;

async function startService(
  options: TestServiceOptions & { clock?: ReturnType<typeof manualClock> } = {},
): Promise<TestService> {
  const service = await startTestService(options);
  onTestFinished(() => service.close());
  return service;
}

/** An agent that is closed before the service is. */
async function startAgent(service: Service, options: Partial<AgentOptions> = {}): Promise<RunningAgent> {
  const agent = await createAgent({
    name: "deployer",
    home: service.home,
    env: {},
    start: false,
    ...options,
  });
  onTestFinished(() => agent.close());
  return agent;
}

const send = (service: Service, payload: JsonObject = {}, name = "deployer", action = "sync") =>
  service.client.sendCommand({ agent: name, command: action, payload, source: "cli" });

const ended = (service: Service, { id }: Pick<Effect, "id">) =>
  eventually(
    () => service.client.getEffect({ effect_id: id }),
    ({ state }) => !["approved", "running"].includes(state),
  );

const eventsOf = async (service: Service, type: string) =>
  (await service.client.findEvents({ type, oldest_first: true })).events;

describe("an agent made with the SDK", () => {
  it("S5 S16 S19 registers by itself and is listed with what it can do and has done", async () => {
    const service = await startService();
    const params = z.object({ version: z.string() });
    const agent = await startAgent(service, {
      version: "1.2.3",
      capabilities: ["deploy"],
      commands: {
        sync: () => null,
        deploy: command({
          title: "Deploy a version",
          params,
          idempotent: false,
          handler: ({ version }) => version,
        }),
        report: { params: { type: "object", required: ["to"] }, handler: ({ to }) => to },
      },
    });
    expect(agent.name).toBe("deployer");
    const listed = await eventually(
      async () => (await service.client.listAgents()).agents,
      ([one]) => one?.connections === 1,
    );
    expect(listed).toMatchObject([
      {
        ...{ name: "deployer", kind: "agent", status: "online", version: "1.2.3", capabilities: ["deploy"] },
        ...{ events_processed: 0, errors: 0, open_commands: 0 },
        commands: [
          { name: "sync" },
          {
            ...{ name: "deploy", title: "Deploy a version", idempotent: false },
            params: { type: "object", properties: { version: { type: "string" } }, required: ["version"] },
          },
          { name: "report", params: { type: "object", required: ["to"] } },
        ],
      },
    ]);
    expect(await eventsOf(service, "signalbox.agent.online")).toMatchObject([
      { payload: { name: "deployer" } },
    ]);
  });

  it("S5 stays known over a restart of the service that it was not there for", async () => {
    const service = await startService();
    const agent = await startAgent(service, { version: "1.2.3", commands: { sync: () => null } });
    await agent.close();
    await service.restart();
    expect(await service.client.getAgent({ agent: "@deployer" })).toMatchObject({
      ...{ name: "deployer", status: "offline", version: "1.2.3", commands: [{ name: "sync" }] },
    });
  });

  it("S16 S20 is seen by older clients in the shape they know", async () => {
    const service = await startService();
    const agent = await startAgent(service, { capabilities: ["deploy"], commands: { sync: () => null } });
    agent.recordEvent();
    agent.recordEvent();
    agent.recordError();
    await agent.close();
    const [one] = (await http(service.paths, "GET", "/api/v1/agents")).body as JsonObject[];
    expect(Object.keys(one ?? {})).toEqual([
      ...["name", "version", "status", "capabilities", "commands", "registered_at", "last_heartbeat"],
      ...["events_processed", "errors"],
    ]);
    expect(one).toMatchObject({
      ...{ name: "deployer", capabilities: ["deploy"], commands: ["sync"], events_processed: 2, errors: 1 },
    });
  });

  it("S19 that can't be made is an error its maker gets, with a code", async () => {
    const service = await startService();
    const made = (options: Partial<AgentOptions>) =>
      createAgent({ name: "deployer", home: service.home, env: {}, start: false, ...options });
    const nobody = made({ home: `${service.home}/nothing-here` });
    await expect(nobody).rejects.toMatchObject({ name: "SignalboxError", code: "service_unreachable" });
    const invalid = { code: "invalid_request" };
    await expect(made({ name: "two words" })).rejects.toMatchObject(invalid);
    await expect(made({ concurrency: 0 })).rejects.toMatchObject(invalid);
    await expect(made({ commands: { sync: {} as never } })).rejects.toMatchObject(invalid);
    const dates = command({ params: z.object({ at: z.date() }), handler: () => null });
    await expect(made({ commands: { dates } })).rejects.toMatchObject(invalid);
    expect((await service.client.listAgents()).agents).toEqual([]);
  });

  it("S6 S20 beats at once and then every 30 s, with its counters", async () => {
    const [clock, agentClock] = [manualClock(), manualClock()];
    const service = await startService({ clock });
    const agent = await openAgent(
      { name: "deployer", home: service.home, env: {}, start: false },
      agentClock,
    );
    onTestFinished(() => {
      agentClock.advance(0);
      return agent.close();
    });
    const seen = () => service.client.getAgent({ agent: "deployer" });
    const registered = await seen();
    await eventually(() => agentClock.pending > 0);
    for (let beat = 1; beat <= 3; beat++) {
      agent.recordEvent();
      agentClock.advance(29_999);
      clock.advance(30_000);
      agentClock.advance(1);
      const { last_beat_ms, events_processed, status } = await eventually(
        seen,
        (one) => one.events_processed === beat,
      );
      expect(last_beat_ms).toBe((registered.registered_ms ?? 0) + beat * 30_000);
      expect({ events_processed, status }).toEqual({ events_processed: beat, status: "online" });
      await eventually(() => agentClock.pending > 0);
    }
  });

  it("U16 that falls silent is offline after 120 s, and online when it speaks again, each with an event", async () => {
    const [clock, agentClock] = [manualClock(), manualClock()];
    const service = await startService({ clock });
    const agent = await openAgent(
      { name: "deployer", home: service.home, env: {}, start: false },
      agentClock,
    );
    onTestFinished(() => agent.close());
    const status = async () => (await service.client.getAgent({ agent: "deployer" })).status;
    await eventually(() => agentClock.pending > 0);
    clock.advance(120_000);
    await eventually(status, (one) => one === "offline");
    agentClock.advance(30_000);
    await eventually(status, (one) => one === "online");
    const { events } = await service.client.findEvents({ subject: "signalbox.agent.*", oldest_first: true });
    expect(events.map(({ type, payload }) => [type, payload.name])).toEqual([
      ["signalbox.agent.online", "deployer"],
      ["signalbox.agent.offline", "deployer"],
      ["signalbox.agent.online", "deployer"],
    ]);
  });

  it("S20 says that it stops, and its counters go on in its next process", async () => {
    const service = await startService();
    const first = await startAgent(service);
    first.recordEvent();
    first.recordError();
    await Promise.all([first.close(), first.close()]);
    const after = await service.client.getAgent({ agent: "deployer" });
    expect(after).toMatchObject({ status: "offline", connections: 0, events_processed: 1, errors: 1 });
    const second = await startAgent(service);
    second.recordEvent();
    await second.close();
    const again = await service.client.getAgent({ agent: "deployer" });
    expect(again).toMatchObject({ events_processed: 2, errors: 1 });
  });
});

describe("a command", () => {
  it("S8 reaches exactly the agent it names, and its result is recorded", async () => {
    const service = await startService();
    const contexts: CommandContext[] = [];
    await startAgent(service, {
      commands: {
        sync: (payload, context) => {
          contexts.push(context);
          return { did: payload };
        },
      },
    });
    let others = 0;
    await startAgent(service, { name: "other", commands: { sync: () => ++others } });
    const sent = await send(service, { full: true }, "@deployer");
    const effect = await ended(service, sent);
    expect(effect).toMatchObject({ state: "succeeded", result: { did: { full: true } }, attempts: 1 });
    expect(contexts).toMatchObject([{ command: "sync", effectId: sent.id, attempt: 1, source: "cli" }]);
    expect(others).toBe(0);
    expect(await eventsOf(service, "signalbox.effect.succeeded")).toMatchObject([
      { id: effect.result_event_id, source: "deployer", payload: { effect_id: sent.id, action: "sync" } },
    ]);
  });

  it("S8 S24 of a workflow comes in the order in which the handler gave it", async () => {
    const workflow = `
      sekia.on("work.started", function(event)
        for step = 1, 20 do sekia.command("deployer", "sync", { step = step }) end
      end)`;
    const service = await startService({ workflows: { "steps.lua": workflow } });
    const steps: unknown[] = [];
    await startAgent(service, { concurrency: 1, commands: { sync: ({ step }) => steps.push(step) } });
    await service.client.pushEvent({ type: "work.started" });
    await eventually(() => steps.length === 20);
    expect(steps).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  it("U6 is one effect row from the workflow's line to the agent's answer", async () => {
    const workflow = `sekia.on("work.started", function(event)
      sekia.command("deployer", "sync", { full = true })
    end)`;
    const service = await startService({ workflows: { "starter.lua": workflow } });
    await startAgent(service, { commands: { sync: () => "done" } });
    const { event_id } = await service.client.pushEvent({ type: "work.started" });
    const { effects } = await eventually(
      () => service.client.listEffects({ event_id }),
      (page) => page.effects[0]?.state === "succeeded",
    );
    expect(effects).toMatchObject([
      {
        ...{ kind: "command", target: "deployer", action: "sync", payload: { full: true }, result: "done" },
        cause: { event_id, workflow: "starter", line: "starter.lua:2", source: "workflow:starter" },
      },
    ]);
  });

  it("U6 whose handler fails has failed for good, or is tried again when the handler says so", async () => {
    const service = await startService();
    const errors: [string, ErrorPlace][] = [];
    const attempts: number[] = [];
    const agent = await startAgent(service, {
      commands: {
        sync: () => {
          throw new Error("no such host\0");
        },
        later: (_payload, { attempt }) => {
          attempts.push(attempt);
          if (attempt === 1) throw new TryAgain("the host is busy");
          return "done";
        },
        broken: () => ({ big: 10n }),
      },
      onError: (error, place) => errors.push([(error as Error).message, place]),
    });
    const final = await send(service);
    expect(await ended(service, final)).toMatchObject({
      state: "failed",
      error: "no such host",
      attempts: 1,
    });
    expect(errors).toEqual([["no such host\0", { doing: "command", effectId: final.id, command: "sync" }]]);
    const later = await send(service, {}, "deployer", "later");
    expect(await ended(service, later)).toMatchObject({ state: "succeeded", result: "done", attempts: 2 });
    expect(attempts).toEqual([1, 2]);
    const broken = await ended(service, await send(service, {}, "deployer", "broken"));
    expect(broken).toMatchObject({ state: "failed", error: expect.stringContaining("JSON can't hold") });
    const unknown = await ended(service, await send(service, {}, "deployer", "toString"));
    expect(unknown).toMatchObject({
      error: "this agent has no command toString; it has sync, later, broken",
    });
    await agent.close();
    expect(await service.client.getAgent({ agent: "deployer" })).toMatchObject({
      events_processed: 5,
      errors: 4,
    });
  });

  it("U6 that a person tries again is done again, although it has failed before", async () => {
    const service = await startService();
    let isBroken = true;
    await startAgent(service, {
      commands: {
        sync: () => {
          if (isBroken) throw new Error("broken");
          return "repaired";
        },
      },
    });
    const { id } = await ended(service, await send(service));
    isBroken = false;
    await service.client.retryEffect({ effect_id: id });
    expect(await ended(service, { id })).toMatchObject({ state: "succeeded", result: "repaired" });
  });

  it("is checked by its schema before the handler sees it", async () => {
    const service = await startService();
    const params = z.object({ host: z.string(), tries: z.int().default(3) });
    await startAgent(service, {
      commands: { sync: command({ params, handler: ({ host, tries }) => `${host.toUpperCase()} ${tries}` }) },
    });
    const good = await ended(service, await send(service, { host: "a" }));
    expect(good).toMatchObject({ state: "succeeded", result: "A 3" });
    const bad = await ended(service, await send(service, { host: 1 }));
    expect(bad).toMatchObject({ state: "failed", error: expect.stringMatching(/^sync: host: /) });
  });

  it("whose result is too large has failed, and says why", async () => {
    const service = await startService();
    await startAgent(service, { commands: { sync: () => "x".repeat(2_000_000) } });
    expect(await ended(service, await send(service))).toMatchObject({
      state: "failed",
      error: expect.stringContaining("its outcome can't be recorded"),
    });
  });

  it("U6 waits for an agent that is away", async () => {
    const service = await startService();
    const sent = await send(service);
    expect(sent).toMatchObject({ state: "approved" });
    await startAgent(service, { commands: { sync: () => "at last" } });
    expect(await ended(service, sent)).toMatchObject({ state: "succeeded", result: "at last" });
  });

  it("U6 that nobody takes expires, and an event says so", async () => {
    const clock = manualClock();
    const service = await startService({ clock });
    const sent = await service.client.sendCommand({
      ...{ agent: "nobody", command: "sync", source: "cli", expires_in_ms: 60_000 },
    });
    clock.advance(60_000);
    const effect = await ended(service, sent);
    expect(effect).toMatchObject({ state: "expired", error: "nobody did not take it in time" });
    expect(await eventsOf(service, "signalbox.effect.expired")).toMatchObject([
      { id: effect.result_event_id, payload: { effect_id: sent.id, target: "nobody", state: "expired" } },
    ]);
  });

  it("U6 of an agent that vanished half-way goes to its next process under the same id", async () => {
    const clock = manualClock();
    const service = await startService({ clock });
    const vanishing = new AbortController();
    const sent = await send(service, { n: 1 });
    for await (const taken of service.client.streamCommands(
      { agent: "deployer" },
      { signal: vanishing.signal },
    )) {
      expect(taken).toMatchObject({ effect_id: sent.id, attempt: 1 });
      break;
    }
    vanishing.abort();
    clock.advance(90_000);
    const seen: unknown[] = [];
    await startAgent(service, {
      commands: { sync: (_payload, { effectId, attempt }) => seen.push([effectId, attempt]) },
    });
    expect(await ended(service, sent)).toMatchObject({ state: "succeeded", attempts: 2 });
    expect(seen).toEqual([[sent.id, 2]]);
  });

  it("U6 that comes again while it is still being done is not begun twice, and its result counts", async () => {
    const clock = manualClock();
    const service = await startService({ clock });
    let finish = (_value: string) => {};
    let calls = 0;
    await startAgent(service, {
      commands: {
        sync: () => {
          calls += 1;
          return new Promise((resolve) => {
            finish = resolve;
          });
        },
      },
    });
    const sent = await send(service);
    await eventually(() => calls === 1);
    clock.advance(90_000);
    await eventually(
      () => service.client.getEffect({ effect_id: sent.id }),
      ({ state, attempts }) => state === "running" && attempts === 2,
    );
    finish("once");
    expect(await ended(service, sent)).toMatchObject({ state: "succeeded", result: "once", attempts: 2 });
    expect(calls).toBe(1);
  });

  it("U6 has one result: a second one is a conflict", async () => {
    const service = await startService();
    await startAgent(service, { commands: { sync: () => "first" } });
    const { id } = await ended(service, await send(service));
    const second = service.client.finishEffect({ effect_id: id, status: "failed", error: "second" });
    await expect(second).rejects.toMatchObject({ code: "conflict" });
    expect(await service.client.getEffect({ effect_id: id })).toMatchObject({ result: "first" });
  });

  it("does not begin while as many handlers run as may", async () => {
    const service = await startService();
    const running: (() => void)[] = [];
    let most = 0;
    await startAgent(service, {
      concurrency: 2,
      commands: {
        sync: () =>
          new Promise<void>((resolve) => {
            running.push(resolve);
            most = Math.max(most, running.length);
          }),
      },
    });
    const sent = [];
    for (let n = 0; n < 5; n++) sent.push(await send(service, { n }));
    await eventually(() => running.length === 2);
    const { agents } = await service.client.listAgents();
    expect(agents).toMatchObject([{ open_commands: 5 }]);
    for (const one of sent) {
      await eventually(() => running.length > 0);
      running.shift()?.();
      expect(await ended(service, one)).toMatchObject({ state: "succeeded" });
    }
    expect(most).toBe(2);
  });

  it("may only be sent in one's own name, and once under one key", async () => {
    const service = await startService();
    const asWorkflow = service.client.sendCommand({
      agent: "deployer",
      command: "sync",
      source: "workflow:x",
    });
    await expect(asWorkflow).rejects.toMatchObject({ code: "forbidden" });
    const keyed = (n: number) =>
      service.client.sendCommand({
        ...{ agent: "deployer", command: "sync", source: "cli", payload: { n }, idempotency_key: "k" },
      });
    const { id } = await keyed(1);
    expect(await keyed(1)).toMatchObject({ id });
    await expect(keyed(2)).rejects.toMatchObject({
      code: "idempotency_conflict",
      details: { effect_id: id },
    });
  });
});

describe("what an agent says and hears", () => {
  it("S7 publishes as itself, and in the chain of the command it answers", async () => {
    const workflow = `sekia.on("work.started", function(event) sekia.command("deployer", "sync", {}) end)`;
    const service = await startService({ workflows: { "starter.lua": workflow } });
    const agent = await startAgent(service, {
      commands: { sync: async (_payload, { publish }) => (await publish({ type: "work.synced" })).event_id },
    });
    const own = await agent.publish({ type: "work.noticed", payload: { n: 1 } });
    const { event } = await service.client.getEvent({ event_id: own.event_id });
    expect(event).toMatchObject({ source: "deployer", origin_kind: "agent", depth: 0, payload: { n: 1 } });
    const { event_id } = await service.client.pushEvent({ type: "work.started" });
    const [synced] = await eventually(
      () => eventsOf(service, "work.synced"),
      (events) => events.length === 1,
    );
    expect(synced).toMatchObject({ source: "deployer", parent_id: event_id, depth: 1 });
  });

  it("S20 subscribes for itself, and misses nothing when the service starts again", async () => {
    const service = await startService();
    const agent = await startAgent(service);
    await service.client.pushEvent({ type: "work.before" });
    const seen: unknown[] = [];
    const subscription = await agent.subscribe({ subject: "work.*" }, ({ type }) => {
      seen.push(type);
      if (type === "work.one") throw new Error("a handler may fail");
    });
    await service.client.pushEvent({ type: "work.one" });
    await eventually(() => seen.length === 1);
    await service.restart();
    await service.client.pushEvent({ type: "work.two" });
    await service.client.pushEvent({ type: "other.three" });
    await eventually(() => seen.length === 2);
    await subscription.close();
    await service.client.pushEvent({ type: "work.four" });
    expect(seen).toEqual(["work.one", "work.two"]);
    await agent.close();
    expect(await service.client.getAgent({ agent: "deployer" })).toMatchObject({
      events_processed: 2,
      errors: 1,
    });
  });

  it("U9 pulls from a topic whose list names it with @, and answers", async () => {
    const service = await startService();
    await service.client.createTopic({ name: "work", prompt: "Be kind.", allow: ["@deployer"] });
    const agent = await startAgent(service);
    const { event_id } = await service.client.pushEvent({ topic: "work", body: "hello" });
    const [claimed] = await agent.pull("work", { wait_ms: 10_000 });
    expect(claimed).toMatchObject({ event: { id: event_id, body: "hello" }, prompt: "Be kind." });
    const answer = await agent.reply(claimed!, { body: "done" });
    expect(answer).toMatchObject({ event_id, status: "completed" });
    const { event } = await service.client.getEvent({ event_id: answer.reply_id });
    expect(event).toMatchObject({ source: "deployer", body: "done", parent_id: event_id });
  });
});

describe("when things end", () => {
  it("closing lets what is under way end, and takes nothing new", async () => {
    const service = await startService();
    let finish = () => {};
    const agent = await startAgent(service, {
      commands: {
        sync: () =>
          new Promise<string>((resolve) => {
            finish = () => resolve("done");
          }),
      },
    });
    const first = await send(service);
    await eventually(
      () => service.client.getEffect({ effect_id: first.id }),
      ({ state }) => state === "running",
    );
    await eventually(
      () => service.client.getAgent({ agent: "deployer" }),
      ({ connections }) => connections === 1,
    );
    const closing = agent.close();
    await eventually(
      () => service.client.getAgent({ agent: "deployer" }),
      ({ connections }) => connections === 0,
    );
    const second = await send(service);
    finish();
    await closing;
    expect(await service.client.getEffect({ effect_id: first.id })).toMatchObject({ result: "done" });
    expect(await service.client.getEffect({ effect_id: second.id })).toMatchObject({
      state: "approved",
      attempts: 0,
    });
  });

  it("closing waits no longer than it may: the handler hears it, and the command goes back", async () => {
    const service = await startService();
    const agent = await startAgent(service, {
      commands: {
        sync: (_payload, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          }),
      },
    });
    const sent = await send(service);
    await eventually(
      () => service.client.getEffect({ effect_id: sent.id }),
      ({ state }) => state === "running",
    );
    await agent.close({ drainMs: 10 });
    expect(await service.client.getEffect({ effect_id: sent.id })).toMatchObject({
      state: "approved",
      attempts: 1,
    });
    expect(await service.client.getAgent({ agent: "deployer" })).toMatchObject({ status: "offline" });
  });

  it("S19 S20 an agent finds a service that started again, registers anew, and its counters go on", async () => {
    const service = await startService();
    const places: ErrorPlace[] = [];
    const agent = await startAgent(service, {
      commands: { sync: () => "done" },
      onError: (_error, place) => places.push(place),
    });
    await ended(service, await send(service));
    const before = await service.client.getAgent({ agent: "deployer" });
    await service.restart();
    const sent = await send(service);
    expect(await ended(service, sent)).toMatchObject({ state: "succeeded" });
    const after = await eventually(
      () => service.client.getAgent({ agent: "deployer" }),
      ({ connections }) => connections === 1,
    );
    expect(after.registered_ms).toBeGreaterThan(before.registered_ms ?? 0);
    expect(places).toContainEqual({ doing: "connection" });
    await agent.close();
    expect(await service.client.getAgent({ agent: "deployer" })).toMatchObject({ events_processed: 2 });
  });

  it("U6 a service killed with commands in hand has each done once, and each result in the end", async () => {
    const service = await startTestServiceProcess();
    onTestFinished(() => service.close());
    const done = new Map<string, number>();
    const waiting: (() => void)[] = [];
    await startAgent(service, {
      concurrency: 8,
      commands: {
        sync: async (payload, { effectId }) => {
          done.set(effectId, (done.get(effectId) ?? 0) + 1);
          if (payload.slow) await new Promise<void>((resolve) => waiting.push(resolve));
          return { effectId };
        },
      },
    });
    const slow = [await send(service, { slow: true }), await send(service, { slow: true })];
    await eventually(() => waiting.length === 2);
    await service.kill9();
    waiting.shift()?.();
    await service.start();
    const later = await send(service);
    waiting.shift()?.();
    for (const effect of [...slow, later]) {
      expect(await ended(service, effect)).toMatchObject({
        state: "succeeded",
        result: { effectId: effect.id },
      });
    }
    expect([...done.values()]).toEqual([1, 1, 1]);
  });
});

describe("the routes of agents", () => {
  it("S8 a stream sends no more than its reader takes at once, and goes on when one is answered", async () => {
    const service = await startService();
    const reading = new AbortController();
    onTestFinished(() => reading.abort());
    for (let n = 1; n <= 4; n++) await send(service, { n });
    const got: Command[] = [];
    const read = async () => {
      const query = { agent: "@deployer", capacity: 2 };
      for await (const taken of service.client.streamCommands(query, { signal: reading.signal }))
        got.push(taken);
    };
    void read();
    const running = async () => (await service.client.listEffects({ state: "running" })).effects.length;
    await eventually(() => got.length === 2);
    expect(await running()).toBe(2);
    for (let n = 3; n <= 4; n++) {
      const { effect_id, lease } = got[n - 3]!;
      await service.client.finishEffect({ effect_id, lease, status: "succeeded" });
      await eventually(() => got.length === n);
      expect(await running()).toBe(2);
    }
    expect(got.map(({ payload }) => payload.n)).toEqual([1, 2, 3, 4]);
  });

  it("S8 nobody takes a connector's commands or speaks for it", async () => {
    const service = await startService();
    await service.app.parts.agents.register(registerAgent.parse({ name: "github-agent" }), "connector");
    await send(service, {}, "github-agent");
    const refused = { code: "conflict" };
    const { client } = service;
    await expect(client.claimCommands({ agent: "@github-agent" })).rejects.toMatchObject(refused);
    await expect(client.beat({ agent: "github-agent" })).rejects.toMatchObject(refused);
    await expect(client.goOffline({ agent: "github-agent" })).rejects.toMatchObject(refused);
    const stream = client.streamCommands({ agent: "github-agent" })[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject(refused);
    await expect(startAgent(service, { name: "github-agent" })).rejects.toMatchObject(refused);
  });

  it("U6 effects are listed newest first, page by page", async () => {
    const service = await startService();
    const sent: string[] = [];
    for (let n = 0; n < 5; n++) sent.push((await send(service, { n })).id);
    const pages: string[][] = [];
    for (let before: string | undefined; ; ) {
      const page = await service.client.listEffects({ limit: 2, target: "deployer", before });
      pages.push(page.effects.map(({ id }) => id));
      if (page.next === null) break;
      before = page.next;
    }
    const newest = sent.toReversed();
    expect(pages).toEqual([newest.slice(0, 2), newest.slice(2, 4), newest.slice(4)]);
  });

  it("U16 what is not there can't be shown, stopped or forgotten", async () => {
    const { client } = await startService();
    const missing = { code: "not_found" };
    await expect(client.getAgent({ agent: "nobody" })).rejects.toMatchObject(missing);
    await expect(client.goOffline({ agent: "nobody" })).rejects.toMatchObject(missing);
    await expect(client.removeAgent({ agent: "nobody" })).rejects.toMatchObject(missing);
    await expect(client.finishEffect({ effect_id: "eff_0", status: "failed" })).rejects.toMatchObject(
      missing,
    );
  });
});
