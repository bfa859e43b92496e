import { expect, it } from "vitest";
import type { NewEvent } from "../../service/contract/events.ts";
import type { Holder, Settlement } from "../../service/store/store.ts";
import { append, type OpenedStore, testTopics } from "../harness/store.ts";

export function queueConformance(current: () => OpenedStore): void {
  const now = () => current().clock.nowMs();
  const push = async (topic: string, more: NewEvent = {}) =>
    (await append(current(), { topic, body: "work", ...more })).event;
  const claim = (topic: string, agent = "@a", limit = 1, lease_ms?: number) =>
    current().store.claim({ topic, agent, limit, lease_ms, now_ms: now() });
  const settle = (event_id: string, settlement: Settlement, holder: Holder = {}) =>
    current().store.settle({ event_id, holder, settlement, now_ms: now(), events: [] });
  const counts = async (topic: string) => (await current().store.getTopic(topic))?.counts;
  const status = async (id: string) => (await current().store.getDeliveries(id))[0]?.status;

  it("M10 1,000 races of two claimers give each event to exactly one of them", async () => {
    const taken: string[] = [];
    for (let race = 0; race < 1_000; race++) {
      const { id } = await push("race");
      const [one, two] = await Promise.all([claim("race", "@one"), claim("race", "@two")]);
      const winners = [...one, ...two];
      expect(winners.map((winner) => winner.event.id)).toEqual([id]);
      taken.push(id);
    }
    expect(new Set(taken).size).toBe(1_000);
    expect(await counts("race")).toMatchObject({ pending: 0, processing: 1_000 });
  });

  it("M4 M10 a claim takes the oldest, marks it processing and says who has it until when", async () => {
    const first = await push("t");
    await push("t");
    const [claimed] = await claim("t", "@bob");
    expect(claimed).toMatchObject({ event: first, attempt: 1, lease_until_ms: now() + testTopics.lease_ms });
    expect(await current().store.getDeliveries(first.id)).toMatchObject([
      { status: "processing", claimed_by: "@bob", attempts: 1, lease_until_ms: now() + testTopics.lease_ms },
    ]);
    expect(await claim("t", "@bob", 10)).toHaveLength(1);
    expect(await claim("t", "@bob", 10)).toEqual([]);
  });

  it("M10 a claim of one event takes that one and no other, as long as it waits", async () => {
    const older = await push("t");
    const { id } = await push("t");
    const one = (event_id: string, topic = "t") =>
      current().store.claim({ topic, agent: "@bob", limit: 1, event_id, lease_ms: undefined, now_ms: now() });
    await push("u");
    expect(await one(id, "u")).toEqual([]);
    expect(await one("evt_unknown")).toEqual([]);
    expect(await one(id)).toMatchObject([{ event: { id }, attempt: 1 }]);
    expect(await one(id)).toEqual([]);
    expect(await status(older.id)).toBe("pending");
    expect(await counts("t")).toMatchObject({ pending: 1, processing: 1 });
    const delayed = await push("t", { delay_ms: 60_000 });
    expect(await one(delayed.id)).toEqual([]);
    await current().store.saveTopic("t", { pending_ttl_ms: 1_000 }, now());
    current().clock.advance(2_000);
    expect(await one(older.id)).toEqual([]);
  });

  it("M10 a completed event is never claimed again and a second settling is refused", async () => {
    const event = await push("t");
    const [claimed] = await claim("t");
    await settle(event.id, { kind: "complete" }, { lease: claimed?.lease });
    expect(await claim("t")).toEqual([]);
    for (const kind of ["complete", "release", "extend"] as const) {
      const settlement: Settlement = kind === "extend" ? { kind, lease_ms: undefined } : { kind };
      await expect(settle(event.id, settlement, { lease: claimed?.lease })).rejects.toMatchObject({
        code: "conflict",
        message: expect.stringContaining("already completed by @a"),
      });
    }
    await expect(settle("evt_unknown", { kind: "complete" })).rejects.toMatchObject({ code: "not_found" });
    await expect(claim("unknown")).rejects.toMatchObject({ code: "not_found" });
  });

  it("M10 many settled at once stand each by itself, in order, in one transaction", async () => {
    const { store, events } = current();
    const pushed = [await push("t"), await push("t"), await push("t"), await push("t")];
    const claimed = await claim("t", "@a", 3);
    const item = (index: number, settlement: Settlement) => ({
      event_id: pushed[index]?.id ?? "evt_unknown",
      holder: { lease: claimed[index]?.lease },
      settlement,
      now_ms: now(),
      events: [],
    });
    const commits: number[] = [];
    const stop = store.onCommitted((committed) => void commits.push(committed.events.length));
    const answer = events.draft({ body: "done" }, pushed[2] ?? null);
    const ends = await store.settleAll([
      item(0, { kind: "complete" }),
      item(3, { kind: "complete" }),
      item(1, { kind: "retry", error: "no", retry_in_ms: 5 }),
      item(0, { kind: "complete" }),
      item(4, { kind: "complete" }),
      { ...item(2, { kind: "answer", status: "completed" }), events: [answer] },
    ]);
    stop();
    expect(ends).toMatchObject([
      { delivery: { status: "completed", claimed_by: "@a" }, appended: [] },
      { code: "conflict" },
      { delivery: { status: "pending", not_before_ms: now() + 5, last_error: "no" } },
      { code: "conflict", message: expect.stringContaining("already completed") },
      { code: "not_found" },
      { delivery: { status: "completed" }, appended: [{ event: { body: "done" } }] },
    ]);
    expect(commits).toEqual([1]);
    expect(await counts("t")).toMatchObject({ pending: 2, delayed: 1, processing: 0, completed: 2 });
    expect(await store.settleAll([])).toEqual([]);
  });

  it("a peek takes nothing", async () => {
    const event = await push("t");
    expect(await current().store.peek("t", 5, now())).toEqual([event]);
    expect(await current().store.peek("t", 5, now())).toEqual([event]);
    expect(await counts("t")).toMatchObject({ pending: 1, processing: 0 });
  });

  it("M8 an answer finishes the event and is recorded with the same correlation id, once", async () => {
    const { store, events } = current();
    const event = await push("t", { correlation_id: "corr-7" });
    const [claimed] = await claim("t", "@bob");
    const draft = () => events.draft({ body: "done", correlation_id: "corr-7" }, event);
    const request = {
      event_id: event.id,
      holder: { lease: claimed?.lease },
      settlement: { kind: "answer", status: "completed" } as const,
      now_ms: now(),
    };
    const answered = await store.settle({ ...request, events: [draft()] });
    expect(answered.delivery).toMatchObject({ status: "completed", finished_ms: now(), claimed_by: "@bob" });
    expect(answered.appended[0]?.event).toMatchObject({ correlation_id: "corr-7", parent_id: event.id });
    await expect(store.settle({ ...request, events: [draft()] })).rejects.toMatchObject({ code: "conflict" });
    const both = await store.findEvents({ correlation_id: "corr-7", limit: 10 });
    expect(both.map((one) => one.status)).toEqual([null, "completed"]);
  });

  it("M8 an answer as failed ends the event as failed, also when nobody claimed it", async () => {
    const event = await push("t");
    const { delivery } = await settle(event.id, { kind: "answer", status: "failed" }, { agent: "@bob" });
    expect(delivery).toMatchObject({ status: "failed", claimed_by: "@bob", finished_ms: now() });
    expect(await counts("t")).toMatchObject({ pending: 0, failed: 1 });
    const free = (await append(current(), { type: "note.taken" })).event;
    expect(await settle(free.id, { kind: "answer", status: "completed" })).toMatchObject({ delivery: null });
    await expect(settle(free.id, { kind: "complete" })).rejects.toMatchObject({ code: "conflict" });
  });

  it("a receipt is kept once a claim and kind, only for who holds the claim, and survives a restart", async () => {
    const { events } = current();
    const event = await push("t");
    const [first] = await claim("t", "@bob");
    const keep = (lease: string | undefined, kind: "delivered" | "seen" | "acted", detail: string | null) =>
      current().store.settle({
        ...{ event_id: event.id, holder: { lease }, settlement: { kind: "keep" }, now_ms: now() },
        events: [events.draft({ type: "told", external_id: `${lease}:${kind}` }, event)],
        receipt: { kind, session: "ses_1", detail },
      });
    const before = await current().store.getDeliveries(event.id);
    const told = await keep(first?.lease, "delivered", null);
    expect(told.appended).toMatchObject([{ duplicate: false }]);
    current().clock.advance(5);
    expect((await keep(first?.lease, "delivered", "again")).appended).toMatchObject([{ duplicate: true }]);
    await keep(first?.lease, "seen", null);
    expect(await current().store.getDeliveries(event.id)).toEqual(before);
    await expect(keep("lea_other", "acted", null)).rejects.toMatchObject({ code: "lease_lost" });
    await settle(event.id, { kind: "release" }, { lease: first?.lease });
    const [second] = await claim("t", "@eve");
    await current().store.settle({
      ...{ event_id: event.id, holder: { lease: second?.lease }, now_ms: now(), events: [] },
      settlement: { kind: "answer", status: "completed" },
      receipt: { kind: "acted", session: null, detail: "reply" },
    });
    await expect(keep(second?.lease, "acted", null)).rejects.toMatchObject({ code: "conflict" });
    await current().reopen();
    const ses_1 = { attempt: 1, agent: "@bob", session: "ses_1", detail: null };
    expect(await current().store.getReceipts(event.id)).toEqual([
      { kind: "delivered", ...ses_1, time_ms: now() - 5 },
      { kind: "seen", ...ses_1, time_ms: now() },
      { kind: "acted", attempt: 1, agent: "@eve", session: null, detail: "reply", time_ms: now() },
    ]);
  });

  it("a claim that is given back with a delay waits that long, and its attempt does not count", async () => {
    const event = await push("t");
    const [first] = await claim("t");
    await settle(event.id, { kind: "release", delay_ms: 1_000 }, { lease: first?.lease });
    expect(await claim("t")).toEqual([]);
    current().clock.advance(1_000);
    expect(await claim("t")).toMatchObject([{ event: { id: event.id }, attempt: 1 }]);
  });

  it("M9 a topic is made by its first event and keeps one prompt", async () => {
    const { store } = current();
    expect(await store.getTopic("t")).toBeNull();
    await push("t");
    expect(await store.getTopic("t")).toMatchObject({
      prompt: null,
      ...testTopics,
      paused: false,
      allow: [],
    });
    await store.saveTopic("t", { prompt: "You triage." }, now());
    await store.saveTopic("t", { lease_ms: 5_000 }, now());
    const made = await store.saveTopic("other", { prompt: "Else.", allow: ["@x"], paused: true }, now());
    expect(made).toMatchObject({
      name: "other",
      prompt: "Else.",
      allow: ["@x"],
      paused: true,
      created_ms: now(),
    });
    await current().reopen();
    const topics = await current().store.listTopics();
    expect(topics.map(({ name, prompt, lease_ms }) => ({ name, prompt, lease_ms }))).toEqual([
      { name: "other", prompt: "Else.", lease_ms: testTopics.lease_ms },
      { name: "t", prompt: "You triage.", lease_ms: 5_000 },
    ]);
  });

  it("U15 an expired lease gives the event to the next claimer and the first one has lost it", async () => {
    const event = await push("t");
    const [first] = await claim("t", "@one");
    current().clock.advance(testTopics.lease_ms - 1);
    expect(await claim("t", "@two")).toEqual([]);
    current().clock.advance(1);
    const [second] = await claim("t", "@two");
    expect(second).toMatchObject({ event: { id: event.id }, attempt: 2 });
    expect(second?.lease).not.toBe(first?.lease);
    await expect(settle(event.id, { kind: "complete" }, { lease: first?.lease })).rejects.toMatchObject({
      code: "lease_lost",
    });
    await expect(settle(event.id, { kind: "complete" }, { agent: "@one" })).rejects.toMatchObject({
      code: "lease_lost",
    });
    expect((await settle(event.id, { kind: "complete" }, { agent: "@two" })).delivery?.status).toBe(
      "completed",
    );
  });

  it("U15 promoteDue gives back expired leases by itself and says when it has to look again", async () => {
    const { store, clock } = current();
    const event = await push("t");
    await claim("t", "@one", 1, 5_000);
    expect(store.nextDue()).toBe(now() + 5_000);
    clock.advance(5_000);
    const told: string[] = [];
    store.onCommitted(({ topics }) => told.push(...topics));
    await store.promoteDue(now());
    expect(told).toEqual(["t"]);
    expect(await store.getDeliveries(event.id)).toMatchObject([
      { status: "pending", claimed_by: null, attempts: 1, last_error: "the lease of @one ran out" },
    ]);
    expect(store.nextDue()).toBeNull();
    await expect(settle(event.id, { kind: "complete" }, { lease: "lea_old" })).rejects.toMatchObject({
      code: "lease_lost",
    });
  });

  it("U15 extending keeps the event, from the time of extending", async () => {
    const event = await push("t");
    const [claimed] = await claim("t");
    current().clock.advance(8_000);
    const { delivery } = await settle(
      event.id,
      { kind: "extend", lease_ms: 60_000 },
      { lease: claimed?.lease },
    );
    expect(delivery).toMatchObject({ status: "processing", lease_until_ms: now() + 60_000 });
    current().clock.advance(30_000);
    expect(await claim("t", "@other")).toEqual([]);
    await settle(event.id, { kind: "complete" }, { lease: claimed?.lease });
    expect(await status(event.id)).toBe("completed");
  });

  it("U15 after the last attempt it is a dead letter with the last error and an event that tells", async () => {
    const { store } = current();
    const event = await push("t", { body: "poison" });
    for (let attempt = 1; attempt <= testTopics.max_attempts; attempt++) {
      const [claimed] = await claim("t");
      expect(claimed?.attempt).toBe(attempt);
      await settle(
        event.id,
        { kind: "retry", error: `boom ${attempt}`, retry_in_ms: 0 },
        { lease: claimed?.lease },
      );
    }
    expect(await claim("t")).toEqual([]);
    expect(await store.getDeliveries(event.id)).toMatchObject([
      { status: "dead", attempts: 3, last_error: "boom 3", finished_ms: now() },
    ]);
    const [dead] = await store.findEvents({ type: "signalbox.delivery.dead", limit: 5 });
    expect(dead).toMatchObject({
      parent_id: event.id,
      payload: { event_id: event.id, topic: "t", attempts: 3, error: "boom 3" },
    });
  });

  it("U15 leases that run out again and again end as a dead letter too", async () => {
    const { store, clock } = current();
    const event = await push("t");
    for (let attempt = 1; attempt <= testTopics.max_attempts; attempt++) {
      await claim("t", "@sleepy");
      clock.advance(testTopics.lease_ms);
      await store.promoteDue(now());
    }
    expect(await store.getDeliveries(event.id)).toMatchObject([
      { status: "dead", claimed_by: "@sleepy", last_error: "the lease of @sleepy ran out" },
    ]);
    expect(await store.findEvents({ type: "signalbox.delivery.dead", limit: 5 })).toHaveLength(1);
  });

  it("U15 a dead letter can be redriven and has all its attempts again", async () => {
    const { store } = current();
    const event = await push("t");
    const failed = await push("t");
    for (const kind of ["retry", "reject"] as const) {
      const [claimed] = await claim("t");
      await store.saveTopic("t", { max_attempts: 1 }, now());
      const settlement: Settlement =
        kind === "retry" ? { kind, error: "e", retry_in_ms: undefined } : { kind, error: "no" };
      await settle(claimed?.event.id ?? "", settlement, { lease: claimed?.lease });
    }
    expect(await counts("t")).toMatchObject({ dead: 1, failed: 1, pending: 0 });
    expect(await store.redrive("t", [failed.id], false)).toBe(0);
    expect(await store.redrive("t", undefined, false)).toBe(1);
    expect(await store.redrive("t", undefined, false)).toBe(0);
    expect(await claim("t")).toMatchObject([{ event: { id: event.id }, attempt: 1 }]);
    expect(await store.redrive("t", [failed.id, failed.id], true)).toBe(1);
    expect(await counts("t")).toMatchObject({ dead: 0, failed: 0, pending: 1, processing: 1 });
  });

  it("U15 a failed try comes again after its pause, doubling where none is given", async () => {
    const event = await push("t");
    const [first] = await claim("t");
    await settle(event.id, { kind: "retry", error: "e", retry_in_ms: undefined }, { lease: first?.lease });
    expect(await current().store.getDeliveries(event.id)).toMatchObject([
      { status: "pending", not_before_ms: now() + 1_000, last_error: "e" },
    ]);
    expect(await counts("t")).toMatchObject({ pending: 1, delayed: 1 });
    current().clock.advance(999);
    expect(await claim("t")).toEqual([]);
    current().clock.advance(1);
    const [second] = await claim("t");
    await settle(event.id, { kind: "retry", error: "e", retry_in_ms: undefined }, { lease: second?.lease });
    current().clock.advance(1_999);
    expect(await claim("t")).toEqual([]);
    current().clock.advance(1);
    expect(await claim("t")).toHaveLength(1);
  });

  it("U15 a release gives the attempt back", async () => {
    const event = await push("t");
    for (let n = 0; n < 10; n++) {
      const [claimed] = await claim("t");
      expect(claimed?.attempt).toBe(1);
      await settle(event.id, { kind: "release" }, { lease: claimed?.lease });
    }
    expect(await current().store.getDeliveries(event.id)).toMatchObject([{ status: "pending", attempts: 0 }]);
    await expect(settle(event.id, { kind: "release" })).rejects.toMatchObject({ code: "conflict" });
  });

  it("U15 a paused topic takes events and gives none", async () => {
    const { store } = current();
    await store.saveTopic("t", { paused: true }, now());
    await push("t");
    expect(await claim("t")).toEqual([]);
    const told: string[] = [];
    store.onCommitted(({ topics }) => told.push(...topics));
    await store.saveTopic("t", { paused: false }, now());
    expect(told).toEqual(["t"]);
    expect(await claim("t")).toHaveLength(1);
  });

  it("M9 a topic is deleted with its settings once it has no events, and begins anew with the next one", async () => {
    const { store } = current();
    await expect(store.deleteTopic("t")).rejects.toMatchObject({ code: "not_found" });
    await store.saveTopic("t", { prompt: "You triage." }, now());
    const event = await push("t");
    await push("t", { delay_ms: 60_000 });
    await expect(store.deleteTopic("t")).rejects.toMatchObject({ code: "conflict" });
    await store.purge("t", "all");
    await store.deleteTopic("t");
    expect(await store.getTopic("t")).toBeNull();
    await expect(claim("t")).rejects.toMatchObject({ code: "not_found" });
    expect((await store.getEvent(event.id))?.topic).toBe("t");
    await push("t");
    expect(await store.getTopic("t")).toMatchObject({ prompt: null, counts: { pending: 1, delayed: 0 } });
  });

  it("M23 a topic with a list gives its events to those on it", async () => {
    await current().store.saveTopic("t", { allow: ["@bob", "@ann"] }, now());
    await push("t");
    await expect(claim("t", "@eve")).rejects.toMatchObject({
      code: "forbidden",
      hint: "Allowed: @bob, @ann.",
    });
    expect(await claim("t", "@ann")).toHaveLength(1);
  });

  it("M23 what nobody claimed within the topic's time is not given out any more", async () => {
    const { store, clock } = current();
    await store.saveTopic("t", { pending_ttl_ms: 60_000 }, now());
    await push("t", { body: "old" });
    const delayed = await push("t", { body: "delayed", delay_ms: 90_000 });
    clock.advance(60_001);
    const fresh = await push("t", { body: "fresh" });
    expect(await store.peek("t", 10, now())).toEqual([fresh]);
    expect((await claim("t", "@a", 10)).map((one) => one.event.id)).toEqual([fresh.id]);
    clock.advance(30_000);
    expect((await claim("t", "@a", 10)).map((one) => one.event.id)).toContain(delayed.id);
  });

  it.each([
    ["--delay", (ms: number) => ({ delay_ms: ms })],
    ["--at", (ms: number) => ({ not_before_ms: now() + ms })],
  ])("M22 an event pushed with %s is claimable at that time and not before", async (_name, when) => {
    const { store, clock } = current();
    const event = await push("t", when(5_000));
    const soon = await push("t");
    expect(await counts("t")).toMatchObject({ pending: 2, delayed: 1 });
    expect(await status(event.id)).toBe("pending");
    expect(store.nextDue()).toBe(now() + 5_000);
    expect((await claim("t", "@a", 10)).map((one) => one.event.id)).toEqual([soon.id]);
    clock.advance(4_999);
    expect(await claim("t")).toEqual([]);
    expect(await store.peek("t", 5, now())).toEqual([]);
    clock.advance(1);
    expect((await store.peek("t", 5, now())).map((one) => one.id)).toEqual([event.id]);
    expect((await claim("t")).map((one) => one.event.id)).toEqual([event.id]);
    expect(await counts("t")).toMatchObject({ pending: 0, delayed: 0, processing: 2 });
  });

  it("M22 the timer alone makes a delayed event claimable and wakes who waits, also after a restart", async () => {
    await push("t", { delay_ms: 1_000 });
    await current().reopen();
    const { store, clock } = current();
    expect(store.nextDue()).toBe(now() + 1_000);
    clock.advance(1_000);
    const told: string[] = [];
    store.onCommitted(({ topics }) => told.push(...topics));
    await store.promoteDue(now());
    expect(told).toEqual(["t"]);
    expect(await counts("t")).toMatchObject({ pending: 1, delayed: 0 });
  });

  it("a purge removes deliveries of that status, never a claimed one, and keeps the events", async () => {
    const { store } = current();
    const [done, held] = [await push("t"), await push("t")];
    await push("t");
    await push("t", { delay_ms: 1_000 });
    const [first] = await claim("t", "@a", 2);
    await settle(done.id, { kind: "complete" }, { lease: first?.lease });
    expect(await store.purge("t", "pending")).toBe(2);
    expect(await store.purge("t", "all")).toBe(1);
    expect(await counts("t")).toEqual({
      pending: 0,
      delayed: 0,
      processing: 1,
      completed: 0,
      failed: 0,
      dead: 0,
    });
    expect(await status(held.id)).toBe("processing");
    expect(store.totals().events).toBe(4);
  });
}
