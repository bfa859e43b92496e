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

/** An event such as those that the fake client's shapes are of. */
const heard = (subject: string, type: string, payload = {}, topic: string | null = null) => ({
  subject,
  type,
  payload,
  topic,
});

describe("events that come in", () => {
  const shape = {
    type: "a.opened",
    subjects: ["a.x"],
    sampled: 3,
    last_ms: 1,
    payload: {
      kinds: ["object"],
      fields: {
        state: { kinds: ["string"], presence: 1, values: ["open", "closed"] },
        user: { kinds: ["object"], presence: 1, fields: { id: { kinds: ["integer"], presence: 1 } } },
        many: { kinds: ["object"], presence: 0.5 },
        tags: { kinds: ["array"], presence: 1, items: { kinds: ["string"] } },
      },
    },
  };

  /** How often each list was asked for, after it was asked once, an event came, and it was wanted again. */
  async function asked(event: ReturnType<typeof heard>): Promise<string[]> {
    const calls: string[] = [];
    const { live } = open({
      listTypes: (({ subject }: { subject?: string }) => {
        calls.push(`types ${subject ?? ""}`.trim());
        return Promise.resolve({ types: [shape] });
      }) as never,
      listTopics: (() => {
        calls.push("topics");
        return Promise.resolve({ topics: [{ name: "jobs" }] });
      }) as never,
      listAgents: (() => {
        calls.push("agents");
        return Promise.resolve({ agents: [] });
      }) as never,
    });
    const want = async () => {
      live.types("a.*");
      live.types("b.>");
      live.subjects();
      live.topics();
      live.agents();
      await live.pending();
    };
    await want();
    calls.length = 0;
    live.heard([event, event, event]);
    await want();
    return calls;
  }

  const known = { state: "open", user: { id: 1 }, many: { anything: 1 }, tags: ["x"] };
  it.each([
    ["one like all others", heard("a.x", "a.opened", known), []],
    ["one that has less", heard("a.x", "a.opened", { state: "closed" }), []],
    ["a new field", heard("a.x", "a.opened", { ...known, title: "x" }), ["types a.*"]],
    ["a new field within", heard("a.x", "a.opened", { user: { id: 1, name: "x" } }), ["types a.*"]],
    ["a new word", heard("a.x", "a.opened", { state: "merged" }), ["types a.*"]],
    ["a new kind", heard("a.x", "a.opened", { user: { id: 1.5 } }), ["types a.*"]],
    ["a new kind in a list", heard("a.x", "a.opened", { tags: [1] }), ["types a.*"]],
    ["a new subject", heard("a.y", "a.opened", known), ["types"]],
    ["a new type", heard("a.x", "a.closed", known), ["types a.*", "types"]],
    ["what another pattern hears", heard("b.x.y", "b.made", {}), ["types b.>", "types"]],
    ["what no pattern hears", heard("c.x", "a.opened", { title: "x" }), ["types"]],
    ["a new topic", heard("a.x", "a.opened", known, "mail"), ["topics"]],
    ["a known topic", heard("a.x", "a.opened", known, "jobs"), []],
    ["an agent that came", heard("a.x", "signalbox.agent.online", known), ["types a.*", "types", "agents"]],
  ])("with %s ask again for exactly what it changes, once", async (_what, event, expected) =>
    expect(await asked(event)).toEqual(expected),
  );

  it("ask for nothing by themselves: what nobody wants stays as it is", async () => {
    const { live, state } = open();
    live.types("a.*");
    await live.pending();
    live.heard([heard("a.x", "a.merged")]);
    expect(live.pending()).toBeNull();
    expect(state.calls).toEqual(["types a.*"]);
    live.types("a.*");
    expect(state.calls).toEqual(["types a.*", "types a.*"]);
  });

  it("are not lost while an answer is on its way", async () => {
    const { live, state } = open();
    live.types("a.*");
    live.heard([heard("a.x", "a.merged")]);
    await live.pending();
    live.types("a.*");
    expect(state.calls).toEqual(["types a.*", "types a.*"]);
  });
});

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
