import { afterEach, describe, expect, it } from "vitest";
import { manualClock } from "../../test/harness/clock.ts";
import { eventually } from "../../test/harness/eventually.ts";
import { append, openSqlite } from "../../test/harness/store.ts";
import { openSqliteBus } from "../bus/sqlite/bus.ts";
import type { NewEvent } from "../contract/events.ts";
import { silentLog } from "../lib/log.ts";
import { busPart, progressPart, storePart } from "./checks.ts";
import { Health, type PartReport } from "./health.ts";
import { readTold } from "./told.ts";

const interval = 30_000;
const closing: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

function setUp(given: Partial<ConstructorParameters<typeof Health>[0]> = {}) {
  const clock = manualClock();
  const begin = clock.nowMs();
  const events: NewEvent[] = [];
  const health = new Health({
    clock,
    log: silentLog,
    enabled: true,
    intervalMs: interval,
    staleMs: 120_000,
    notify: true,
    publish: async (event) => events.push(event),
    monotonicMs: () => clock.nowMs() - begin,
    ...given,
  });
  closing.push(health);
  const told = () => events.map(({ type, payload }) => `${type?.split(".").at(-1)} ${payload?.part}`);
  /** One beat, and all that follows from it. */
  const beat = async (ms = interval) => {
    clock.advance(ms);
    await new Promise(setImmediate);
  };
  const part = (name: string) => health.list().find((one) => one.name === name)!;
  return { clock, health, events, told, beat, part };
}

describe("health", () => {
  it("R53 R54 U16 tells once that a part is unwell and once that it works again", async () => {
    const { health, told, beat, part, events, clock } = setUp();
    let report: PartReport = { state: "ok" };
    health.add({ name: "github", check: () => report });
    await health.start();
    expect([part("github").state, health.state(), told()]).toEqual(["ok", "ok", []]);
    report = { state: "degraded", message: "no answer" };
    for (let n = 0; n < 3; n++) await beat();
    expect(told()).toEqual(["degraded github"]);
    expect(events[0]).toMatchObject({ body: "github is degraded: no answer", origin_kind: "system" });
    expect([health.state(), part("github").message]).toEqual(["degraded", "no answer"]);
    expect(part("github").since_ms).toBe(clock.nowMs() - 2 * interval);
    report = { state: "ok" };
    for (let n = 0; n < 2; n++) await beat();
    expect(told()).toEqual(["degraded github", "recovered github"]);
    expect(events[1]?.payload).toMatchObject({ part: "github", down_ms: 3 * interval });
  });

  it("R53 a part that does not answer is degraded after 120 s, and is asked one question at a time", async () => {
    const { health, told, beat, part } = setUp();
    let asked = 0;
    const { promise, resolve } = Promise.withResolvers<PartReport>();
    health.add({
      name: "engine",
      check: () => {
        asked += 1;
        return asked === 1 ? promise : { state: "ok" };
      },
    });
    void health.start();
    for (let n = 0; n < 4; n++) await beat();
    expect([part("engine").state, told()]).toEqual(["ok", []]);
    await beat();
    expect([part("engine").state, part("engine").message]).toEqual(["degraded", "silent for 2 min 30 s"]);
    expect([asked, told()]).toEqual([1, ["degraded engine"]]);
    resolve({ state: "ok" });
    await beat();
    expect([part("engine").state, told()]).toEqual(["ok", ["degraded engine", "recovered engine"]]);
  });

  it("R53 a change that can't be recorded is told as soon as it can", async () => {
    let isFull = true;
    const told: NewEvent[] = [];
    const { health, beat } = setUp({
      publish: async (event) => {
        if (isFull) throw new Error("the disk is full");
        told.push(event);
      },
    });
    health.add({
      name: "store",
      check: () => {
        throw new Error("the disk is full");
      },
    });
    await health.start();
    await beat();
    expect(told).toEqual([]);
    isFull = false;
    await beat();
    await beat();
    expect(told.map((event) => event.body)).toEqual(["store is failed: the disk is full"]);
  });

  it("R53 can be switched off, or told to keep changes to the log", async () => {
    const silent = setUp({ notify: false });
    silent.health.add({ name: "x", check: () => ({ state: "degraded" }) });
    await silent.health.start();
    expect([silent.part("x").state, silent.told()]).toEqual(["degraded", []]);
    const off = setUp({ enabled: false });
    let asked = 0;
    off.health.add({ name: "x", check: () => ({ state: asked++ > 0 ? "ok" : "ok" }) });
    await off.health.start();
    await off.beat();
    expect([asked, off.health.state()]).toEqual([0, "ok"]);
  });

  it("R6 is not ready while a needed part fails, and asks it anew each time", async () => {
    const { health } = setUp();
    let fails = true;
    health.add({ name: "other", check: () => ({ state: "failed", message: "nobody needs it" }) });
    health.add({
      name: "store",
      needed: true,
      check: () => (fails ? { state: "failed", message: "disk full" } : { state: "ok" }),
    });
    await health.start();
    expect(health.state()).toBe("failed");
    await expect(health.assertReady()).rejects.toMatchObject({
      code: "unavailable",
      status: 503,
      message: "store does not work: disk full",
    });
    fails = false;
    await health.assertReady();
    expect(health.state()).toBe("degraded");
  });

  it("R53 a blocked event loop is degraded, a machine that slept is not", async () => {
    let extraMs = 0;
    const clock = manualClock();
    const begin = clock.nowMs();
    const { health, part } = setUp({ clock, monotonicMs: () => clock.nowMs() - begin + extraMs });
    await health.start();
    const beat = async () => {
      clock.advance(interval);
      await new Promise(setImmediate);
    };
    extraMs += 1_400;
    await beat();
    expect(part("loop")).toMatchObject({
      state: "degraded",
      message: "the event loop was blocked for 1 s",
    });
    await beat();
    expect(part("loop").state).toBe("ok");
    extraMs += 8 * 3_600_000;
    await beat();
    expect(part("loop").state).toBe("ok");
  });

  it("U11 a clock that was set, and a sleep, are noticed with the next beat", async () => {
    const clock = manualClock();
    let monotonic = 0;
    const { health } = setUp({ clock, monotonicMs: () => monotonic });
    let noticed = 0;
    const stop = health.onClockChange(() => {
      noticed += 1;
    });
    await health.start();
    const beat = () => {
      monotonic += interval;
      clock.advance(interval);
    };
    beat();
    expect(noticed).toBe(0);
    clock.set(clock.nowMs() + 3_600_000);
    beat();
    clock.set(clock.nowMs() - 7_200_000);
    beat();
    expect(noticed).toBe(2);
    // A timer that counts the sleep comes late, and both clocks agree.
    monotonic += 8 * 3_600_000;
    clock.set(clock.nowMs() + 8 * 3_600_000);
    beat();
    stop();
    clock.set(0);
    beat();
    expect(noticed).toBe(3);
  });
});

describe("what the parts are asked", () => {
  const openStore = async () => {
    const opened = await openSqlite();
    closing.push(opened);
    return opened;
  };

  it("R53 the store is well until a write fails", async () => {
    const { store } = await openStore();
    expect(await storePart(store).check()).toEqual({ state: "ok" });
    const full = { ...store, writeProblem: () => new Error("the disk is full") };
    expect(await storePart(full).check()).toEqual({ state: "failed", message: "the disk is full" });
    const gone = { ...store, totals: () => store.totals() };
    await store.close();
    expect(() => storePart(gone).check()).toThrow();
  });

  it("R53 the bus is well while what is recorded is handed out", async () => {
    const opened = await openStore();
    const bus = openSqliteBus({ store: opened.store, clock: opened.clock, log: silentLog });
    closing.push(bus);
    const part = busPart(bus, opened.store);
    const deaf = busPart({ ...bus, subscribe: () => () => undefined }, opened.store);
    await append(opened, { type: "a.b" });
    for (let n = 0; n < 2; n++) expect(await part.check()).toEqual({ state: "ok" });
    expect(await deaf.check()).toEqual({ state: "ok" });
    expect(await deaf.check()).toMatchObject({
      state: "failed",
      message: expect.stringContaining("up to 1"),
    });
    part.close();
  });

  it("R53 a reader that stands still while events wait for it is named, one that waits for events is not", async () => {
    const clock = manualClock();
    let readers = [{ name: "labeller", cursor: 5, lag: 3 }];
    const part = progressPart("workflows", clock.nowMs, 120_000, async () => readers);
    expect(await part.check()).toEqual({ state: "ok" });
    clock.advance(120_000);
    expect(await part.check()).toEqual({ state: "ok" });
    clock.advance(1);
    expect(await part.check()).toEqual({
      state: "degraded",
      message: "labeller does not get on; 3 events wait for it",
    });
    readers = [{ name: "labeller", cursor: 8, lag: 0 }];
    expect(await part.check()).toEqual({ state: "ok" });
    clock.advance(900_000);
    expect(await part.check()).toEqual({ state: "ok" });
  });

  it("R54 a restart knows which parts were told to be unwell, so that they are told once", async () => {
    const opened = await openStore();
    const record = (type: string, part: string, source = "signalbox") =>
      append(opened, { type: `signalbox.health.${type}`, source, payload: { part } });
    await record("degraded", "github");
    await record("degraded", "store");
    await record("degraded", "forged", "webhook");
    await record("recovered", "store");
    const told = await readTold(opened.store);
    expect(told).toEqual(new Set(["github"]));
    const { health, told: said } = setUp({ told });
    health.add({ name: "github", check: () => ({ state: "degraded", message: "still" }) });
    health.add({ name: "store", check: () => ({ state: "ok" }) });
    await health.start();
    await eventually(() => health.list().find((one) => one.name === "github")?.state === "degraded");
    expect(said()).toEqual([]);
    const after = setUp({ told });
    after.health.add({ name: "github", check: () => ({ state: "ok" }) });
    await after.health.start();
    await eventually(() => after.told().length > 0);
    expect(after.told()).toEqual(["recovered github"]);
  });
});
