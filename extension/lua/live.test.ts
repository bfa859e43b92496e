import { describe, expect, it } from "vitest";
import { LiveData } from "./live.ts";

type Client = NonNullable<ReturnType<ConstructorParameters<typeof LiveData>[0]["client"]>>;

function open(replies: Partial<Client> = {}) {
  const state = { now: 0, calls: [] as string[], ready: true, said: [] as string[], names: ["github-agent"] };
  const client = {
    listAgents: async () => {
      state.calls.push("agents");
      return { agents: state.names.map((name) => ({ name, status: "online", commands: [] })) };
    },
    listTypes: async ({ subject }: { subject?: string }) => {
      state.calls.push(`types ${subject ?? ""}`.trim());
      return {
        types: [
          {
            type: "a.opened",
            subjects: ["a.x", "a.y"],
            sampled: 1,
            last_ms: 5,
            payload: { kinds: ["object"] },
          },
          { type: "a.closed", subjects: ["a.x"], sampled: 1, last_ms: 7, payload: { kinds: ["object"] } },
        ],
      };
    },
    ...replies,
  } as unknown as Client;
  const live = new LiveData({
    client: () => (state.ready ? client : null),
    nowMs: () => state.now,
    debug: (message) => state.said.push(message),
  });
  let changes = 0;
  live.onChange(() => {
    changes += 1;
  });
  return { live, state, changes: () => changes };
}

describe("live data", () => {
  it("answers at once with what it has, and says when there is more", async () => {
    const { live, changes } = open();
    expect(live.agents()).toBeNull();
    await live.pending();
    expect(changes()).toBe(1);
    expect(live.agents()).toEqual([{ name: "github-agent", status: "online", commands: [] }]);
    expect(live.pending()).toBeNull();
  });

  it("asks once for all who ask meanwhile, and again when it got old", async () => {
    const { live, state, changes } = open();
    live.agents();
    live.agents();
    await live.pending();
    live.agents();
    expect(state.calls).toEqual(["agents"]);
    state.now = 6_000;
    live.agents();
    await live.pending();
    expect(state.calls).toEqual(["agents", "agents"]);
    expect(changes()).toBe(1);
    state.names = ["github-agent", "builder"];
    live.expire("agents");
    live.agents();
    await live.pending();
    expect(changes()).toBe(2);
    expect(live.agents()?.map(({ name }) => name)).toEqual(["github-agent", "builder"]);
  });

  it("asks once more when what it asked for went out of date on its way", async () => {
    const { live, state, changes } = open();
    live.agents();
    state.names = ["github-agent", "builder"];
    live.expire("agents");
    await live.pending();
    expect(changes()).toBe(1);
    live.agents();
    await live.pending();
    expect(state.calls).toEqual(["agents", "agents"]);
  });

  it("starts nothing: without a service it has nothing, and forgets what another one said", async () => {
    const { live, state } = open();
    state.ready = false;
    expect(live.agents()).toBeNull();
    expect(state.calls).toEqual([]);
    state.ready = true;
    live.agents();
    await live.pending();
    live.reset();
    state.ready = false;
    expect(live.agents()).toBeNull();
  });

  it("goes on with what it has when a question fails, and does not ask again at once", async () => {
    const { live, state } = open({ listAgents: () => Promise.reject(new Error("no line")) });
    live.agents();
    await live.pending();
    expect(live.agents()).toBeNull();
    expect(state.said).toEqual(["agents could not be read: no line"]);
    expect(live.pending()).toBeNull();
  });

  it("knows subjects with their types", async () => {
    const { live } = open();
    live.subjects();
    await live.pending();
    expect(live.subjects()).toEqual([
      { subject: "a.x", types: ["a.opened", "a.closed"], last_ms: 7 },
      { subject: "a.y", types: ["a.opened"], last_ms: 5 },
    ]);
  });

  it.each(["", "a b", "a.", ".a", "a..b", "a.>.b"])(
    "does not ask about %j, which is no pattern yet",
    (pattern) => {
      const { live, state } = open();
      expect(live.types(pattern)).toBeNull();
      expect(state.calls).toEqual([]);
    },
  );

  it.each(["a", "a.b", "a.*", "*.b", "a.>", ">", "topics.jobs"])("asks about %j", (pattern) => {
    const { live, state } = open();
    live.types(pattern);
    expect(state.calls).toEqual([`types ${pattern}`]);
  });
});
