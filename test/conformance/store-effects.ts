import { expect, it } from "vitest";
import type { OpenedStore } from "../harness/store.ts";
import { effectDraft } from "./store-drafts.ts";

export function effectsConformance(current: () => OpenedStore): void {
  const now = () => current().clock.nowMs();
  const claim = (target = "github", limit = 10) =>
    current().store.claimEffects({ target, by: "worker", limit, lease_ms: 5_000, now_ms: now() });

  it("U6 an effect is recorded once by its idempotency key and comes back as it was", async () => {
    const { store } = current();
    const draft = effectDraft({ cause: { workflow: "labeller", line: "labeller.lua:3" } });
    const [first] = await store.proposeEffects([draft]);
    const [again] = await store.proposeEffects([effectDraft({ id: "eff_9", idempotency_key: "eff_1" })]);
    expect(again).toEqual(first);
    expect(first).toMatchObject({ ...draft, attempts: 0, result: null, lease: null });
    await current().reopen();
    expect(await current().store.getEffect("eff_1")).toEqual(first);
    expect(await current().store.getEffect("eff_9")).toBeNull();
  });

  it("U6 S8 two claimers never get the same effect, in the order asked for whatever the ids say", async () => {
    const { store } = current();
    const ids = Array.from({ length: 20 }, (_, index) => `eff_${String((index * 7) % 20).padStart(2, "0")}`);
    await store.proposeEffects(ids.map((id) => effectDraft({ id })));
    const [one, two] = await Promise.all([claim("github", 12), claim("github", 12)]);
    expect([...one, ...two].map((effect) => effect.id)).toEqual(ids);
    expect(one[0]).toMatchObject({ state: "running", attempts: 1, lease_until_ms: now() + 5_000 });
    expect(await claim()).toEqual([]);
  });

  it("U6 S8 a claim that waits takes what becomes ready in the commit that makes it so, oldest claim first", async () => {
    const { store } = current();
    const told: string[][] = [];
    store.onCommitted(({ changed }) => void told.push([...changed]));
    const stop = new AbortController();
    const wait = (target: string, limit: number) =>
      store.claimEffects({ target, by: "worker", limit, lease_ms: 5_000, now_ms: now(), until: stop.signal });
    const claims = [wait("github", 2), wait("github", 1), wait("github", 1), wait("mail", 1)];
    const ids = ["eff_1", "eff_2", "eff_3"];
    await store.proposeEffects(ids.map((id) => effectDraft({ id })));
    const [first, second] = await Promise.all(claims.slice(0, 2));
    expect(first?.map(({ id, state, attempts }) => [id, state, attempts])).toEqual([
      ["eff_1", "running", 1],
      ["eff_2", "running", 1],
    ]);
    expect(second?.map(({ id }) => id)).toEqual(["eff_3"]);
    expect(told).toEqual([ids]);
    stop.abort();
    expect(await Promise.all(claims.slice(2))).toEqual([[], []]);
    await store.proposeEffects([effectDraft({ id: "eff_4" })]);
    expect(await wait("github", 1)).toEqual([]);
    expect((await claim()).map(({ id }) => id)).toEqual(["eff_4"]);
  });

  it("a claim that waits goes on waiting when what it would have got was not recorded", async () => {
    const { store } = current();
    const stop = new AbortController();
    const lane = { target: "github", by: "worker", limit: 5, lease_ms: 5_000 };
    const waits = store.claimEffects({ ...lane, now_ms: now(), until: stop.signal });
    const recorded = store.proposeEffects([effectDraft({ id: "eff_2" })]);
    // The same id under another key.
    const refused = effectDraft({ id: "eff_2", idempotency_key: "other" });
    await expect(store.proposeEffects([refused])).rejects.toThrow();
    await recorded;
    expect((await waits).map(({ id }) => id)).toEqual(["eff_2"]);
  });

  it("a claim that waits is given what is there already, and is refused when the store is closed", async () => {
    const { store } = current();
    await store.proposeEffects([effectDraft({ id: "eff_1" })]);
    const until = new AbortController().signal;
    const lane = { target: "github", by: "worker", limit: 5, lease_ms: 5_000, now_ms: now(), until };
    expect((await store.claimEffects(lane)).map(({ id }) => id)).toEqual(["eff_1"]);
    const refused = expect(store.claimEffects(lane)).rejects.toMatchObject({ code: "unavailable" });
    await current().reopen();
    await refused;
  });

  it("U8 a step is compare-and-set: a wrong state or lease changes nothing, and of two one wins", async () => {
    const { store, events } = current();
    await store.proposeEffects([effectDraft({ state: "waiting" })]);
    const approve = () => store.changeEffect("eff_1", { from: ["waiting"], to: "approved", now_ms: now() });
    const decided = await Promise.all([approve(), approve()]);
    expect(decided.filter((one) => one !== null)).toHaveLength(1);
    const [held] = await claim();
    const end = (lease: string | undefined) =>
      store.changeEffect("eff_1", {
        from: ["running"],
        lease,
        to: "succeeded",
        now_ms: now(),
        result: { ok: true },
        event: events.draft({ type: "effect.succeeded" }, null),
      });
    expect(await end("lea_other")).toBeNull();
    const ended = await end(held?.lease ?? undefined);
    const [told] = await store.readLog(0, 10);
    expect(ended).toMatchObject({
      state: "succeeded",
      result: { ok: true },
      lease: null,
      result_event_id: told?.id,
    });
    expect(await end(held?.lease ?? undefined)).toBeNull();
    expect(await store.readLog(0, 10)).toHaveLength(1);
    expect(
      await store.changeEffect("eff_x", { from: ["waiting"], to: "approved", now_ms: now() }),
    ).toBeNull();
  });

  it("effects that wait for their time, lapse or expire are told when they are due", async () => {
    const { store, clock } = current();
    await store.proposeEffects([
      effectDraft({ id: "eff_1" }),
      effectDraft({ id: "eff_2", target: "mail" }),
      effectDraft({ id: "eff_3", state: "waiting", expires_ms: now() + 9_000 }),
    ]);
    await claim();
    const pause = { from: ["approved"], to: "approved", not_before_ms: now() + 7_000 } as const;
    await store.changeEffect("eff_2", { ...pause, now_ms: now() });
    expect(await claim("mail")).toEqual([]);
    expect(store.nextDue()).toBe(now() + 5_000);
    clock.advance(5_000);
    expect((await store.dueEffects(now())).lapsed.map((effect) => effect.id)).toEqual(["eff_1"]);
    await store.extendEffects(["eff_1"], "somebody else", now() + 60_000);
    expect((await store.dueEffects(now())).lapsed).toHaveLength(1);
    await store.extendEffects(["eff_1"], "worker", now() + 60_000);
    expect((await store.dueEffects(now())).lapsed).toEqual([]);
    clock.advance(4_000);
    expect(await store.dueEffects(now())).toMatchObject({ expired: [{ id: "eff_3" }] });
    expect((await claim("mail")).map((effect) => effect.id)).toEqual(["eff_2"]);
    expect((await store.runningEffects()).map((effect) => effect.id).sort()).toEqual(["eff_1", "eff_2"]);
    expect(store.totals().effects).toEqual({
      ...{ waiting: 1, running: 2, unknown: 0, failed: 0, unaddressed: 0 },
    });
  });

  it("effects are listed newest first by state, target, workflow, event and run", async () => {
    const { store } = current();
    await store.proposeEffects([
      effectDraft({ id: "eff_1", cause: { workflow: "a", event_id: "evt_1", run_id: "run_1" } }),
      effectDraft({ id: "eff_2", target: "mail", cause: { workflow: "a" } }),
      effectDraft({ id: "eff_3", state: "waiting" }),
    ]);
    const ids = async (query: object) =>
      (await store.listEffects({ limit: 10, ...query })).map((effect) => effect.id);
    expect(await ids({})).toEqual(["eff_3", "eff_2", "eff_1"]);
    expect(await ids({ before: "eff_3" })).toEqual(["eff_2", "eff_1"]);
    expect(await ids({ state: "waiting" })).toEqual(["eff_3"]);
    expect(await ids({ target: "mail" })).toEqual(["eff_2"]);
    expect(await ids({ workflow: "a", state: "approved" })).toEqual(["eff_2", "eff_1"]);
    expect(await ids({ event_id: "evt_1" })).toEqual(["eff_1"]);
    expect(await ids({ run_id: "run_1" })).toEqual(["eff_1"]);
    expect(await ids({ limit: 1 })).toEqual(["eff_3", "eff_2"]);
  });

  it("commits tell which effects changed and which ended", async () => {
    const { store } = current();
    const told: { changed: string[]; ended: string[]; targets: string[] }[] = [];
    store.onCommitted(({ changed, ended, targets }) => {
      told.push({ changed: [...changed], ended: ended.map((one) => one.id), targets: [...targets] });
    });
    await store.proposeEffects([effectDraft()]);
    await claim();
    await store.changeEffect("eff_1", { from: ["running"], to: "failed", now_ms: now(), error: "no" });
    expect(told).toEqual([
      { changed: [], ended: [], targets: ["github"] },
      { changed: ["eff_1"], ended: [], targets: [] },
      { changed: ["eff_1"], ended: ["eff_1"], targets: [] },
    ]);
  });

  it("S8 U6 a command goes to its agent, all other kinds to whoever does them, whatever the target is called", async () => {
    const { store } = current();
    await store.proposeEffects([
      effectDraft({ id: "eff_1", kind: "http", target: "github" }),
      effectDraft({ id: "eff_2", kind: "command", target: "github" }),
      effectDraft({ id: "eff_3", kind: "http", target: "api.example.com" }),
    ]);
    const take = (kind: string) =>
      store.claimEffects({ kind, by: "worker", limit: 10, lease_ms: 5_000, now_ms: now() });
    expect((await claim("github")).map(({ id }) => id)).toEqual(["eff_2"]);
    expect(await take("command")).toEqual([]);
    expect((await take("http")).map(({ id }) => id)).toEqual(["eff_1", "eff_3"]);
  });

  it("U8 one that is proposed is judged by compare-and-set, and keeps what it is bound to", async () => {
    const { store } = current();
    const proposed: string[] = [];
    const stop = store.onCommitted((committed) => proposed.push(...committed.proposed));
    await store.proposeEffects([effectDraft({ kind: "shell", state: "proposed" })]);
    stop();
    expect(proposed).toEqual(["eff_1"]);
    expect((await store.proposedEffects()).map(({ id }) => id)).toEqual(["eff_1"]);
    const policy = { decision: "ask", rule: "asked" } as const;
    const judge = () =>
      store.changeEffect("eff_1", {
        ...{ from: ["proposed"], to: "waiting", now_ms: now() },
        changed: { sha256: "f".repeat(64), policy, code: "ACDE3467", bound: { digest: "d" } },
      });
    expect((await Promise.all([judge(), judge()])).filter((one) => one !== null)).toHaveLength(1);
    await current().reopen();
    expect(await current().store.getEffect("eff_1")).toMatchObject({ bound: { digest: "d" }, policy });
    expect(await current().store.findApprovalCode("ACDE3467")).toBe("eff_1");
    expect(await current().store.proposedEffects()).toEqual([]);
  });

  it("U8 one is familiar by its target once it has succeeded, and by what it binds to once it was allowed", async () => {
    const { store } = current();
    const like = { kind: "http", target: "api.example.com", action: "POST" };
    await store.proposeEffects([
      effectDraft({ ...like, id: "eff_1", cause: { source: "workflow:w" } }),
      effectDraft({
        ...like,
        id: "eff_2",
        kind: "action",
        bound: { digest: "d", env: ["A"] },
        state: "waiting",
      }),
    ]);
    const bound = { env: ["A"], digest: "d" };
    const known = () =>
      Promise.all([
        store.isFamiliar({ ...like, source: "workflow:w" }),
        store.isFamiliar({ ...like, source: "workflow:other" }),
        store.isFamiliar({ ...like, kind: "action", bound }),
        store.isFamiliar({ ...like, kind: "action", bound: { ...bound, digest: "e" } }),
      ]);
    expect(await known()).toEqual([false, false, false, false]);
    await store.changeEffect("eff_1", { from: ["approved"], to: "succeeded", now_ms: now() });
    await store.changeEffect("eff_2", { from: ["waiting"], to: "approved", now_ms: now() });
    expect(await known()).toEqual([true, false, true, false]);
  });

  it("U8 of effects that a budget of bytes counts, the one that goes over it waits", async () => {
    const { store } = current();
    const held = { policy: { decision: "ask", rule: "used up" } as const, code: "ACDE3467", events: [] };
    const budgets = [{ bytes: 100, since_ms: 0, like: { kind: ["http"] }, held }];
    const draft = (id: string, size: number) =>
      effectDraft({ id, kind: "http", payload: { body: "a".repeat(size) }, budgets });
    const states = async (...drafts: ReturnType<typeof draft>[]) =>
      (await store.proposeEffects(drafts)).map(({ state }) => state);
    expect(await states(draft("eff_1", 40), draft("eff_2", 60), draft("eff_3", 20))).toEqual([
      "approved",
      "waiting",
      "approved",
    ]);
  });
}
