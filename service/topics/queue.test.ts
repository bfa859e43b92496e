import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/eventually.ts";
import { append, openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import type { Claim } from "../contract/topics.ts";
import { createTopicQueue, type TopicQueue } from "./queue.ts";

let opened: SqliteOpened;
let queue: TopicQueue;
beforeEach(async () => {
  opened = await openSqlite();
  const { store, clock, events } = opened;
  queue = createTopicQueue({ store, clock, events });
});
afterEach(async () => {
  await queue.close();
  await opened.close();
});

const never = new AbortController().signal;
const claim = (request: Partial<Claim> = {}, signal = never) =>
  queue.claim("work", { agent: "@a", limit: 1, wait_ms: 0, create: true, ...request }, signal);
const push = (body: string, more: object = {}) => append(opened, { topic: "work", body, ...more });

describe("a receipt", () => {
  it("is told once by an event that brings the chain no nearer to its limit", async () => {
    const { event } = await push("work", { correlation_id: "c" });
    const [held] = await claim({ agent: "@bob" });
    const lease = held?.lease ?? "";
    for (const kind of ["delivered", "seen", "seen"] as const)
      await queue.receive(event.id, { lease, kind, session: "ses_1" });
    const caused = await opened.store.getCaused(event.id);
    expect(caused).toMatchObject([
      { type: "signalbox.receipt.delivered", source: "@bob", subject: "receipts.work", depth: event.depth },
      {
        type: "signalbox.receipt.seen",
        topic: null,
        correlation_id: "c",
        payload: { event_id: event.id, kind: "seen", agent: "@bob", session: "ses_1", detail: null },
      },
    ]);
    await expect(queue.receive(event.id, { lease: "lea_x", kind: "acted" })).rejects.toMatchObject({
      code: "lease_lost",
    });
  });

  it("of the answer itself comes with the answer", async () => {
    const { event } = await push("work");
    await claim({ agent: "@bob" });
    await queue.reply(event.id, { agent: "@bob", status: "success", body: "done", session: "ses_1" });
    expect(await opened.store.getReceipts(event.id)).toMatchObject([
      { kind: "acted", agent: "@bob", session: "ses_1", detail: "reply" },
    ]);
  });
});

describe("a claim", () => {
  it("M4 hands over the oldest event with the topic's prompt, and creates the topic on first use", async () => {
    expect(await claim()).toEqual([]);
    await queue.update("work", { prompt: "Be brief." });
    await push("1");
    await push("2");
    expect(await claim()).toMatchObject([
      { event: { body: "1" }, prompt: "Be brief.", attempt: 1, lease: expect.stringMatching(/^lea_/) },
    ]);
  });

  it("waits until there is something, and answers at once when there is", async () => {
    const waiting = claim({ wait_ms: 60_000 });
    await Promise.resolve();
    await push("1");
    expect(await waiting).toMatchObject([{ event: { body: "1" } }]);
    expect(await claim({ wait_ms: 1 })).toEqual([]);
  });

  it("M10 of many that wait each gets another event, and none is left while one waits", async () => {
    const waiting = Array.from({ length: 20 }, (_, n) => claim({ agent: `@${n}`, wait_ms: 60_000 }));
    await Promise.all(Array.from({ length: 20 }, (_, n) => push(String(n))));
    const claimed = (await Promise.all(waiting)).flat();
    expect(new Set(claimed.map(({ event }) => event.id)).size).toBe(20);
    expect(await claim()).toEqual([]);
  });

  it("one that takes several leaves the rest to the next that waits", async () => {
    const first = claim({ agent: "@a", limit: 2, wait_ms: 60_000 });
    const second = claim({ agent: "@b", limit: 2, wait_ms: 60_000 });
    await opened.store.append(
      ["1", "2", "3"].map((body) => opened.events.draft({ topic: "work", body }, null)),
    );
    const bodies = (await Promise.all([first, second])).map((all) => all.map(({ event }) => event.body));
    expect(bodies).toEqual([["1", "2"], ["3"]]);
  });

  it("who has gone takes no wake-up from those who stay", async () => {
    const gone = new AbortController();
    const leaving = claim({ agent: "@gone", wait_ms: 60_000 }, gone.signal);
    const staying = claim({ agent: "@b", wait_ms: 60_000 });
    await Promise.resolve();
    gone.abort();
    expect(await leaving).toEqual([]);
    await push("1");
    expect(await staying).toHaveLength(1);
  });

  it("is woken by what is released, redriven or becomes due", async () => {
    await push("1");
    const [held] = await claim();
    const waiting = claim({ agent: "@b", wait_ms: 60_000 });
    await Promise.resolve();
    await queue.settle(held?.event.id ?? "", { lease: held?.lease }, { kind: "release" });
    const [again] = await waiting;
    expect(again).toMatchObject({ event: { body: "1" }, attempt: 1 });
    await queue.settle(again?.event.id ?? "", { lease: again?.lease }, { kind: "reject", error: "no" });
    const afterRedrive = claim({ agent: "@c", wait_ms: 60_000 });
    await Promise.resolve();
    await opened.store.redrive("work", undefined, true);
    expect(await afterRedrive).toHaveLength(1);
  });

  it("M9 a prompt that changes counts from the next claim on", async () => {
    await push("1");
    await push("2");
    await queue.update("work", { prompt: "old" });
    expect((await claim())[0]?.prompt).toBe("old");
    await queue.update("work", { prompt: null });
    expect((await claim())[0]?.prompt).toBeNull();
  });
});

describe("a reply", () => {
  it("M8 is an event of the same correlation, and ends the one it answers in the same write", async () => {
    const { event } = await push("question", { conversation_key: "chat:1", correlation_id: "c" });
    const [held] = await claim();
    const { answer, status } = await queue.reply(event.id, {
      lease: held?.lease,
      agent: "@a",
      status: "success",
      body: "answer",
      payload: { n: 1 },
      topic: "answers",
    });
    expect(status).toBe("completed");
    expect(answer).toMatchObject({
      type: "message.replied",
      source: "@a",
      topic: "answers",
      body: "answer",
      payload: { n: 1, reply_to: event.id, status: "completed" },
      correlation_id: "c",
      conversation_key: "chat:1",
      parent_id: event.id,
      depth: 1,
    });
    expect((await opened.store.getDeliveries(event.id))[0]).toMatchObject({ status: "completed" });
  });

  it("U14 failure and failed mean the same, as do success and completed", async () => {
    const words = {
      success: "completed",
      completed: "completed",
      failed: "failed",
      failure: "failed",
    } as const;
    for (const [word, status] of Object.entries(words)) {
      const { event } = await push(word);
      const replied = await queue.reply(event.id, { status: word as keyof typeof words, body: "" });
      expect([word, replied.status]).toEqual([word, status]);
      expect((await opened.store.getDeliveries(event.id))[0]?.status).toBe(status);
    }
  });

  it("without a topic nobody can claim it, but its own correlation finds it", async () => {
    const { event } = await push("question");
    const { answer } = await queue.reply(event.id, { status: "success", body: "answer" });
    expect(answer).toMatchObject({ topic: null, subject: "replies.work", correlation_id: event.id });
  });

  it("to what is unknown, ended or held by another is refused and records nothing", async () => {
    const { event } = await push("question");
    await claim();
    const before = opened.store.lastSeq();
    const reply = { status: "success", body: "" } as const;
    await expect(queue.reply("evt_none", reply)).rejects.toMatchObject({ code: "not_found" });
    await expect(queue.reply(event.id, { ...reply, agent: "@b" })).rejects.toMatchObject({
      code: "lease_lost",
    });
    await queue.reply(event.id, { ...reply, agent: "@a" });
    await expect(queue.reply(event.id, reply)).rejects.toMatchObject({ code: "conflict" });
    expect(opened.store.lastSeq()).toBe(before + 1);
  });

  it("an event of no topic can be answered, but there is nothing of it to settle", async () => {
    const { event } = await append(opened, { body: "note" });
    await expect(queue.settle(event.id, {}, { kind: "complete" })).rejects.toMatchObject({
      code: "conflict",
    });
    const { answer } = await queue.reply(event.id, { status: "success", body: "seen" });
    expect(answer).toMatchObject({ subject: "replies.api", parent_id: event.id });
  });
});

it("waiting ends when the queue closes or the service stops", async () => {
  const stop = new AbortController();
  const waiting = claim({ wait_ms: 600_000 }, stop.signal);
  let ended = false;
  void waiting.then(() => {
    ended = true;
  });
  stop.abort();
  await eventually(() => ended);
  expect(await waiting).toEqual([]);
});
