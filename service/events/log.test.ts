import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { append, openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import { SignalboxError } from "../contract/errors.ts";
import { eventIdOfRun, runIdOfEvent } from "./log.ts";

describe("event log", () => {
  let opened: SqliteOpened;
  beforeEach(async () => {
    opened = await openSqlite();
  });
  afterEach(() => opened.close());

  it("U1 fills in what the caller left out", async () => {
    const { event } = await append(opened, { topic: "inbox", body: "hi" });
    expect(event).toMatchObject({
      schema_version: 1,
      type: "message.pushed",
      source: "api",
      subject: "topics.inbox",
      time_ms: opened.clock.nowMs(),
      payload: {},
      meta: {},
      origin_kind: "system",
      depth: 0,
      parked: false,
      external_id: null,
    });
    expect((await append(opened, { type: "a.b" })).event.subject).toBe("a.b");
  });

  it.each([
    ["cli", "human"],
    ["@bob", "agent"],
    ["github", "system"],
  ])("M20 an event of %s counts as %s unless it says otherwise", async (source, origin_kind) => {
    expect((await append(opened, { source })).event.origin_kind).toBe(origin_kind);
    expect((await append(opened, { source, origin_kind: "webhook" })).event.origin_kind).toBe("webhook");
  });

  it("a chain keeps its correlation id, counts its depth and is parked beyond the limit", async () => {
    let { event } = await append(opened, { type: "a.b", correlation_id: "c" });
    for (let depth = 1; depth <= 17; depth++) {
      event = (await append(opened, { type: "a.b", parent_id: event.id })).event;
      expect(event).toMatchObject({ depth, correlation_id: "c", parked: depth > 16 });
    }
  });

  it("what is history reaches no workflow, whatever its place in a chain", async () => {
    const { events } = opened;
    expect(events.draft({ history: true, topic: "t" }, null)).toMatchObject({ parked: true, depth: 0 });
    expect(events.draft({ history: false }, null)).toMatchObject({ parked: false, finished: null });
    expect(events.draft({ status: "failed" }, null)).toMatchObject({ parked: false, finished: "failed" });
  });

  it("P4 a push answers with the id under which its runs are followed", async () => {
    const pushed = await opened.events.push({ body: "x" });
    expect(pushed).toMatchObject({ seq: 1, duplicate: false, run_id: runIdOfEvent(pushed.event_id) });
    expect(eventIdOfRun(pushed.run_id)).toBe(pushed.event_id);
  });

  it("a batch keeps what is good, in order, and says what is wrong with the others", async () => {
    await opened.events.push({ source: "cli", idempotency_key: "k", body: "first" });
    const bad = new SignalboxError("invalid_request", "no");
    const results = await opened.events.pushAll([
      { body: "a" },
      bad,
      { source: "cli", idempotency_key: "k", body: "other" },
      { body: "x".repeat(1_048_577) },
      { body: "b" },
    ]);
    expect(results.map((one) => (SignalboxError.is(one) ? one.code : one.seq))).toEqual([
      2,
      "invalid_request",
      "idempotency_conflict",
      "too_large",
      3,
    ]);
  });

  it("an event over a mebibyte of UTF-8 is refused, counting body, payload, meta and raw", async () => {
    const half = "é".repeat(262_144);
    await expect(opened.events.push({ body: half, payload: { half } })).rejects.toMatchObject({
      code: "too_large",
    });
    await expect(opened.events.push({ body: half, raw: half })).rejects.toMatchObject({ code: "too_large" });
    expect(await opened.events.push({ body: half })).toMatchObject({ seq: 1 });
  });

  it("two keys that disagree are refused, since only one of them can be kept", async () => {
    const both = { source: "cli", external_id: "x", idempotency_key: "y", body: "b" };
    await expect(opened.events.push(both)).rejects.toMatchObject({ code: "invalid_request" });
    expect(await opened.events.push({ ...both, external_id: "y" })).toMatchObject({ duplicate: false });
  });

  it("a payload nested too deeply to be written is refused by name", async () => {
    let deep: { [key: string]: unknown } = {};
    for (let n = 0; n < 200_000; n++) deep = { deep };
    await expect(opened.events.push({ payload: deep as never })).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});
