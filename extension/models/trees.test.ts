import { describe, expect, it } from "vitest";
import type { Agent } from "../../service/contract/agents.ts";
import type { Topic } from "../../service/contract/topics.ts";
import type { Workflow } from "../../service/contract/workflows.ts";
import { agentRow, joinConnectors } from "./agents.ts";
import { ListSource } from "./list.ts";
import { english, type RowChange } from "./row.ts";
import { topicRow } from "./topics.ts";
import { clockTime, excerpt, relativeTime } from "./words.ts";
import { workflowNameFor, workflowRow } from "./workflows.ts";

const NOW = Date.UTC(2026, 5, 1, 12);

function agent(name: string, fields: Partial<Agent> = {}): Agent {
  return {
    name,
    status: "online",
    kind: "agent",
    version: "1.0.0",
    capabilities: [],
    commands: [{ name: "deploy", params: { type: "object" } }],
    registered_ms: NOW,
    last_beat_ms: NOW - 12_000,
    last_event_ms: null,
    events_processed: 0,
    errors: 0,
    connections: 1,
    open_commands: 0,
    ...fields,
  };
}

const counts = { pending: 0, delayed: 0, processing: 0, completed: 0, failed: 0, dead: 0 };
const topic: Topic = {
  name: "inbox",
  created_ms: NOW,
  prompt: "Be kind.",
  lease_ms: 1,
  max_attempts: 1,
  retention_ms: null,
  pending_ttl_ms: null,
  paused: false,
  allow: [],
  counts,
};

const noEffects = async () => [];

describe("a list", () => {
  it("draws of 1,000 agents only the one that changed", async () => {
    let agents = Array.from({ length: 1_000 }, (_, index) => agent(`agent-${index}`));
    let now = NOW;
    const source = new ListSource({
      load: async () => agents.map((one) => ({ agent: one, connector: null })),
      toRows: (items, nowMs) => items.map((item) => agentRow(item, nowMs, english, noEffects)),
      now: () => now,
    });
    const changes: RowChange[] = [];
    source.onChange((change) => changes.push(change));
    await source.refresh();
    expect(changes).toEqual(["all"]);
    agents = agents.map((one, index) => (index === 7 ? { ...one, status: "offline" as const } : one));
    const begin = performance.now();
    await source.refresh();
    expect(performance.now() - begin).toBeLessThan(500);
    expect(changes.slice(1)).toEqual([["agent:agent-7"]]);
    now += 500;
    source.tick();
    expect(changes).toHaveLength(2);
    now += 10_000;
    source.tick();
    expect(changes.at(-1)).toHaveLength(1_000);
  });

  it("reads once more, not once for each who asks", async () => {
    let reads = 0;
    const gate = Promise.withResolvers<void>();
    const source = new ListSource<string>({
      load: async () => {
        reads += 1;
        await gate.promise;
        return [];
      },
      toRows: () => [],
    });
    const all = [source.refresh(), source.refresh(), source.refresh()];
    gate.resolve();
    await Promise.all(all);
    expect(reads).toBe(2);
  });

  it("shows nothing that was read from a service that has gone", async () => {
    const gate = Promise.withResolvers<void>();
    const source = new ListSource<string>({
      load: async () => {
        await gate.promise;
        return ["late"];
      },
      toRows: (items) => items.map((id) => ({ id, label: id })),
    });
    const reading = source.refresh();
    source.clear();
    gate.resolve();
    await reading;
    expect(source.rows()).toEqual([]);
  });
});

describe("rows", () => {
  it("tell an agent's state by words and by a shape of its own", () => {
    const rows = (["online", "offline", "seen"] as const).map((status) =>
      agentRow({ agent: agent("a", { status }), connector: null }, NOW, english, noEffects),
    );
    expect(rows.map(({ icon }) => icon?.id)).toEqual(["pass-filled", "circle-slash", "question"]);
    expect(rows[0]?.description).toBe("online · 10 s ago");
    expect(rows[1]?.spoken).toBe("a, offline, 10 s ago");
  });

  it("put connectors after agents, and what mends a broken one into its menu", async () => {
    const github = {
      id: "github",
      title: "GitHub",
      state: "failed" as const,
      message: "Token refused",
      last_event_ms: null,
      mend: null,
    };
    const off = { ...github, id: "webhooks", state: "off" as const };
    const items = joinConnectors(
      [agent("zeta"), agent("github-agent", { kind: "connector" })],
      [github, off],
    );
    const rows = items.map((item) => agentRow(item, NOW, english, noEffects));
    expect(rows.map(({ label }) => label)).toEqual(["zeta", "GitHub"]);
    expect(rows[1]).toMatchObject({ context: "agent connector mendable", icon: { id: "error" } });
    expect((await rows[1]?.children?.())?.[0]?.label).toBe("Token refused");
    const alone = joinConnectors([], [github]).map((item) => agentRow(item, NOW, english, noEffects));
    expect(alone[0]).toMatchObject({ id: "connector:github", context: "connector mendable" });
    const secret = { kind: "secret" as const, env: ["TOKEN"], files: [] };
    const lacking = { ...off, mend: secret };
    const [row] = joinConnectors([], [lacking]).map((item) => agentRow(item, NOW, english, noEffects));
    expect(row).toMatchObject({ description: "lacks a secret", context: "connector mendable" });
  });

  it("count a topic's deliveries and put its dead letters first", async () => {
    const row = topicRow({ ...topic, counts: { ...counts, pending: 3, dead: 2 } }, english);
    expect(row).toMatchObject({
      description: "3 pending · 2 dead",
      context: "topic running dead",
      badge: { text: "2", isAlarming: true },
    });
    expect((await row.children?.())?.map(({ description }) => description)).toEqual([
      "3",
      "0",
      "0",
      "2",
      "Be kind.",
    ]);
    expect(topicRow({ ...topic, paused: true }, english)).toMatchObject({
      description: "paused",
      context: "topic paused",
    });
  });

  it("lead from a workflow to the line of each handler, and to what is wrong", async () => {
    const workflow: Workflow = {
      name: "hello",
      file: "/x/hello.lua",
      state: "failed",
      problem: { message: "unexpected symbol", file: "hello.lua", line: 4, traceback: null },
      version: null,
      handlers: [{ id: 1, kind: "event", pattern: "a.>", every_ms: null, line: 2 }],
      loaded_ms: null,
      events: 0,
      errors: 0,
      last_run_ms: null,
      lag: 0,
    };
    const row = workflowRow(workflow, NOW, english);
    expect(row).toMatchObject({ description: "does not load · never run", context: "workflow stopped" });
    const lines = (await row.children?.())?.map(({ item }) => (item?.kind === "workflow" ? item.line : null));
    expect(lines).toEqual([4, 2]);
  });
});

describe("words", () => {
  it.each([
    [NOW - 500, "now"],
    [NOW - 12_000, "12 s ago"],
    [NOW + 5 * 60_000, "in 5 min"],
    [NOW - 3 * 3_600_000, "3 h ago"],
    [NOW - 72 * 3_600_000, "3 d ago"],
  ])("say %s as %s", (time, words) => {
    expect(relativeTime(time, NOW, english)).toBe(words);
  });

  it("show the date of another day, and one line of a long text", () => {
    expect(clockTime(NOW, NOW)).toMatch(/^\d\d:\d\d:\d\d$/);
    expect(clockTime(NOW - 9 * 86_400_000, NOW)).toMatch(/^2026-05-2\d \d\d:/);
    expect(excerpt("  first\nsecond")).toBe("first");
    expect(excerpt("x".repeat(200))).toHaveLength(120);
  });
});

describe("a workflow's name", () => {
  it.each([
    ["github.issue.opened", null, "github-issue-opened"],
    ["message.pushed", "inbox", "inbox"],
    ["message.pushed", "42/Größe:x", "gr-e-x"],
    ["order.placed", "inbox", "order-placed"],
    ["99", null, ""],
  ])("follows from an event %s in %s", (type, topic, expected) => {
    expect(workflowNameFor({ type, topic })).toBe(expected);
  });
});
