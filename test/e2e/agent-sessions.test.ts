/** What becomes of commands that were on their way when an agent's connection broke. */
import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { type CommandHandler, createAgent, type RunningAgent } from "../../service/agents/sdk.ts";
import type { Command } from "../../service/contract/agents.ts";
import type { JsonObject } from "../../service/contract/common.ts";
import type { Effect } from "../../service/contract/effects.ts";
import { manualClock } from "../harness/clock.ts";
import { type Gate, openGate } from "../harness/gate.ts";
import {
  eventually,
  startTestService,
  startTestServiceProcess,
  type TestService,
  type TestServiceProcess,
} from "../harness/service.ts";

type Service = Pick<TestService | TestServiceProcess, "home" | "client">;

const SESSION = "ses_first-process";
const OTHER = "ses_other-process";

/** Its clock stands still, so no lease ever runs out. */
async function startService(): Promise<TestService> {
  const service = await startTestService({ clock: manualClock() });
  onTestFinished(() => service.close());
  await service.client.registerAgent({ name: "deployer" });
  return service;
}

const connections = async (service: Service) =>
  (await service.client.getAgent({ agent: "deployer" })).connections;

const send = (service: Service, payload: JsonObject = {}) =>
  service.client.sendCommand({ agent: "deployer", command: "sync", payload, source: "cli" });
const effect = (service: Service, { id }: Pick<Effect, "id">) => service.client.getEffect({ effect_id: id });
const succeed = (service: Service, { effect_id, lease }: Command, result = "done") =>
  service.client.finishEffect({ effect_id, lease, status: "succeeded", result });

interface Reader {
  readonly got: Command[];
  /** Resolves when the service has ended the stream, or `stop` was called. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** Follows commands until it is stopped; one without a session is an older agent's. */
function read(
  service: Service,
  said: { session: string; in_hand?: string[]; capacity?: number } | null,
): Reader {
  const got: Command[] = [];
  const stop = new AbortController();
  const options = { signal: stop.signal, onReconnect: () => stop.abort() };
  const commands =
    said === null
      ? service.client.streamCommands({ agent: "deployer" }, options)
      : service.client.resumeCommands({ agent: "@deployer", ...said }, options);
  const ended = (async () => {
    for await (const command of commands) got.push(command);
  })();
  onTestFinished(() => stop.abort());
  return {
    got,
    ended,
    async stop() {
      const before = await connections(service);
      stop.abort();
      await ended;
      await eventually(
        () => connections(service),
        (now) => now < before,
      );
    },
  };
}

/** The first command of a session whose connection then breaks. */
async function takeAndLose(service: Service, session: string | null): Promise<Command> {
  const reader = read(service, session === null ? null : { session });
  await eventually(() => reader.got.length > 0);
  await reader.stop();
  const [command] = reader.got;
  if (!command) throw new Error("nothing was read");
  return command;
}

describe("a connection for commands that says what is in hand", () => {
  it("U6 what was sent to the session and did not arrive comes again at once, and late answers are refused", async () => {
    const service = await startService();
    const sent = await send(service);
    const lost = await takeAndLose(service, SESSION);
    const again = read(service, { session: SESSION });
    await eventually(() => again.got.length === 1);
    expect(again.got).toMatchObject([{ effect_id: sent.id, attempt: 2 }]);
    await expect(succeed(service, lost)).rejects.toMatchObject({ code: "lease_lost" });
    expect(await succeed(service, again.got[0]!)).toMatchObject({ state: "succeeded", attempts: 2 });
    await expect(succeed(service, lost)).rejects.toMatchObject({ code: "conflict" });
  });

  it("U6 what did not arrive comes again before what was asked for later", async () => {
    const service = await startService();
    for (let n = 1; n <= 3; n++) await send(service, { n });
    await takeAndLose(service, SESSION);
    await send(service, { n: 4 });
    const again = read(service, { session: SESSION });
    await eventually(() => again.got.length === 4);
    expect(again.got.map(({ payload }) => payload.n)).toEqual([1, 2, 3, 4]);
  });

  it("U6 a command that may be done only once comes again too, since it never arrived", async () => {
    const service = await startService();
    await service.client.registerAgent({ name: "deployer", commands: [{ name: "sync", idempotent: false }] });
    const sent = await send(service);
    await takeAndLose(service, SESSION);
    const again = read(service, { session: SESSION });
    await eventually(() => again.got.length === 1);
    expect(again.got).toMatchObject([{ effect_id: sent.id }]);
  });

  it("U6 S8 what is in hand stays its own, and counts as unanswered", async () => {
    const service = await startService();
    const sent = await send(service);
    const held = await takeAndLose(service, SESSION);
    const [next, last] = [await send(service), await send(service)];
    const in_hand = [sent.id, "eff_unknown"];
    const again = read(service, { session: SESSION, in_hand, capacity: 2 });
    await eventually(() => again.got.length > 0);
    expect(await effect(service, sent)).toMatchObject({ state: "running", attempts: 1 });
    expect(await effect(service, last)).toMatchObject({ state: "approved", attempts: 0 });
    expect(await succeed(service, held)).toMatchObject({ state: "succeeded", attempts: 1 });
    await eventually(() => again.got.length > 1);
    expect(again.got).toMatchObject([{ effect_id: next.id }, { effect_id: last.id }]);
  });

  it("U6 what another process of the agent has is left to it, whether it is connected or not", async () => {
    const service = await startService();
    const [first, second] = [await send(service), await send(service)];
    const mine = read(service, { session: SESSION, capacity: 1 });
    await eventually(() => mine.got.length === 1);
    const away = await takeAndLose(service, OTHER);
    expect(away).toMatchObject({ effect_id: second.id });
    const third = read(service, { session: "ses_third-process" });
    const fresh = await send(service);
    await eventually(() => third.got.length === 1);
    expect(third.got).toMatchObject([{ effect_id: fresh.id, attempt: 1 }]);
    for (const [command, { id }] of [
      [mine.got[0]!, first],
      [away, second],
    ] as const)
      expect(await succeed(service, command)).toMatchObject({ id, state: "succeeded", attempts: 1 });
  });

  it("U6 after a restart the process that comes back first gets nothing of the others", async () => {
    const service = await startService();
    await send(service);
    const slow = await takeAndLose(service, OTHER);
    await service.restart();
    const quick = read(service, { session: SESSION });
    const fresh = await send(service);
    await eventually(() => quick.got.length === 1);
    expect(quick.got).toMatchObject([{ effect_id: fresh.id }]);
    const back = read(service, { session: OTHER, in_hand: [slow.effect_id] });
    expect(await succeed(service, slow)).toMatchObject({ state: "succeeded", attempts: 1 });
    expect(back.got).toEqual([]);
  });

  it("U6 what was taken without a session waits for its lease, as ever", async () => {
    const service = await startService();
    await send(service);
    const old = await takeAndLose(service, null);
    await send(service);
    const { commands } = await service.client.claimCommands({ agent: "deployer" });
    const reader = read(service, { session: SESSION });
    const fresh = await send(service);
    await eventually(() => reader.got.length === 1);
    expect(reader.got).toMatchObject([{ effect_id: fresh.id }]);
    const older = read(service, null);
    const last = await send(service);
    await eventually(() => [...reader.got, ...older.got].some(({ effect_id }) => effect_id === last.id));
    for (const command of [old, ...commands])
      expect(await succeed(service, command)).toMatchObject({ state: "succeeded", attempts: 1 });
  });

  it("U6 a second connection of a session takes the place of the first", async () => {
    const service = await startService();
    const first = read(service, { session: SESSION });
    const sent = await send(service);
    await eventually(() => first.got.length === 1);
    const second = read(service, { session: SESSION, in_hand: [sent.id] });
    await first.ended;
    const fresh = await send(service);
    await eventually(() => second.got.length === 1);
    expect(second.got).toMatchObject([{ effect_id: fresh.id }]);
    expect(first.got).toHaveLength(1);
  });
});

/** An agent whose only way to the service is the gate. */
async function startBehindGate(service: Service & { paths: TestService["paths"] }, sync: CommandHandler) {
  const gate = await openGate(service.home, () => readFileSync(service.paths.addressFile, "utf8").trim());
  onTestFinished(() => gate.close());
  const agent = await createAgent({
    ...{ name: "deployer", home: service.home, env: {}, start: false, socket: gate.socket },
    commands: { sync },
  });
  onTestFinished(() => agent.close());
  await eventually(
    () => connections(service),
    (count) => count === 1,
  );
  return { agent, gate } satisfies { agent: RunningAgent; gate: Gate };
}

describe("an agent made with the SDK", () => {
  it("U6 is sent what was lost on a broken connection as soon as it is back, and nothing twice", async () => {
    const service = await startService();
    const done: [string, number][] = [];
    let finish = () => {};
    const { gate } = await startBehindGate(service, async ({ slow }, { effectId, attempt }) => {
      done.push([effectId, attempt]);
      if (slow)
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
    });
    const slow = await send(service, { slow: true });
    await eventually(() => done.length === 1);
    gate.holdBack();
    const lost = await send(service);
    await eventually(
      () => effect(service, lost),
      ({ state }) => state === "running",
    );
    gate.cut();
    const ended = await eventually(
      () => effect(service, lost),
      ({ state }) => state === "succeeded",
    );
    expect(ended).toMatchObject({ attempts: 2 });
    finish();
    const held = await eventually(
      () => effect(service, slow),
      ({ state }) => state === "succeeded",
    );
    expect(held).toMatchObject({ attempts: 1 });
    expect(done).toEqual([
      [slow.id, 1],
      [lost.id, 2],
    ]);
  });

  it("U6 a command that a killed service had taken and not delivered comes again within seconds", async () => {
    const service = await startTestServiceProcess();
    onTestFinished(() => service.close());
    const done: [string, number][] = [];
    const { gate } = await startBehindGate(service, (_payload, { effectId, attempt }) =>
      done.push([effectId, attempt]),
    );
    gate.holdBack();
    const lost = await send(service);
    await eventually(
      () => effect(service, lost),
      ({ state }) => state === "running",
    );
    await service.kill9();
    await service.start();
    // Far below the lease of 90 s.
    const ended = await eventually(
      () => effect(service, lost),
      ({ state }) => state === "succeeded",
      30_000,
    );
    expect(ended).toMatchObject({ attempts: 2 });
    expect(done).toEqual([[lost.id, 2]]);
  });
});
