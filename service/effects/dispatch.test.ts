import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { connectorContext } from "../../test/harness/connector-context.ts";
import { eventually } from "../../test/harness/eventually.ts";
import { openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import type { CommandContext, ConnectorCommand } from "../connectors/connector.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { silentLog } from "../lib/log.ts";
import { Scope } from "../lib/scope.ts";
import { startDueTimer } from "../store/due.ts";
import { startDispatcher } from "./dispatch.ts";
import { createEffectLedger, type EffectLedger } from "./ledger.ts";

type Run = (payload: { number: number }, context: CommandContext<unknown>) => Promise<Json>;

let opened: SqliteOpened;
let ledger: EffectLedger;
let scope: Scope;
let run: Run;

beforeEach(async () => {
  opened = await openSqlite();
  scope = new Scope();
  scope.use(opened);
  const { store, clock, events } = opened;
  ledger = scope.use(createEffectLedger({ store, clock, log: silentLog, events, expiresMs: 86_400_000 }));
  scope.use(startDueTimer({ store, clock, log: silentLog, onDue: (now_ms) => ledger.sweep(now_ms) }));
});

afterEach(() => scope.close());

const command = (idempotent: boolean): ConnectorCommand<unknown> =>
  ({
    title: "Touch an issue",
    params: z.strictObject({ number: z.int() }),
    idempotent,
    summary: (payload: JsonObject) => `Touch #${payload.number}`,
    run: (payload: { number: number }, context: CommandContext<unknown>) => run(payload, context),
  }) as ConnectorCommand<unknown>;

const executor = (agent: string) => ({
  agent,
  commands: { touch: command(true), once: command(false) },
  context: connectorContext({} as unknown),
});

function dispatch(drainMs = 5_000) {
  const { clock } = opened;
  const executors = [executor("github"), executor("other")];
  return scope.use(startDispatcher({ ledger, executors, log: silentLog, drainMs, clock }));
}

let keys = 0;
async function send(
  action = "touch",
  payload: JsonObject = { number: 42 },
  target = "github",
): Promise<string> {
  const cause = { event_id: null, run_id: null, workflow: null, version: null, line: null, source: "cli" };
  const effect = await ledger.propose({
    ...{ target, action, payload, cause, idempotency_key: `key-${++keys}` },
    ...{ correlation_id: null, depth: 0 },
  });
  return effect.id;
}

const inState = (id: string, state: string) =>
  eventually(
    () => ledger.get(id),
    (effect) => effect.state === state,
  );

describe("commands of connectors", () => {
  it("U6 are carried out with the effect's id as idempotency key, and the result is recorded", async () => {
    const seen: unknown[] = [];
    run = async (payload, { idempotencyKey, attempt }) => {
      seen.push({ payload, idempotencyKey, attempt });
      return { touched: true };
    };
    dispatch();
    const id = await send();
    expect(await inState(id, "succeeded")).toMatchObject({ result: { touched: true }, summary: "Touch #42" });
    expect(seen).toEqual([{ payload: { number: 42 }, idempotencyKey: id, attempt: 1 }]);
  });

  it("U6 S40 with a missing field or an unknown name fail before anything is called", async () => {
    let calls = 0;
    run = async () => ++calls;
    dispatch();
    expect(await inState(await send("touch", {}), "failed")).toMatchObject({
      error: expect.stringContaining("number"),
    });
    expect(await inState(await send("paint"), "failed")).toMatchObject({
      error: "github has no command paint; it has touch, once",
    });
    expect(calls).toBe(0);
  });

  it("U6 that meet a limit are tried again after the pause that was asked for", async () => {
    run = async (_payload, { attempt }) => {
      if (attempt === 1) throw new SignalboxError("rate_limited", "slow down", { retryAfterS: 60 });
      return "done";
    };
    dispatch();
    const id = await send();
    const paused = await inState(id, "approved").then(() =>
      eventually(
        () => ledger.get(id),
        (effect) => effect.not_before_ms !== null,
      ),
    );
    expect(paused.not_before_ms).toBe(opened.clock.nowMs() + 60_000);
    opened.clock.advance(60_000);
    expect(await inState(id, "succeeded")).toMatchObject({ attempts: 2, result: "done" });
  });

  it("U6 whose end nobody saw are unknown, never repeated unseen", async () => {
    let calls = 0;
    run = async () => {
      calls += 1;
      throw calls === 1
        ? new SignalboxError("remote_failed", "the line broke", { details: { outcome: "unknown" } })
        : new TypeError("a bug after the call went out");
    };
    dispatch();
    expect(await inState(await send("touch"), "unknown")).toMatchObject({ error: "the line broke" });
    expect(await inState(await send("once"), "unknown")).toMatchObject({ attempts: 1 });
    expect(calls).toBe(2);
  });

  it("U6 that take long keep their lease", async () => {
    let finish = (_value: Json) => {};
    let calls = 0;
    run = () =>
      new Promise((resolve) => {
        calls += 1;
        finish = resolve;
      });
    dispatch();
    const id = await send();
    await eventually(() => calls === 1);
    for (let minute = 0; minute < 10; minute++) {
      opened.clock.advance(60_000);
      // The renewal is written before the next minute passes.
      await ledger.extend([], "nobody");
    }
    finish("done");
    expect(await inState(id, "succeeded")).toMatchObject({ attempts: 1 });
    expect(calls).toBe(1);
  });

  it("U6 of a slow connector do not hold up those of another", async () => {
    const waiting: ((value: Json) => void)[] = [];
    run = ({ number }) =>
      number === 7 ? Promise.resolve("quick") : new Promise((done) => waiting.push(done));
    dispatch();
    const slow: string[] = [];
    for (let index = 0; index < 12; index++) slow.push(await send());
    await eventually(() => waiting.length === 8);
    const quick = await send("touch", { number: 7 }, "other");
    await inState(quick, "succeeded");
    expect(waiting).toHaveLength(8);
    for (const done of waiting.splice(0)) done("done");
    await eventually(() => waiting.length === 4);
    for (const done of waiting) done("done");
    for (const id of slow) await inState(id, "succeeded");
  });

  it("S4 under way are finished before a stop, and new ones wait for the next start", async () => {
    let finish = (_value: Json) => {};
    run = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const dispatcher = dispatch(60_000);
    const id = await send();
    await inState(id, "running");
    const closing = dispatcher.close();
    const later = await send();
    finish("done");
    await closing;
    expect(await ledger.get(id)).toMatchObject({ state: "succeeded" });
    expect(await ledger.get(later)).toMatchObject({ state: "approved", attempts: 0 });
  });

  it("S4 that do not end hold a stop up no longer than they may, even when all places are taken", async () => {
    let started = 0;
    run = () => {
      started += 1;
      return new Promise(() => {});
    };
    const dispatcher = dispatch(20);
    for (let index = 0; index < 9; index++) await send();
    await eventually(() => started === 8);
    await dispatcher.close();
  });
});
