import type { OpencodeClient } from "@opencode-ai/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { type OpencodeServer, opencodeBinary } from "../harness/opencode/opencode.ts";
import { newSession, openStage, projectSettings, type Stage, say } from "../harness/opencode/stage.ts";

const binary = opencodeBinary();
const EVENTS = 200;

describe.skipIf(binary === null)("two processes of the real OpenCode", () => {
  let stage: Stage;
  const servers: OpencodeServer[] = [];
  const clients: OpencodeClient[] = [];
  beforeAll(async () => {
    stage = await openStage(binary ?? "");
    const topics = { many: { noReply: "reply-with-last-text" } };
    // Short enough to wait for after a kill, long enough for a machine that has much else to do.
    const options = { topics, leaseMs: 20_000, perHour: 10_000 };
    for (const name of ["one", "two"]) {
      const project = stage.place.project(name, projectSettings(stage.plugin({ ...options, name })));
      const server = await stage.startServer();
      servers.push(server);
      clients.push(await server.open(project));
    }
  }, 180_000);
  afterAll(() => stage?.close());

  it("M10 get one event once between them", async () => {
    const ids = await Promise.all(clients.map((client) => newSession(client, ["shared"])));
    await Promise.all(clients.map((client, index) => say(client, ids[index] ?? "", "hello")));
    const event = await stage.push("shared", `E-shared call signalbox_reply {"body":"one of us"}`);
    const { replies, attempts } = await stage.completed(event);
    expect([replies.length, attempts]).toEqual([1, 1]);
    expect(stage.asked("E-shared").filter(({ messages }) => messages.at(-1)?.role === "user")).toHaveLength(
      1,
    );
    for (const [index, client] of clients.entries())
      await client.session.delete({ path: { id: ids[index] ?? "" } });
  });

  it("M10 M19 U15 handle 200 events in 4 sessions, each once and none lost, though one is killed in the middle", async () => {
    const [one, two] = clients;
    stage.llm.when(
      ({ prompt }) => prompt.includes("E-many-"),
      ({ prompt }) => ({ text: `handled ${/E-many-(\d+)/.exec(prompt)?.[1]}` }),
    );
    const sessions = await Promise.all([one, one, two, two].map((client) => newSession(client!, ["many"])));
    const pushed = await stage.service.client.pushEvents({
      events: Array.from({ length: EVENTS }, (_, n) => ({
        ...{ topic: "many", source: "test" },
        body: `E-many-${n}.`,
      })),
    });
    const ids = pushed.results.map((result) => ("event_id" in result ? result.event_id : ""));
    const completed = async () => (await stage.service.client.getTopic({ topic: "many" })).counts.completed;
    await eventually(completed, (count) => count >= EVENTS / 4, 400_000);
    await servers[0]?.kill9();
    await eventually(completed, (count) => count === EVENTS, 500_000);
    const shown = await Promise.all(ids.map((event_id) => stage.completed(event_id)));
    expect(shown.filter(({ replies }) => replies.length !== 1)).toEqual([]);
    expect(new Set(shown.map(({ replies }) => replies[0]?.body)).size).toBe(EVENTS);
    // Those that the killed process was working on were tried again, one a session; a machine that has no time for a
    // heartbeat may add a few.
    expect(shown.filter(({ attempts }) => attempts > 1).length).toBeLessThanOrEqual(8);
    const workers = new Set(shown.flatMap(({ receipts }) => receipts.map(({ session }) => session)));
    expect(workers).toEqual(new Set(sessions));
  }, 960_000);
});
