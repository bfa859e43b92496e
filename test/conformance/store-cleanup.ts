import { expect, it } from "vitest";
import type { NewEvent } from "../../service/contract/events.ts";
import type { CleanupRequest } from "../../service/store/store.ts";
import { append, type OpenedStore } from "../harness/store.ts";
import { effectDraft, runRow } from "./store-drafts.ts";

const DAY = 24 * 3_600_000;

export function cleanupConformance(current: () => OpenedStore): void {
  const now = () => current().clock.nowMs();
  const push = async (input: NewEvent) => (await append(current(), input)).event;
  const request = (more: Partial<CleanupRequest> = {}): CleanupRequest => ({
    completed_before_ms: now() - 30 * DAY,
    raw_before_ms: now() - 7 * DAY,
    pending_before_ms: 0,
    dry_run: false,
    now_ms: now(),
    batch: 100,
    ...more,
  });
  /** All batches of one clean-up. */
  const clean = async (more: Partial<CleanupRequest> = {}) => {
    const total = { events: 0, raw: 0, runs: 0, effects: 0, calls: 0 };
    for (let again = true; again; total.calls++) {
      const part = await current().store.cleanup(request(more));
      total.events += part.events;
      total.raw += part.raw;
      total.runs += part.runs;
      total.effects += part.effects;
      again = part.more;
    }
    return total;
  };
  const complete = async (topic: string) => {
    const { store } = current();
    const [claimed] = await store.claim({ topic, agent: "@a", limit: 1, lease_ms: undefined, now_ms: now() });
    const event_id = claimed?.event.id ?? "";
    await store.settle({ event_id, holder: {}, settlement: { kind: "complete" }, now_ms: now(), events: [] });
  };
  const left = async () => (await current().store.readLog(0, 1_000)).map((event) => event.body);
  const countedRight = async () => {
    const real = await current().countDeliveries();
    for (const topic of await current().store.listTopics()) {
      const { delayed: _delayed, ...counts } = topic.counts;
      for (const [status, n] of Object.entries(counts)) {
        const row = real.find((one) => one.topic === topic.name && one.status === status);
        expect(row?.n ?? 0, `${topic.name} ${status}`).toBe(n);
      }
    }
  };

  it("M13 finished events stay 30 days from when they were finished, with all that hangs on them", async () => {
    await push({ topic: "t", body: "done @bob bash(ls)", raw: { secret: 1 } });
    await complete("t");
    await push({ type: "note.taken", body: "free" });
    current().clock.advance(30 * DAY);
    expect(await clean()).toMatchObject({ events: 0, raw: 1 });
    current().clock.advance(1);
    expect(await clean()).toMatchObject({ events: 2, raw: 0 });
    expect(current().store.totals()).toMatchObject({ events: 0, last_seq: 2 });
    await countedRight();
  });

  it("U29 raw messages go first, on their own time", async () => {
    const { id } = await push({ topic: "t", body: "x", raw: { secret: 1 } });
    current().clock.advance(7 * DAY);
    expect(await clean()).toMatchObject({ raw: 0 });
    current().clock.advance(1);
    expect(await clean()).toMatchObject({ raw: 1, events: 0 });
    expect(await current().store.getRaw(id)).toBeNull();
    expect(await current().store.getEvent(id)).toMatchObject({ body: "x" });
  });

  it("U29 a topic's own retention comes before the general one", async () => {
    const { store } = current();
    await store.saveTopic("short", { retention_ms: DAY }, now());
    await store.saveTopic("long", { retention_ms: 90 * DAY }, now());
    for (const topic of ["short", "long", "plain"]) {
      await push({ topic, body: topic });
      await complete(topic);
    }
    current().clock.advance(2 * DAY);
    await clean();
    expect(await left()).toEqual(["long", "plain"]);
    current().clock.advance(30 * DAY);
    await clean();
    expect(await left()).toEqual(["long"]);
    current().clock.advance(60 * DAY);
    await clean();
    expect(await left()).toEqual([]);
    await countedRight();
  });

  it("U29 M23 waiting events stay for ever unless a time is set, for all or for the topic", async () => {
    const { store } = current();
    await push({ topic: "a", body: "a" });
    await push({ topic: "b", body: "b" });
    await push({ topic: "b", body: "b later", delay_ms: 20 * DAY });
    current().clock.advance(15 * DAY);
    await clean();
    expect(await left()).toEqual(["a", "b", "b later"]);
    await store.saveTopic("b", { pending_ttl_ms: 10 * DAY }, now());
    await clean();
    expect(await left()).toEqual(["a", "b later"]);
    await clean({ pending_before_ms: now() });
    expect(await left()).toEqual(["b later"]);
    await countedRight();
  });

  it("U29 nothing that is open is removed: claimed, of an open run, of an open effect, or unread by a consumer", async () => {
    const { store } = current();
    await push({ topic: "t", body: "claimed" });
    await store.claim({ topic: "t", agent: "@a", limit: 1, lease_ms: 365 * DAY, now_ms: now() });
    const ofRun = await push({ type: "a.b", body: "of run" });
    const ofEffect = await push({ type: "a.b", body: "of effect" });
    await push({ type: "a.b", body: "done" });
    await push({ type: "a.b", body: "unread" });
    const run = runRow({ event_id: ofRun.id, seq: ofRun.seq, status: "waiting" });
    await store.commitRun({ run, events: [], effects: [], state: [] });
    await store.proposeEffects([
      effectDraft({
        state: "waiting",
        cause: { event_id: ofEffect.id },
        created_ms: now(),
        expires_ms: null,
      }),
    ]);
    await store.saveCursor("workflow:slow", 4, now());
    current().clock.advance(31 * DAY);
    await clean();
    expect(await left()).toEqual(["claimed", "of run", "of effect", "unread"]);
    await store.commitRun({
      run: { ...run, status: "succeeded", finished_ms: now() },
      events: [],
      effects: [],
      state: [],
    });
    await store.changeEffect("eff_1", { from: ["waiting"], to: "denied", now_ms: now() });
    await store.saveCursor("workflow:slow", 5, now());
    expect(await clean()).toMatchObject({ events: 3, runs: 1, effects: 1 });
    expect(await left()).toEqual(["claimed"]);
    expect(await store.getRun(run.run_id)).toBeNull();
    expect(await store.getEffect("eff_1")).toBeNull();
  });

  it("U29 a consumer that was not seen for a quarter of a year holds nothing up", async () => {
    await current().store.saveCursor("workflow:deleted", 0, now());
    await push({ type: "a.b", body: "x" });
    current().clock.advance(80 * DAY);
    expect(await clean()).toMatchObject({ events: 0 });
    current().clock.advance(11 * DAY);
    expect(await clean()).toMatchObject({ events: 1 });
  });

  it("U29 runs and effects that no event caused go as well", async () => {
    const { store } = current();
    const run = runRow({ status: "succeeded", finished_ms: now() });
    await store.commitRun({ run, events: [], effects: [], state: [] });
    const drafts = ["eff_1", "eff_2"].map((id) =>
      effectDraft({ id, idempotency_key: id, created_ms: now(), cause: { event_id: null } }),
    );
    await store.proposeEffects(drafts);
    await store.changeEffect("eff_1", { from: ["approved"], to: "succeeded", now_ms: now() });
    current().clock.advance(31 * DAY);
    expect(await clean({ dry_run: true })).toMatchObject({ runs: 1, effects: 1, calls: 1 });
    expect(await clean()).toMatchObject({ runs: 1, effects: 1 });
    expect((await store.listEffects({ limit: 10 })).map((effect) => effect.id)).toEqual(["eff_2"]);
  });

  it("U29 a clean-up goes in batches, keeps counts right and a dry run says what it would do", async () => {
    for (let n = 0; n < 57; n++) await push({ topic: n % 2 === 0 ? "even" : "odd", body: `${n}` });
    for (let n = 0; n < 20; n++) await complete("even");
    current().clock.advance(31 * DAY);
    await push({ topic: "even", body: "new" });
    expect(await current().store.cleanup(request({ dry_run: true, batch: 7 }))).toMatchObject({
      events: 20,
      more: false,
    });
    expect(current().store.totals().events).toBe(58);
    const done = await clean({ batch: 7 });
    expect(done.events).toBe(20);
    expect(done.calls).toBeGreaterThanOrEqual(3);
    expect(current().store.totals()).toMatchObject({ events: 38, deliveries: { pending: 38 } });
    await countedRight();
  });
}
