import { expect, it } from "vitest";
import type { NewEvent } from "../../service/contract/events.ts";
import type { Committed } from "../../service/store/store.ts";
import { append, type OpenedStore } from "../harness/store.ts";

export function eventsConformance(current: () => OpenedStore): void {
  const everything = {
    type: "github.issue.opened",
    source: "github",
    subject: "github.issue.opened",
    topic: "inbox",
    time_ms: 1_600_000_000_000,
    body: "Ünïcode 🚂 body",
    payload: { number: 42, labels: ["bug"], nested: { deep: [null, true, 1.5] } },
    meta: { tool: "bash" },
    raw: { original: "message" },
    conversation_key: "github:1:2",
    user_key: "github:7",
    correlation_id: "corr-1",
    external_id: "delivery-0001",
    scope: "org/repo",
    origin_kind: "webhook",
  } satisfies NewEvent;

  it("M1 U1 an event comes back with every field it was pushed with", async () => {
    const { store, clock } = current();
    const cause = await append(current(), { type: "cause.happened" });
    const { event } = await append(current(), { ...everything, parent_id: cause.event.id });
    const { raw, ...told } = everything;
    expect(await store.getEvent(event.id)).toEqual(event);
    expect(event).toEqual({
      ...told,
      id: expect.stringMatching(/^evt_[0-9A-HJKMNP-TV-Z]{26}$/),
      seq: cause.event.seq + 1,
      schema_version: 1,
      recorded_ms: clock.nowMs(),
      parent_id: cause.event.id,
      depth: 1,
      parked: false,
    });
    expect(await store.getRaw(event.id)).toEqual(raw);
    expect(await store.getCaused(cause.event.id)).toEqual([event]);
    expect(await store.getEvent("evt_unknown")).toBeNull();
    expect(await store.getRaw("evt_unknown")).toBeNull();
  });

  it("M1 ids made one after the other sort by the order of the log", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 50; n++) {
      if (n === 20) current().clock.set(current().clock.nowMs() - 60_000);
      ids.push((await append(current(), { body: `${n}` })).event.id);
    }
    expect([...ids].sort()).toEqual(ids);
    const log = await current().store.readLog(0, 1_000);
    expect(log.map((event) => event.id)).toEqual(ids);
  });

  it("U2 an event with a topic has one delivery of the default group, one without has none", async () => {
    const { store } = current();
    const queued = await append(current(), { topic: "inbox" });
    const free = await append(current(), { type: "note.taken" });
    expect(await store.getDeliveries(queued.event.id)).toEqual([
      {
        group: "default",
        status: "pending",
        claimed_by: null,
        lease_until_ms: null,
        not_before_ms: null,
        attempts: 0,
        last_error: null,
        finished_ms: null,
      },
    ]);
    expect(await store.getDeliveries(free.event.id)).toEqual([]);
  });

  it("U3 a foreign id is kept verbatim and taken once a source", async () => {
    const external_id = "Zm9v/=: <ünï>'\"; --";
    const first = await append(current(), { source: "github", external_id, body: "a" });
    const again = await append(current(), { source: "github", external_id, body: "changed meanwhile" });
    const other = await append(current(), { source: "linear", external_id, body: "a" });
    expect(first).toMatchObject({ duplicate: false, event: { external_id } });
    expect(again).toEqual({ duplicate: true, event: first.event });
    expect(other.duplicate).toBe(false);
    expect(other.event.id).not.toBe(first.event.id);
    expect(current().store.totals().events).toBe(2);
  });

  it("U3 the log's own id as foreign id is known too, for its own source", async () => {
    const { event } = await append(current(), { source: "mail", body: "kept" });
    const again = await append(current(), { source: "mail", external_id: event.id, body: "kept" });
    expect([again.duplicate, again.event.id]).toEqual([true, event.id]);
    const other = await append(current(), { source: "chat", external_id: event.id, body: "kept" });
    expect(other.duplicate).toBe(false);
    expect((await append(current(), { source: "chat", external_id: event.id })).event.id).toBe(
      other.event.id,
    );
  });

  it("U2 an event that was finished before it came is in its topic as that, and nobody can claim it", async () => {
    const done = (await append(current(), { topic: "t", status: "completed" })).event;
    const failed = (await append(current(), { topic: "t", status: "failed", delay_ms: 5 })).event;
    const { store, clock } = current();
    const now_ms = clock.nowMs();
    expect(await store.claim({ topic: "t", agent: "@a", limit: 9, lease_ms: undefined, now_ms })).toEqual([]);
    expect(await store.getDeliveries(done.id)).toMatchObject([
      { status: "completed", claimed_by: null, attempts: 0, finished_ms: now_ms },
    ]);
    expect(await store.getDeliveries(failed.id)).toMatchObject([{ status: "failed" }]);
    expect((await store.getTopic("t"))?.counts).toMatchObject({ pending: 0, completed: 1, failed: 1 });
  });

  it("M3 the same idempotency key with the same content gives back the first event", async () => {
    const input = { source: "cli", idempotency_key: "k1", body: "once", payload: { a: 1, b: { c: [2] } } };
    const first = await append(current(), input);
    current().clock.advance(5_000);
    const again = await append(current(), { ...input, payload: { b: { c: [2] }, a: 1 } });
    expect(again).toEqual({ duplicate: true, event: first.event });
    await current().reopen();
    expect((await append(current(), input)).duplicate).toBe(true);
    expect(current().store.totals().events).toBe(1);
  });

  it("M3 the same idempotency key with other content is refused and leaves nothing behind", async () => {
    const { store } = current();
    await append(current(), { source: "cli", idempotency_key: "k1", topic: "a", body: "once" });
    for (const other of [{ body: "twice" }, { topic: "b" }, { payload: { x: 1 } }, { type: "a.b" }]) {
      const input = { source: "cli", idempotency_key: "k1", topic: "a", body: "once", ...other };
      await expect(append(current(), input)).rejects.toMatchObject({ code: "idempotency_conflict" });
    }
    expect((await append(current(), { source: "web", idempotency_key: "k1", body: "x" })).duplicate).toBe(
      false,
    );
    expect(store.totals()).toMatchObject({ events: 2, last_seq: 2 });
    expect((await store.listTopics()).map((topic) => topic.name)).toEqual(["a"]);
  });

  it("a batch is one write: when one event is refused none of it is kept", async () => {
    const { store, events } = current();
    await append(current(), { source: "cli", idempotency_key: "k", body: "first" });
    const drafts = [
      events.draft({ body: "good", topic: "fresh" }, null),
      events.draft({ source: "cli", idempotency_key: "k", body: "other" }, null),
    ];
    await expect(store.append(drafts)).rejects.toMatchObject({ code: "idempotency_conflict" });
    expect(store.totals()).toMatchObject({ events: 1, last_seq: 1, topics: 0 });
  });

  it("of the writes of one turn the one that fails undoes itself alone, and seq has no gap for it", async () => {
    const { store, events } = current();
    await append(current(), { source: "cli", idempotency_key: "k", body: "first" });
    const writes = [
      store.append([events.draft({ body: "a", topic: "t" }, null)]),
      store.append([events.draft({ source: "cli", idempotency_key: "k", body: "other" }, null)]),
      store.append([events.draft({ body: "b", topic: "t" }, null)]),
    ];
    const [a, failed, b] = await Promise.allSettled(writes);
    expect(failed).toMatchObject({ status: "rejected", reason: { code: "idempotency_conflict" } });
    expect(a).toMatchObject({ status: "fulfilled", value: [{ event: { seq: 2, body: "a" } }] });
    expect(b).toMatchObject({ status: "fulfilled", value: [{ event: { seq: 3, body: "b" } }] });
    expect(store.lastSeq()).toBe(3);
    expect((await store.getTopic("t"))?.counts.pending).toBe(2);
  });

  it("commits are told in order, each once, after they stand", async () => {
    const { store, events } = current();
    const told: Committed[] = [];
    const stop = store.onCommitted((committed) => told.push(committed));
    await Promise.all([1, 2, 3].map((n) => store.append([events.draft({ body: `${n}`, topic: "t" }, null)])));
    await store.append([events.draft({ type: "a.b", body: "4" }, null)]);
    stop();
    await append(current(), { body: "5" });
    expect(told.flatMap((one) => one.events.map((event) => event.seq))).toEqual([1, 2, 3, 4]);
    expect(told.some((one) => one.topics.has("t"))).toBe(true);
    expect(told.at(-1)?.topics.size).toBe(0);
  });

  it("recorded_ms never falls, also when the clock goes backwards and across a restart", async () => {
    const { clock } = current();
    const times: number[] = [];
    for (const change of [0, 1_000, -3_600_000, 10, -5]) {
      clock.set(clock.nowMs() + change);
      times.push((await append(current(), { body: "x" })).event.recorded_ms);
    }
    await current().reopen();
    times.push((await append(current(), { body: "x" })).event.recorded_ms);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    expect(await current().store.seqBefore(times[1]!)).toBe(1);
    expect(await current().store.seqBefore(times[0]!)).toBe(0);
    expect(await current().store.seqBefore(Number.MAX_SAFE_INTEGER)).toBe(6);
  });

  it("seq is never given twice, also after the newest events were removed and a restart", async () => {
    for (let n = 0; n < 5; n++) await append(current(), { body: `${n}` });
    const now_ms = current().clock.nowMs() + 1;
    const removed = await current().store.cleanup({
      completed_before_ms: now_ms,
      raw_before_ms: 0,
      pending_before_ms: 0,
      dry_run: false,
      now_ms,
      batch: 100,
    });
    expect(removed.events).toBe(5);
    await current().reopen();
    expect(current().store.lastSeq()).toBe(5);
    expect((await append(current(), { body: "next" })).event.seq).toBe(6);
  });

  it("a restart keeps events, topics, cursors and counts", async () => {
    const before = current().store;
    await append(current(), { topic: "a", body: "one" });
    await before.claim({
      topic: "a",
      agent: "@x",
      limit: 1,
      lease_ms: undefined,
      now_ms: current().clock.nowMs(),
    });
    await append(current(), { topic: "a", body: "two" });
    await before.saveCursor("workflow:x", 1, 5);
    await before.saveCursor("workflow:x", 0, 6);
    const [event] = await before.appendWithCursor(
      "github",
      [current().events.draft({ body: "p" }, null)],
      "page-2",
    );
    const topics = await before.listTopics();
    const totals = before.totals();
    await current().reopen();
    const { store } = current();
    expect(await store.listTopics()).toEqual(topics);
    expect(store.totals()).toEqual(totals);
    expect(totals).toMatchObject({ events: 3, deliveries: { pending: 1, processing: 1 } });
    expect(await store.readCursor("workflow:x")).toBe(1);
    expect(await store.readCursor("unknown")).toBeNull();
    expect(await store.readConnectorCursor("github")).toBe("page-2");
    expect(await store.readLog(2, 10)).toEqual([event?.event]);
  });

  it("a connector's page and its cursor stand or fall together", async () => {
    const { store, events } = current();
    await append(current(), { source: "cli", idempotency_key: "k", body: "first" });
    const bad = events.draft({ source: "cli", idempotency_key: "k", body: "other" }, null);
    await expect(store.appendWithCursor("github", [bad], "page-9")).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
    expect(await store.readConnectorCursor("github")).toBeNull();
  });

  it("a closed store refuses by name", async () => {
    const { store } = current();
    await store.close();
    await store.close();
    await expect(append(current(), { body: "x" })).rejects.toMatchObject({ code: "unavailable" });
    await expect(store.getEvent("evt_1")).rejects.toMatchObject({ code: "unavailable" });
    await current().reopen();
  });
}
