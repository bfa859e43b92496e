import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/eventually.ts";
import { openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import type { Command } from "../contract/agents.ts";
import { silentLog } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import { startDueTimer } from "../store/due.ts";
import { createEffectLedger, type EffectLedger, type Proposal } from "./ledger.ts";

let opened: SqliteOpened;
let ledger: EffectLedger;
let timer: Closeable;

beforeEach(async () => {
  opened = await openSqlite();
  const { store, clock, events } = opened;
  ledger = createEffectLedger({ store, clock, log: silentLog, events, expiresMs: 3_600_000 });
  timer = startDueTimer({ store, clock, log: silentLog, onDue: (now_ms) => ledger.sweep(now_ms) });
});

afterEach(async () => {
  await timer.close();
  await ledger.close();
  await opened.close();
});

const proposal = (given: Partial<Proposal> = {}): Proposal => ({
  target: "deployer",
  action: "sync",
  payload: { full: true },
  cause: { event_id: null, run_id: null, workflow: null, version: null, line: null, source: "cli" },
  idempotency_key: "key-1",
  correlation_id: null,
  depth: 0,
  ...given,
});

const never = new AbortController().signal;
const claim = (target = "deployer", waitMs = 0, signal = never) =>
  ledger.claim(target, { by: target, limit: 10, waitMs, leaseMs: 90_000 }, signal);

async function claimOne(target = "deployer"): Promise<Command> {
  const [command] = await claim(target);
  if (!command) throw new Error("there is nothing to claim");
  return command;
}

const stateOf = async (id: string) => (await ledger.get(id)).state;
const done = (lease: string) => ({ lease, status: "succeeded", result: { ok: 1 }, retry: false }) as const;
const broken = (lease: string, retry = false) =>
  ({ lease, status: "failed", error: "broken", retry }) as const;
const told = async () => (await opened.store.readLog(0, 100)).map(({ type }) => type);

describe("effect ledger", () => {
  it("U6 a command is one effect row, however often it is proposed", async () => {
    const first = await ledger.propose(proposal());
    expect(await ledger.propose(proposal())).toEqual(first);
    expect(first).toMatchObject({
      kind: "command",
      target: "deployer",
      action: "sync",
      payload: { full: true },
      state: "approved",
      attempts: 0,
      result: null,
      policy: { decision: "allow" },
    });
    expect(first.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(await claim()).toMatchObject([
      { effect_id: first.id, command: "sync", attempt: 1, source: "cli" },
    ]);
    expect(await claim()).toEqual([]);
  });

  it("S8 a command goes to the agent it names and to no other, in the order given", async () => {
    const ids: string[] = [];
    for (let n = 1; n <= 5; n++)
      ids.push((await ledger.propose(proposal({ idempotency_key: `key-${n}`, payload: { n } }))).id);
    await ledger.propose(proposal({ target: "other", idempotency_key: "key-x" }));
    expect((await claim()).map(({ effect_id }) => effect_id)).toEqual(ids);
    expect(await claim("other")).toHaveLength(1);
  });

  it("U9 a command for @deployer is for deployer", async () => {
    const { id } = await ledger.propose(proposal({ target: "@deployer" }));
    expect(await ledger.get(id)).toMatchObject({ target: "deployer", summary: "Send sync to deployer" });
    expect(await claim("@deployer")).toMatchObject([{ effect_id: id }]);
  });

  it("U6 the first result is recorded, with the event that tells it; a second one is a conflict", async () => {
    const { id } = await ledger.propose(proposal());
    const { lease } = await claimOne();
    const effect = await ledger.steps.finish(id, done(lease));
    expect(effect).toMatchObject({ state: "succeeded", result: { ok: 1 }, attempts: 1 });
    const [event] = await opened.store.readLog(0, 10);
    expect(event).toMatchObject({
      id: effect.result_event_id,
      type: "signalbox.effect.succeeded",
      source: "deployer",
      payload: { effect_id: id, target: "deployer", action: "sync", result: { ok: 1 } },
    });
    await expect(ledger.steps.finish(id, broken(lease))).rejects.toMatchObject({
      code: "conflict",
      details: { state: "succeeded", reported: "failed" },
    });
    expect(await stateOf(id)).toBe("succeeded");
  });

  it("U6 a lease that runs out gives the command back under its old id, and the late result is refused", async () => {
    const { id } = await ledger.propose(proposal());
    const first = await claimOne();
    opened.clock.advance(90_000);
    await eventually(
      () => stateOf(id),
      (state) => state === "approved",
    );
    await expect(ledger.steps.finish(id, done(first.lease))).rejects.toMatchObject({ code: "lease_lost" });
    const second = await claimOne();
    expect(second).toMatchObject({ effect_id: id, attempt: 2 });
    await expect(ledger.steps.finish(id, done(first.lease))).rejects.toMatchObject({ code: "lease_lost" });
    expect(await ledger.steps.finish(id, done(second.lease))).toMatchObject({ state: "succeeded" });
  });

  it("U6 a renewed lease holds, and only its holder renews it", async () => {
    const { id } = await ledger.propose(proposal());
    const { lease } = await claimOne();
    for (let beat = 0; beat < 5; beat++) {
      opened.clock.advance(60_000);
      await ledger.extend([id], "@deployer");
    }
    await ledger.extend([id], "somebody-else");
    expect(await ledger.steps.finish(id, done(lease))).toMatchObject({ state: "succeeded", attempts: 1 });
  });

  it("U6 a failure that another try may help comes again after a pause, five times at the most", async () => {
    const { id } = await ledger.propose(proposal());
    for (let attempt = 1; attempt <= 5; attempt++) {
      const command = await claimOne();
      expect(command).toMatchObject({ effect_id: id, attempt });
      const state = attempt < 5 ? "approved" : "failed";
      expect(await ledger.steps.finish(id, broken(command.lease, true))).toMatchObject({
        state,
        error: "broken",
      });
      expect(await claim()).toEqual([]);
      opened.clock.advance(300_000);
    }
    expect(await claim()).toEqual([]);
    expect(await told()).toEqual(["signalbox.effect.failed"]);
  });

  it("U6 who waits for a command is told when the pause before its next attempt is over", async () => {
    const { id } = await ledger.propose(proposal());
    await ledger.steps.finish(id, broken((await claimOne()).lease, true));
    const waiting = claim("deployer", 60_000);
    opened.clock.advance(1_000);
    expect(await waiting).toMatchObject([{ effect_id: id, attempt: 2 }]);
  });

  it("U6 an undeliverable command waits, expires and says so", async () => {
    const { id } = await ledger.propose(proposal({ target: "nobody", expires_in_ms: 60_000 }));
    opened.clock.advance(59_999);
    expect(await stateOf(id)).toBe("approved");
    opened.clock.advance(1);
    await eventually(
      () => stateOf(id),
      (state) => state === "expired",
    );
    expect(await told()).toEqual(["signalbox.effect.expired"]);
    expect(await ledger.get(id)).toMatchObject({ error: "nobody did not take it in time" });
    expect(await claim("nobody")).toEqual([]);
    expect(await ledger.steps.retry(id)).toMatchObject({ state: "approved" });
    expect(await claim("nobody")).toHaveLength(1);
  });

  it("U6 a command that may be done once only is never repeated unseen", async () => {
    const { store, clock } = opened;
    const commands = [{ name: "sync", idempotent: false }];
    await store.saveAgent({
      ...{ name: "deployer", kind: "agent", version: "1", capabilities: [] },
      ...{ commands, now_ms: clock.nowMs() },
    });
    const { id } = await ledger.propose(proposal());
    const { lease } = await claimOne();
    clock.advance(90_000);
    await eventually(
      () => stateOf(id),
      (state) => state === "unknown",
    );
    expect(await claim()).toEqual([]);
    await expect(ledger.steps.finish(id, done(lease))).rejects.toMatchObject({ code: "conflict" });
    expect(await told()).toEqual(["signalbox.effect.unknown"]);
    expect(await ledger.steps.skip(id)).toMatchObject({ state: "skipped" });
  });

  it("a claimer that waits gets a command as soon as there is one", async () => {
    const waiting = claim("deployer", 60_000);
    const { id } = await ledger.propose(proposal());
    expect(await waiting).toMatchObject([{ effect_id: id }]);
  });

  it("what a claimer that has gone took is at once there for the next", async () => {
    const gone = new AbortController();
    const { id } = await ledger.propose(proposal());
    const taking = claim("deployer", 60_000, gone.signal);
    gone.abort();
    expect(await taking).toEqual([]);
    expect(await claim()).toMatchObject([{ effect_id: id }]);
  });

  it("of two waiting claimers neither misses what comes while the other is served", async () => {
    const take = () =>
      ledger.claim("deployer", { by: "deployer", limit: 1, waitMs: 60_000, leaseMs: 90_000 }, never);
    await ledger.propose(proposal({ idempotency_key: "a" }));
    const both = Promise.all([take(), take()]);
    await ledger.propose(proposal({ idempotency_key: "b" }));
    expect((await both).map((commands) => commands.length)).toEqual([1, 1]);
  });

  it("what a workflow did not ask for and nobody has approved waits, and nobody gets it", async () => {
    const cause = { ...proposal().cause, source: "some-agent" };
    const { id } = await ledger.propose(proposal({ cause }));
    expect(await stateOf(id)).toBe("waiting");
    expect(await claim()).toEqual([]);
  });
});
