import { expect, it } from "vitest";
import { eventQuery } from "../../service/contract/events.ts";
import { append, type OpenedStore } from "../harness/store.ts";
import { effectDraft } from "./store-drafts.ts";

export function agentsConformance(current: () => OpenedStore): void {
  const now = () => current().clock.nowMs();
  const registration = () => ({
    name: "deployer",
    kind: "agent" as const,
    version: "1.2.3",
    capabilities: ["deploy"],
    commands: [{ name: "sync", idempotent: true, params: { type: "object" } }],
    now_ms: now(),
  });

  it("U16 an agent is kept across a restart with what it registered and counted", async () => {
    const { store } = current();
    await store.saveAgent(registration());
    await store.beatAgent("deployer", {
      now_ms: now() + 5,
      events_processed: 7,
      errors: 1,
      last_event_ms: 3,
    });
    await store.beatAgent("deployer", { now_ms: now() + 9 });
    await current().reopen();
    const { now_ms, ...registered } = registration();
    expect(await current().store.getAgent("deployer")).toEqual({
      ...registered,
      registered_ms: now_ms,
      last_beat_ms: now_ms + 9,
      last_event_ms: 3,
      events_processed: 7,
      errors: 1,
      online: false,
    });
    expect(await current().store.getAgent("unknown")).toBeNull();
  });

  it("U16 a beat may come before the registration, which keeps its counters", async () => {
    const { store } = current();
    expect(await store.beatAgent("deployer", { now_ms: now(), events_processed: 3 })).toMatchObject({
      registered_ms: null,
      commands: [],
      events_processed: 3,
    });
    expect(await store.saveAgent(registration())).toMatchObject({ version: "1.2.3", events_processed: 3 });
    expect(await store.listAgents()).toHaveLength(1);
  });

  it("U9 @bob and bob are one agent: on a topic's list, as holder of a claim, and in a query", async () => {
    const { store } = current();
    await store.saveTopic("work", { allow: ["@bob"] }, now());
    const { event } = await append(current(), { topic: "work", body: "hello" });
    const claim = (agent: string) =>
      store.claim({ topic: "work", agent, limit: 1, lease_ms: undefined, now_ms: now() });
    await expect(claim("carol")).rejects.toMatchObject({ code: "forbidden" });
    expect(await claim("bob")).toHaveLength(1);
    const found = await store.findEvents(eventQuery.parse({ agent: "@bob" }));
    expect(found.map(({ id }) => id)).toEqual([event.id]);
    const settle = (agent: string) =>
      store.settle({
        ...{ event_id: event.id, holder: { agent }, settlement: { kind: "complete" } as const },
        ...{ now_ms: now(), events: [] },
      });
    await expect(settle("carol")).rejects.toMatchObject({ code: "lease_lost" });
    expect(await settle("@bob")).toMatchObject({ delivery: { status: "completed", claimed_by: "bob" } });
  });

  it("U16 going offline and coming back is told once each, in the same write", async () => {
    const { store, events } = current();
    await store.saveAgent(registration());
    const draft = (type: string) => events.draft({ type }, null);
    expect(await store.setAgentOnline("deployer", true, [draft("agent.online")])).toBe(true);
    expect(await store.setAgentOnline("deployer", true, [draft("agent.online")])).toBe(false);
    expect(await store.setAgentOnline("deployer", false, [draft("agent.offline")])).toBe(true);
    expect(await store.setAgentOnline("unknown", false, [draft("agent.offline")])).toBe(false);
    expect((await store.readLog(0, 10)).map((event) => event.type)).toEqual([
      "agent.online",
      "agent.offline",
    ]);
  });

  it("open commands are counted by target, and an agent can be removed", async () => {
    const { store } = current();
    await store.saveAgent(registration());
    await store.proposeEffects([
      effectDraft({ id: "eff_1", target: "deployer" }),
      effectDraft({ id: "eff_2", target: "deployer" }),
      effectDraft({ id: "eff_3", state: "waiting" }),
    ]);
    await store.changeEffect("eff_2", { from: ["approved"], to: "succeeded", now_ms: now() });
    expect(await store.countOpenEffects()).toEqual(new Map([["deployer", 1]]));
    expect(await store.removeAgent("deployer")).toBe(true);
    expect(await store.removeAgent("deployer")).toBe(false);
    expect(await store.listAgents()).toEqual([]);
  });
}
