import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/eventually.ts";
import { openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import { registerAgent } from "../contract/agents.ts";
import { silentLog } from "../lib/log.ts";
import { type AgentRegistry, startAgentRegistry } from "./registry.ts";

let opened: SqliteOpened;
let registry: AgentRegistry;

const start = () => {
  const { store, clock, events } = opened;
  return startAgentRegistry({ store, clock, log: silentLog, events, staleMs: 120_000 });
};

beforeEach(async () => {
  opened = await openSqlite();
  registry = await start();
});

afterEach(async () => {
  await registry.close();
  await opened.close();
});

const deployer = registerAgent.parse({
  name: "deployer",
  version: "1.2.3",
  capabilities: ["deploy"],
  commands: ["sync", { name: "deploy", title: "Deploy a version", idempotent: false }],
});

const told = async () =>
  (await opened.store.readLog(0, 100)).map(({ type, payload }) => [type, payload.name]);
const statusOf = async (name: string) => (await registry.get(name)).status;

describe("agent registry", () => {
  it("S5 a registration is kept across a restart with everything it said", async () => {
    await registry.register(deployer);
    await registry.close();
    await opened.reopen();
    registry = await start();
    expect(await registry.get("deployer")).toMatchObject({
      name: "deployer",
      kind: "agent",
      version: "1.2.3",
      capabilities: ["deploy"],
      commands: [{ name: "sync" }, { name: "deploy", title: "Deploy a version", idempotent: false }],
      registered_ms: opened.clock.nowMs(),
    });
  });

  it("S6 a beat may come before the registration: the agent is seen, then online", async () => {
    expect(await registry.beat("early", { events_processed: 3 })).toMatchObject({
      status: "seen",
      events_processed: 3,
      registered_ms: null,
    });
    expect(await registry.list()).toMatchObject([{ name: "early", status: "seen" }]);
    expect(await told()).toEqual([]);
    expect(await registry.register({ ...deployer, name: "early" })).toMatchObject({
      status: "online",
      events_processed: 3,
    });
    expect(await told()).toEqual([["signalbox.agent.online", "early"]]);
  });

  it("U16 who is silent for 120 s goes offline with one event, and comes back with one", async () => {
    const { clock } = opened;
    await registry.register(deployer);
    await registry.register({ ...deployer, name: "steady" });
    clock.advance(60_000);
    await registry.beat("steady", {});
    clock.advance(59_999);
    expect(await statusOf("deployer")).toBe("online");
    clock.advance(1);
    await eventually(
      () => statusOf("deployer"),
      (status) => status === "offline",
    );
    expect(await statusOf("steady")).toBe("online");
    clock.advance(30_000);
    await registry.beat("deployer", {});
    expect(await statusOf("deployer")).toBe("online");
    expect((await told()).filter(([, name]) => name === "deployer")).toEqual([
      ["signalbox.agent.online", "deployer"],
      ["signalbox.agent.offline", "deployer"],
      ["signalbox.agent.online", "deployer"],
    ]);
    clock.advance(30_000);
    await eventually(
      () => statusOf("steady"),
      (status) => status === "offline",
    );
  });

  it("U16 an agent that says it stops is offline at once", async () => {
    await registry.register(deployer);
    await registry.goOffline("deployer");
    expect(await statusOf("deployer")).toBe("offline");
    await expect(registry.goOffline("nobody")).rejects.toMatchObject({ code: "not_found" });
  });

  it("U16 the time the service was away counts as nobody's silence", async () => {
    await registry.register(deployer);
    await registry.close();
    await opened.reopen();
    opened.clock.advance(3_600_000);
    registry = await start();
    expect(await statusOf("deployer")).toBe("online");
    opened.clock.advance(120_000);
    await eventually(
      () => statusOf("deployer"),
      (status) => status === "offline",
    );
  });

  it("U16 a closed registry leaves no timer behind", async () => {
    await registry.register(deployer);
    expect(opened.clock.pending).toBe(1);
    await registry.close();
    expect(opened.clock.pending).toBe(0);
  });

  it("U9 @deployer and deployer are one agent", async () => {
    await registry.register({ ...deployer, name: "@deployer" });
    await registry.beat("deployer", { errors: 1 });
    expect(await registry.get("@deployer")).toMatchObject({ name: "deployer", status: "online", errors: 1 });
    const leave = registry.connected("@deployer");
    expect(await registry.list()).toMatchObject([{ name: "deployer", connections: 1 }]);
    leave();
    await registry.remove("@deployer");
    expect(await registry.list()).toEqual([]);
  });

  it("an agent can't take the place of a connector", async () => {
    await registry.register({ ...deployer, name: "github" }, "connector");
    const refused = { code: "conflict" };
    await expect(registry.register({ ...deployer, name: "github" })).rejects.toMatchObject(refused);
    await expect(registry.beat("@github", {})).rejects.toMatchObject(refused);
    await expect(registry.goOffline("github")).rejects.toMatchObject(refused);
    opened.clock.advance(600_000);
    expect(await registry.get("github")).toMatchObject({ kind: "connector", status: "online" });
    await registry.remove("github");
    expect(await registry.register({ ...deployer, name: "github" })).toMatchObject({ kind: "agent" });
  });

  it("U16 a connector that this start has no settings for is offline, and comes back with them", async () => {
    await registry.register({ ...deployer, name: "github-agent" }, "connector");
    await registry.onlyConnectors(new Set(["github-agent"]));
    expect(await statusOf("github-agent")).toBe("online");
    await registry.onlyConnectors(new Set());
    expect(await statusOf("github-agent")).toBe("offline");
    await registry.register({ ...deployer, name: "github-agent" }, "connector");
    expect(await told()).toEqual([
      ["signalbox.agent.online", "github-agent"],
      ["signalbox.agent.offline", "github-agent"],
      ["signalbox.agent.online", "github-agent"],
    ]);
  });

  it("S16 counts its connections and open commands", async () => {
    await registry.register(deployer);
    const [first, second] = [registry.connected("deployer"), registry.connected("deployer")];
    expect(await registry.get("deployer")).toMatchObject({ connections: 2, open_commands: 0 });
    first();
    second();
    expect(await registry.get("deployer")).toMatchObject({ connections: 0 });
  });
});
