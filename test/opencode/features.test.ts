import type { OpencodeClient } from "@opencode-ai/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../harness/cli.ts";
import { eventually } from "../harness/eventually.ts";
import { type OpencodeServer, opencodeBinary } from "../harness/opencode/opencode.ts";
import { newSession, openStage, projectSettings, type Stage, say } from "../harness/opencode/stage.ts";

const binary = opencodeBinary();

describe.skipIf(binary === null)("the plugin in the real OpenCode", () => {
  let stage: Stage;
  let server: OpencodeServer;
  let client: OpencodeClient;
  beforeAll(async () => {
    stage = await openStage(binary ?? "");
    const { place, plugin } = stage;
    const publish = ["session.idle", "session.error", "permission.asked"];
    const options = { topics: ["inbox"], name: "oc", approvals: true, publish };
    const config = { permission: { bash: "ask" } };
    server = await stage.startServer();
    client = await server.open(place.project("project", projectSettings(plugin(options), config)));
  }, 120_000);
  afterAll(() => stage?.close());

  const openProject = (name: string, options: object) =>
    server.open(stage.place.project(name, projectSettings(stage.plugin(options))));
  /** What the tool answered to the model. */
  const called = async (id: string, tool: string, given: object) => {
    await say(client, id, `call ${tool} ${JSON.stringify(given)}`);
    const last = stage.llm.requests.findLast(({ session }) => session === id);
    return last?.messages.at(-1)?.text ?? "";
  };
  const waiting = () =>
    eventually(
      async () => (await stage.service.client.listApprovals()).approvals,
      (approvals) => approvals.length > 0,
      45_000,
    );
  const decide = async (choice: string) => {
    const [approval] = await waiting();
    const options = ["--yes", "--code", approval?.code ?? "", "--choice", choice];
    const { code, stderr } = await runCli(["approvals", "approve", approval?.effect.id ?? "", ...options], {
      home: stage.service.home,
    });
    expect([code, stderr]).toEqual([0, ""]);
    return approval;
  };

  it("gives the model tools to push, search and look around, and refuses arguments that make no sense", async () => {
    const id = await newSession(client, ["tools"]);
    expect(
      await called(id, "signalbox_push", { topic: "elsewhere", body: "from oc", meta: { n: 1 } }),
    ).toMatch(/^Pushed evt_\w+ to elsewhere\.$/);
    const [event] = (await stage.service.client.findEvents({ topic: "elsewhere" })).events;
    expect(event).toMatchObject({ source: "oc", origin_kind: "agent", meta: { n: 1, opencode_session: id } });
    expect(await called(id, "signalbox_search", { text: "from oc" })).toContain(
      `[elsewhere pending]: from oc`,
    );
    expect(await called(id, "signalbox_status", {})).toContain("This session listens to: tools.");
    expect(await called(id, "signalbox_push", { topic: "elsewhere", body: 7 })).toContain("Not done.");
    expect(await called(id, "signalbox_reply", { body: "x" })).toContain("no event was delivered");
    expect(await called(id, "signalbox_reply", { body: "x", event_id: "evt_unknown" })).toContain(
      "there is no event evt_unknown",
    );
  });

  it("listens and mutes when the model is told to, and remembers it in the session", async () => {
    const id = await newSession(client, null);
    expect(await called(id, "signalbox_listen", { topics: ["l1", "l2"] })).toContain("from l1, l2");
    await stage.completed(await stage.push("l2", "E-l2"));
    const { data } = await client.session.get({ path: { id } });
    expect(data).toMatchObject({ metadata: { signalbox: { topics: ["l1", "l2"] } } });
    await called(id, "signalbox_mute", {});
    const event = await stage.push("l1", "E-muted");
    await newSession(client, ["l3"]);
    await stage.completed(await stage.push("l3", "E-l3"));
    expect((await stage.until(event, () => true)).status).toBe("pending");
  });

  it("does not give a session its own words back, but gives them to another", async () => {
    const own = await newSession(client, ["chat"]);
    expect(await called(own, "signalbox_push", { topic: "chat", body: "E-own" })).toContain("Pushed");
    const other = await newSession(client, ["chat2"]);
    await stage.completed(await stage.push("chat2", "E-chat2"));
    const [event] = (await stage.service.client.findEvents({ topic: "chat" })).events;
    const waits = await stage.until(event?.id ?? "", ({ status }) => status === "pending");
    expect([waits.attempts, waits.receipts]).toEqual([0, []]);
    // Put off, so that it is not claimed and given back over and over.
    const { deliveries } = await stage.service.client.getEvent({ event_id: event?.id ?? "" });
    expect(deliveries[0]?.not_before_ms).toBeGreaterThan(0);
    await called(other, "signalbox_listen", { topics: ["chat"] });
    await called(own, "signalbox_push", { topic: "chat", body: "E-both" });
    const { events } = await stage.service.client.findEvents({ topic: "chat" });
    const { receipts } = await stage.completed(events[0]?.id ?? "");
    expect(new Set(receipts.map(({ session }) => session))).toEqual(new Set([other]));
  });

  it("R66 asks a person and waits for the answer, with the event that it is about", async () => {
    await newSession(client, ["ask"]);
    const question = { question: "Deploy to live?", details: "make deploy", choices: ["now", "never"] };
    const event = await stage.push("ask", `E-ask call signalbox_ask_approval ${JSON.stringify(question)}`);
    const approval = await decide("never");
    expect(approval).toMatchObject({
      asked_by: "oc",
      effect: { summary: "Deploy to live?", cause: { event_id: event } },
    });
    const { receipts } = await stage.completed(event);
    expect(receipts).toContainEqual(
      expect.objectContaining({ kind: "acted", detail: "signalbox_ask_approval" }),
    );
    const answer = stage.llm.requests.findLast(({ messages }) => messages.at(-1)?.role === "tool");
    expect(answer?.messages.at(-1)?.text).toBe("The answer is: never");
  });

  it("U7 what OpenCode asks permission for is answered from Signalbox, once and by a person", async () => {
    const id = await newSession(client, null);
    const bash = { command: "echo signal-box", description: "say it" };
    const first = say(client, id, `call bash ${JSON.stringify(bash)}`);
    const approval = await decide("once");
    expect(approval?.effect).toMatchObject({ summary: "OpenCode asks for bash: echo signal-box" });
    await first;
    expect(stage.llm.requests.at(-1)?.messages.at(-1)?.text).toContain("signal-box");
    const second = say(client, id, `call bash ${JSON.stringify(bash)}`);
    await decide("reject");
    await second;
    const { data: messages } = await client.session.messages({ path: { id } });
    const last = messages?.flatMap(({ parts }) => parts).findLast((part) => part.type === "tool");
    expect(last).toMatchObject({ state: { status: "error", error: expect.stringMatching(/reject/i) } });
  });

  it("a permission answered in OpenCode is asked about nowhere else any more", async () => {
    const id = await newSession(client, null);
    const said = say(client, id, `call bash {"command":"echo here","description":"say it"}`);
    const [approval] = await waiting();
    const details = JSON.parse(String(approval?.effect.payload.body));
    await client.postSessionIdPermissionsPermissionId({
      path: { id, permissionID: details.id },
      body: { response: "once" },
    });
    await said;
    await eventually(
      async () => (await stage.service.client.getEffect({ effect_id: approval?.effect.id ?? "" })).state,
      (state) => state === "skipped",
      45_000,
    );
  });

  it("tells the bus what OpenCode does, so that workflows can react", async () => {
    const id = await newSession(client, null);
    const undo = stage.llm.when(
      ({ prompt }) => prompt.includes("fail now"),
      () => ({ status: 400 }),
    );
    await say(client, id, "fail now");
    undo();
    const told = (type: string) =>
      eventually(
        async () =>
          (await stage.service.client.findEvents({ type, conversation_key: `opencode:${id}` })).events,
        (events) => events.length > 0,
        45_000,
      );
    expect(await told("opencode.session.failed")).toMatchObject([{ source: "oc", topic: null }]);
    expect(await told("opencode.session.idled")).toHaveLength(1);
    const asked = (await stage.service.client.findEvents({ type: "opencode.permission.asked" })).events;
    expect(asked.length).toBeGreaterThanOrEqual(3);
    expect(asked[0]?.payload).toMatchObject({ permission: "bash" });
  });

  it("gives a dedicated topic a session of its own that can read and nothing else", async () => {
    const dedicated = await openProject("dedicated", {
      topics: { outside: { mode: "dedicated", agent: "plan", model: "fake/fake-2" } },
    });
    const first = await stage.push("outside", `E-outside call signalbox_reply {"body":"looked"}`, {
      origin_kind: "webhook",
    });
    await stage.completed(first);
    const sessions = (await dedicated.session.list()).data ?? [];
    expect(sessions.map(({ title }) => title)).toEqual(["[signalbox] outside"]);
    const [asked] = stage.asked("E-outside");
    const tools = asked?.tools.map(({ name }) => name) ?? [];
    expect(tools).toEqual(expect.arrayContaining(["read", "grep", "signalbox_reply"]));
    for (const tool of ["bash", "edit", "write", "webfetch", "task"]) expect(tools).not.toContain(tool);
    await stage.completed(await stage.push("outside", "E-again"));
    expect((await dedicated.session.list()).data).toHaveLength(1);
    const { data } = await dedicated.session.get({ path: { id: sessions[0]?.id ?? "" } });
    expect(data).toMatchObject({ agent: "plan", model: { id: "fake-2" } });
  });

  it("only suggests where that is wanted: nothing is claimed until the user sends it", async () => {
    const suggesting = await openProject("suggest", { topics: ["offers"], mode: "suggest" });
    const drafted = nextEvent(suggesting, "tui.prompt.append");
    const event = await stage.push("offers", "E-offer: paint it red");
    expect(await drafted).toMatchObject({ text: "[signalbox offers] " });
    expect((await stage.until(event, () => true)).status).toBe("pending");
    const id = await newSession(suggesting, null);
    await say(suggesting, id, "[signalbox offers] but in blue");
    const shown = await stage.completed(event);
    expect(shown.receipts.map(({ kind }) => kind)).toEqual(["delivered", "seen"]);
    const [asked] = stage.asked("E-offer");
    expect(asked?.prompt).toMatch(/^but in blue\n\nSignalbox delivers an event/);
    await say(suggesting, id, "[signalbox offers]");
    expect(stage.llm.requests.at(-1)?.prompt).toContain("no event left in this topic");
  });

  it("loaded as 1.x and 2.x at once, as 1.18 does it, gives each event to a session once", async () => {
    const both = await openProject("both", { topics: ["once"], name: "both" });
    // Told when the embedded 2.x core has called `setup`.
    const setUp = nextEvent(both, "plugin.added", ({ id }) => /signalbox/.test(String(id)));
    const id = await newSession(both, null);
    await say(both, id, "hello");
    await setUp;
    const { receipts } = await stage.completed(await stage.push("once", "E-once"));
    expect(receipts.map(({ kind, agent, session }) => [kind, agent, session])).toEqual([
      ["delivered", "both", id],
      ["seen", "both", id],
    ]);
    expect(stage.asked("E-once")).toHaveLength(1);
  });

  it("tells the user what is wrong with its options, and leaves OpenCode working", async () => {
    const wrong = await server.open(
      stage.place.project("wrong", projectSettings(stage.plugin({ topcis: ["x"] }))),
    );
    const toast = nextEvent(wrong, "tui.toast.show");
    const id = await newSession(wrong, null);
    await say(wrong, id, "hello");
    expect(await toast).toMatchObject({ message: expect.stringContaining("topcis"), variant: "error" });
  });
});

type Properties = Record<string, unknown>;

/** The next event of this type in a folder. */
async function nextEvent(
  client: OpencodeClient,
  type: string,
  isRight: (properties: Properties) => boolean = () => true,
): Promise<Properties> {
  const { stream } = await client.event.subscribe();
  for await (const event of stream) {
    const { type: found, properties } = event as { type: string; properties: Properties };
    if (found === type && isRight(properties)) return properties;
  }
  throw new Error(`OpenCode's events ended before ${type}`);
}
