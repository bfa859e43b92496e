import { afterEach, beforeEach, expect, it } from "vitest";
import { effectDraft } from "../../test/conformance/store-drafts.ts";
import { eventually } from "../../test/harness/service.ts";
import { append, openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import { silentLog } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import { startDueTimer } from "./due.ts";
import type { Committed, Store } from "./store.ts";

let opened: SqliteOpened;
let timer: Closeable | undefined;
let fired: number;

beforeEach(async () => {
  opened = await openSqlite();
  fired = 0;
});
afterEach(async () => {
  await timer?.close();
  await opened.close();
});

function start(store: Store = opened.store): void {
  const { clock } = opened;
  timer = startDueTimer({
    store,
    clock,
    log: silentLog,
    onDue: async (now_ms) => {
      fired += 1;
      const { expired } = await store.dueEffects(now_ms);
      for (const row of expired)
        await store.changeEffect(row.id, { from: [row.state], to: "expired", now_ms, error: "late" });
    },
  });
}

const claim = (limit = 1) =>
  opened.store.claim({
    topic: "work",
    agent: "@a",
    limit,
    lease_ms: undefined,
    now_ms: opened.clock.nowMs(),
  });

function topicsWoken(): Set<string> {
  const woken = new Set<string>();
  opened.store.onCommitted(({ topics }: Committed) => {
    for (const topic of topics) woken.add(topic);
  });
  return woken;
}

it("M22 what was delayed becomes claimable at its time, without anybody asking", async () => {
  start();
  await append(opened, { topic: "work", body: "later", delay_ms: 5_000 });
  const woken = topicsWoken();
  opened.clock.advance(4_999);
  expect(woken.size).toBe(0);
  opened.clock.advance(1);
  await eventually(() => woken.has("work"));
});

it("an expired lease gives its event back by itself", async () => {
  start();
  await append(opened, { topic: "work", body: "1" });
  expect(await claim()).toHaveLength(1);
  const woken = topicsWoken();
  opened.clock.advance(10_000);
  await eventually(() => woken.has("work"));
  expect((await claim())[0]?.attempt).toBe(2);
});

it("what was due while the service did not run is done at the start", async () => {
  await append(opened, { topic: "work", body: "later", delay_ms: 5_000 });
  opened.clock.advance(60_000);
  const woken = topicsWoken();
  start();
  opened.clock.advance(0);
  await eventually(() => woken.has("work"));
});

it("an earlier time moves the timer forward, a later one does not move it back", async () => {
  start();
  await append(opened, { topic: "work", body: "b", delay_ms: 60_000 });
  await append(opened, { topic: "work", body: "a", delay_ms: 1_000 });
  await append(opened, { topic: "work", body: "c", delay_ms: 90_000 });
  expect(opened.clock.pending).toBe(1);
  opened.clock.advance(1_000);
  await eventually(() => opened.clock.pending === 1 && fired === 1);
  expect(await claim(5)).toHaveLength(1);
});

it("an effect whose time has come but that nobody takes does not keep the timer busy", async () => {
  start();
  const { store, clock } = opened;
  const now_ms = clock.nowMs();
  await store.proposeEffects([effectDraft({ expires_ms: null })]);
  const [running] = await store.claimEffects({
    target: effectDraft().target,
    by: "x",
    limit: 1,
    lease_ms: 60_000,
    now_ms,
  });
  await store.changeEffect(running?.id ?? "", {
    from: ["running"],
    to: "approved",
    now_ms,
    not_before_ms: now_ms + 1_000,
  });
  const targets = new Set<string>();
  store.onCommitted((committed) => {
    for (const target of committed.targets) targets.add(target);
  });
  clock.advance(1_000);
  await eventually(() => targets.size === 1 && fired > 0);
  await eventually(() => store.nextDue() === null);
  expect(clock.pending).toBe(0);
});

it("a clock that was set back wakes it early, and it waits on", async () => {
  start();
  await append(opened, { topic: "work", body: "later", delay_ms: 5_000 });
  opened.clock.set(opened.clock.nowMs() - 60_000);
  opened.clock.advance(5_000);
  await eventually(() => fired === 1 && opened.clock.pending === 1);
  expect(await claim()).toEqual([]);
  opened.clock.advance(60_000);
  await eventually(() => fired === 2);
  expect(await claim()).toHaveLength(1);
});

it("a failure is tried again a second later, and a stop ends it", async () => {
  let failures = 1;
  const store: Store = {
    ...opened.store,
    promoteDue: (now_ms) =>
      failures-- > 0 ? Promise.reject(new Error("disk")) : opened.store.promoteDue(now_ms),
  };
  start(store);
  await append(opened, { topic: "work", body: "later", delay_ms: 1_000 });
  opened.clock.advance(1_000);
  await eventually(() => failures === 0 && opened.clock.pending === 1);
  opened.clock.advance(1_000);
  await eventually(() => fired === 1);
  await timer?.close();
  await append(opened, { topic: "work", body: "more", delay_ms: 1_000 });
  expect(opened.clock.pending).toBe(0);
});
