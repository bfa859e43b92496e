import { describe, expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import type { ManualClock } from "../../test/harness/clock.ts";
import { eventually } from "../../test/harness/eventually.ts";
import { openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import type { Connector, ListenContext } from "../connectors/connector.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { ConnectorMend } from "../contract/system.ts";
import { silentLog } from "../lib/log.ts";
import { type Supervisor, startSupervisor } from "./supervisor.ts";

type Listen = (context: ListenContext<unknown>, attempt: number) => Promise<void>;

const untilStopped = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

/** A connector that does what the test says. */
function connector(listen: Listen, isConfigured = () => true): Connector<unknown> {
  let attempt = 0;
  return {
    id: "fake",
    title: "Fake",
    agent: "fake-agent",
    capabilities: [],
    config: z.looseObject({}).optional(),
    commands: {},
    isConfigured,
    listen: (context) => {
      attempt += 1;
      return listen(context, attempt);
    },
  };
}

interface Started {
  supervisor: Supervisor;
  opened: SqliteOpened;
  clock: ManualClock;
  state(): { state: string; message: string | null; last_event_ms: number | null };
  mend(): ConnectorMend | null | undefined;
}

async function start(one: Connector<unknown>, config: unknown = {}, isWanted = true): Promise<Started> {
  const opened = await openSqlite();
  const { store, events, clock } = opened;
  const supervisor = startSupervisor({
    store,
    clock,
    log: silentLog,
    events,
    connectors: [one],
    config: { fake: config },
    isWanted: () => isWanted,
    drainMs: () => 50,
  });
  onTestFinished(async () => {
    await supervisor.close();
    await opened.close();
  });
  const state = () => {
    const [status] = supervisor.status();
    if (!status) throw new Error("there is no status");
    const { state, message, last_event_ms } = status;
    return { state, message, last_event_ms };
  };
  return { supervisor, opened, clock, state, mend: () => supervisor.status()[0]?.mend };
}

describe("a connector that listens", () => {
  it("its events and its place are committed together, and it goes on from there", async () => {
    const cursors: (string | null)[] = [];
    const { opened, state, clock } = await start(
      connector(async ({ cursor, emit, signal }, attempt) => {
        cursors.push(cursor);
        if (attempt === 1) {
          await emit([{ type: "a.b", source: "fake", external_id: "1" }], "place 1");
          throw new Error("connection lost");
        }
        await untilStopped(signal);
      }),
    );
    await eventually(() => state().state === "degraded");
    expect(state().message).toBe("connection lost");
    clock.advance(1_000);
    await eventually(() => cursors.length === 2);
    expect(cursors).toEqual([null, "place 1"]);
    expect((await opened.store.readLog(0, 10)).map(({ type }) => type)).toEqual(["a.b"]);
    expect(state().last_event_ms).toBe(clock.nowMs() - 1_000);
  });

  it("is started again with growing pauses, and the growth is forgotten once it works", async () => {
    const begun: number[] = [];
    const { clock } = await start(
      connector(async ({ report }, attempt) => {
        begun.push(attempt);
        if (attempt === 4) report("ready");
        throw new Error("down");
      }),
    );
    for (const pauseMs of [1_000, 2_000, 4_000]) {
      await eventually(() => clock.pending === 1);
      const before = begun.length;
      clock.advance(pauseMs / 2 - 1);
      expect(begun).toHaveLength(before);
      clock.advance(pauseMs / 2 + 1);
      await eventually(() => begun.length === before + 1);
    }
    // The fourth said that it is well, so the pause after it is a short one again.
    await eventually(() => clock.pending === 1);
    clock.advance(1_000);
    await eventually(() => begun.length === 5);
  });

  it("waits as long as the remote side asks for", async () => {
    let attempts = 0;
    const { clock, state } = await start(
      connector(async ({ signal }, attempt) => {
        attempts = attempt;
        if (attempt === 1) throw new SignalboxError("rate_limited", "slow down", { retryAfterS: 120 });
        await untilStopped(signal);
      }),
    );
    await eventually(() => state().state === "degraded" && clock.pending === 1);
    clock.advance(119_000);
    expect(attempts).toBe(1);
    clock.advance(1_000);
    await eventually(() => attempts === 2);
  });

  it("one whose sign-in no longer holds counts as failed, and as ready once it is heard again", async () => {
    const { clock, state } = await start(
      connector(async ({ emit, signal }, attempt) => {
        if (attempt === 1) throw new SignalboxError("connection_expired", "sign in again");
        await emit([], "place");
        await untilStopped(signal);
      }),
    );
    await eventually(() => state().state === "failed" && clock.pending === 1);
    clock.advance(1_000);
    await eventually(() => state().state === "ready");
    expect(state()).toEqual({ state: "ready", message: null, last_event_ms: null });
  });

  it("an event that can't be recorded is left out, and keeps none of the others back", async () => {
    const { opened } = await start(
      connector(async ({ emit, signal }) => {
        await emit(
          [{ type: "a.1" }, { type: "a.2", payload: { text: "x".repeat(2_000_000) } }, { type: "a.3" }],
          "place",
        );
        await untilStopped(signal);
      }),
    );
    await eventually(async () => (await opened.store.readConnectorCursor("fake")) === "place");
    expect((await opened.store.readLog(0, 10)).map(({ type }) => type)).toEqual(["a.1", "a.3"]);
  });
});

describe("a connector that does not listen", () => {
  it.each([
    ["is not configured", {}, false, "not configured"],
    [
      "lacks what its settings name",
      { token: { env: "SIGNALBOX_TEST_UNSET" }, secret: { file: "/no/such/file" }, path: "/x" },
      false,
      "not configured: the service found no SIGNALBOX_TEST_UNSET and no /no/such/file when it started",
    ],
    ["is switched off", { enabled: false }, true, "switched off"],
  ])("is off when it %s", async (_, config, isConfigured, message) => {
    const { state, supervisor } = await start(
      connector(
        async () => {
          throw new Error("it must not listen");
        },
        () => isConfigured,
      ),
      config,
    );
    expect(state()).toEqual({ state: "off", message, last_event_ms: null });
    expect(supervisor.connections.map(({ configured }) => configured)).toEqual([false]);
  });

  it("one whose secret others can read has failed by itself", async () => {
    const { state } = await start(
      connector(
        () => Promise.resolve(),
        () => {
          throw new SignalboxError("forbidden", "token.txt holds a secret that others can read");
        },
      ),
    );
    expect(state()).toMatchObject({ state: "failed", message: expect.stringContaining("token.txt") });
  });

  it("is heard by what its webhooks bring", async () => {
    const { state, supervisor, clock } = await start(connector(() => Promise.resolve()));
    clock.advance(5);
    supervisor.heard("fake");
    supervisor.heard("nobody");
    expect(state().last_event_ms).toBe(clock.nowMs());
  });
});

describe("what mends a connector", () => {
  const missing = { token: { env: "SIGNALBOX_TEST_UNSET" }, secret: { file: "/no/such/file" } };
  const settings = { kind: "settings", key: "connectors.fake" };
  const off = (config: unknown, isWanted?: boolean) =>
    start(
      connector(
        () => Promise.resolve(),
        () => false,
      ),
      config,
      isWanted,
    );

  it("is the secret that it lacks, by variable and file", async () => {
    const { mend } = await off(missing);
    expect(mend()).toEqual({ kind: "secret", env: ["SIGNALBOX_TEST_UNSET"], files: ["/no/such/file"] });
  });

  it("are its settings, where no secret is missing", async () => {
    expect((await off({})).mend()).toEqual(settings);
  });

  it("is nothing for one that nobody set up, or that was switched off", async () => {
    expect((await off(missing, false)).mend()).toBeNull();
    expect((await off({ ...missing, enabled: false })).mend()).toBeNull();
  });

  it.each([
    [
      new SignalboxError("connection_expired", "no", { details: { secret: { env: "TOKEN" } } }),
      { kind: "secret", env: ["TOKEN"], files: [] },
    ],
    [new SignalboxError("connection_expired", "no"), settings],
    [new SignalboxError("forbidden", "others can read it"), settings],
    [new SignalboxError("rate_limited", "slow down"), { kind: "reconnect" }],
    [new Error("connection lost"), { kind: "reconnect" }],
  ])("follows from what it failed with: %s", async (error, expected) => {
    const { mend, clock } = await start(
      connector(async ({ report, signal }, attempt) => {
        if (attempt === 1) throw error;
        report("ready");
        await untilStopped(signal);
      }),
    );
    await eventually(() => clock.pending === 1);
    expect(mend()).toEqual(expected);
    clock.advance(60_000);
    await eventually(() => mend() === null);
  });

  it("reconnect ends the pause before the next attempt", async () => {
    const { supervisor, state, clock } = await start(
      connector(async ({ emit, signal }, attempt) => {
        if (attempt === 1) throw new Error("down");
        await emit([], "place");
        await untilStopped(signal);
      }),
    );
    await eventually(() => clock.pending === 1);
    expect(supervisor.reconnect("fake")).toMatchObject({ state: "connecting", message: null, mend: null });
    await eventually(() => state().state === "ready");
    expect(clock.pending).toBe(0);
  });

  it("reconnect ends a connection that only seems to be there, and its end counts as no failure", async () => {
    const begun: number[] = [];
    const { supervisor, state, clock } = await start(
      connector(async ({ report, signal }, attempt) => {
        begun.push(attempt);
        report(attempt === 1 ? "degraded" : "ready", attempt === 1 ? "no news" : undefined);
        await untilStopped(signal);
        if (attempt === 1) throw new Error("aborted");
      }),
    );
    await eventually(() => state().state === "degraded");
    supervisor.reconnect("fake");
    await eventually(() => state().state === "ready");
    supervisor.reconnect("fake");
    await eventually(() => begun.length === 3);
    expect(clock.pending).toBe(0);
  });

  it("reconnect refuses what does not listen", async () => {
    const { supervisor } = await off({});
    expect(() => supervisor.reconnect("fake")).toThrow(expect.objectContaining({ code: "conflict" }));
    expect(() => supervisor.reconnect("nobody")).toThrow(expect.objectContaining({ code: "not_found" }));
  });
});

describe("a stop", () => {
  it("ends the pause of one that waits, and does not wait for one that does not hear", async () => {
    const waiting = await start(connector(() => Promise.reject(new Error("down"))));
    await eventually(() => waiting.clock.pending === 1);
    await waiting.supervisor.close();
    expect(waiting.clock.pending).toBe(0);
    const deaf = await start(connector(() => new Promise(() => {})));
    const begun = performance.now();
    await deaf.supervisor.close();
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});
