import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { http } from "../../test/harness/http.ts";
import { startTestService, type TestService } from "../../test/harness/service.ts";
import type { Json, JsonObject } from "../contract/common.ts";

type Shape = "cloudevents" | "sekia" | "kaiser" | "makiso";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

/** Pushes an event as it stands in the other system; its id here. */
async function push(event: JsonObject, type = "application/json"): Promise<string> {
  const reply = await http(service.paths, "POST", "/v1/events", {
    body: event,
    headers: { "content-type": type },
  });
  if (reply.status !== 201) throw new Error(reply.text);
  return (reply.body as { event_id: string }).event_id;
}

const view = (event_id: string, shape: Shape): Promise<Json> => service.client.viewEvent({ event_id, shape });
const recorded = async (event_id: string) => (await service.client.getEvent({ event_id })).event;

const deep: JsonObject = {
  number: 42,
  nested: { list: [1, "a", null, { b: false }], empty: {} },
  text: "ü\n",
};

const samples: { shape: Shape; name: string; event: JsonObject }[] = [
  {
    shape: "sekia",
    name: "an event",
    event: {
      id: "evt_2f1c9b54-7d1e-4a3f-9d59-2d2f0c8f4b11",
      type: "github.issue.opened",
      source: "github",
      timestamp: 1_771_500_000,
      payload: deep,
    },
  },
  {
    shape: "sekia",
    name: "an event without payload",
    event: { id: "evt_1", type: "slack.mention", source: "slack", timestamp: 0, payload: {} },
  },
  {
    shape: "kaiser",
    name: "a message with its original",
    event: {
      schema_version: 1,
      type: "telegram.message",
      conversation_key: "123456789",
      user_key: "987654321",
      text: "ping, pang\nand 漢字",
      raw: { update_id: 1, message: deep },
    },
  },
  {
    shape: "kaiser",
    name: "a message without",
    event: { schema_version: 1, type: "cli.message", conversation_key: "cli:a", user_key: "a", text: "" },
  },
  {
    shape: "makiso",
    name: "an event of a topic",
    event: {
      id: "01JMXK3T9V4Q2Z8W6E5R7Y1P0N",
      topic: "bitbucket-webhook",
      body: "please look, @reviewer",
      metadata: deep,
      correlation_id: "01JMXK3T9V4Q2Z8W6E5R7Y1P0A",
      parent_id: "01JMXK3T9V4Q2Z8W6E5R7Y1P0B",
      status: "pending",
      source: "webhook",
      created_at: "2026-02-27T10:00:00.123Z",
      processed_at: null,
    },
  },
  {
    shape: "makiso",
    name: "an event that stands alone",
    event: {
      id: "01JMXK3T9V4Q2Z8W6E5R7Y1P0M",
      topic: "inbox",
      body: "",
      metadata: {},
      correlation_id: null,
      parent_id: null,
      status: "pending",
      source: "human",
      created_at: "2026-02-27T10:00:00.000Z",
      processed_at: null,
    },
  },
  {
    shape: "cloudevents",
    name: "one with extensions",
    event: {
      specversion: "1.0",
      id: "A234-1234-1234",
      source: "https://github.com/cloudevents/spec/pull",
      type: "com.github.pull_request.opened",
      subject: "123",
      time: "2018-04-05T17:31:00.123456+02:00",
      datacontenttype: "application/json",
      dataschema: "https://example.com/schema.json",
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      retries: 3,
      data: deep,
    },
  },
  {
    shape: "cloudevents",
    name: "one with text",
    event: {
      specversion: "1.0",
      id: "1",
      source: "/mycontext",
      type: "com.example.note",
      datacontenttype: "text/xml",
      data: '<much wow="xml"/>',
    },
  },
  {
    shape: "cloudevents",
    name: "one with a list",
    event: { specversion: "1.0", id: "2", source: "/mycontext", type: "com.example.list", data: [1, 2, 3] },
  },
  {
    shape: "cloudevents",
    name: "one without data",
    event: { specversion: "1.0", id: "3", source: "/mycontext", type: "com.example.ping" },
  },
];

describe("an event of another system", () => {
  it.each(samples)("U1 P13 P14 goes in and comes back exactly: $shape, $name", async ({ shape, event }) => {
    expect(await view(await push(event), shape)).toEqual(event);
  });

  it.each(samples)("U1 is the same in a batch: $shape, $name", async ({ shape, event }) => {
    const once = { ...event, ...("id" in event ? { id: `${String(event.id)}-batch` } : {}) };
    const reply = await http(service.paths, "POST", "/v1/events/batch", { body: [once] });
    const [result] = (reply.body as { results: { event_id: string }[] }).results;
    expect(await view(result?.event_id ?? "", shape)).toEqual(once);
  });

  it("U3 keeps its foreign id, under which it is recorded once per source", async () => {
    const event = { id: "evt_twice", type: "a.b", source: "github", timestamp: 1, payload: {} };
    const first = await push(event);
    expect(await push(event)).toBe(first);
    expect(await push({ ...event, source: "gitlab" })).not.toBe(first);
    expect(await recorded(first)).toMatchObject({ external_id: "evt_twice", source: "github" });
    expect(first).toMatch(/^evt_[0-9A-Z]{26}$/);
  });

  it("S7 one of Sekia is heard under Sekia's subject, with its time", async () => {
    const id = await push({
      id: "evt_7",
      type: "a.b",
      source: "gmail",
      timestamp: 1_771_500_000.25,
      payload: {},
    });
    expect(await recorded(id)).toMatchObject({ subject: "sekia.events.gmail", time_ms: 1_771_500_000_250 });
  });

  it("P14 one of my-kaiser is known by its conversation and user, its original kept apart", async () => {
    const [, , sample] = samples;
    const id = await push(sample?.event ?? {});
    expect(await recorded(id)).toMatchObject({
      type: "telegram.message",
      conversation_key: "123456789",
      user_key: "987654321",
      body: "ping, pang\nand 漢字",
      meta: {},
    });
    expect((await service.client.getEvent({ event_id: id })).raw).toEqual(sample?.event.raw);
  });

  it("M1 U14 one of makiso that was done with there can't be claimed here, and is known by its id", async () => {
    const event = {
      ...samples.find(({ shape }) => shape === "makiso")?.event,
      ...{ id: "made-elsewhere", topic: "makiso-done", status: "completed" },
    };
    const { results } = await service.client.pushEvents({ events: [event, event] });
    expect(results).toMatchObject([{ duplicate: false }, { duplicate: true }]);
    expect(await service.client.claimEvents({ topic: "makiso-done", agent: "@a" })).toEqual({ claimed: [] });
    const { counts } = await service.client.getTopic({ topic: "makiso-done" });
    expect(counts).toMatchObject({ pending: 0, completed: 1 });
  });

  it("M1 U14 one of makiso waits in its topic, and its view follows what becomes of it", async () => {
    const id = await push({
      ...samples.find(({ shape }) => shape === "makiso")?.event,
      id: "01JMXK3T9V4Q2Z8W6E5R7Y1P0Z",
      topic: "makiso-states",
      metadata: '{"as":"text"}',
    });
    const { claimed } = await service.client.claimEvents({ topic: "makiso-states", agent: "@a" });
    expect(claimed[0]?.event).toMatchObject({ id, origin_kind: "webhook", meta: { as: "text" } });
    expect(await view(id, "makiso")).toMatchObject({ status: "processing", processed_at: null });
    await service.client.completeClaim({ event_id: id, lease: claimed[0]?.lease ?? "" });
    expect(await view(id, "makiso")).toMatchObject({
      status: "completed",
      processed_at: expect.stringMatching(/^\d{4}-/),
    });
  });

  it("CloudEvents come under their own content type, alone and as a batch", async () => {
    const event = {
      specversion: "1.0",
      id: "typed",
      source: "/s",
      type: "com.example.typed",
      data: { a: 1 },
    };
    const id = await push(event, "application/cloudevents+json; charset=utf-8");
    expect(await view(id, "cloudevents")).toEqual(event);
    const reply = await http(service.paths, "POST", "/v1/events/batch", {
      body: [event, { ...event, id: "typed-2" }],
      headers: { "content-type": "application/cloudevents-batch+json" },
    });
    expect(reply.body).toMatchObject({ results: [{ duplicate: true, event_id: id }, { duplicate: false }] });
  });

  it.each([
    [{ specversion: "0.3", id: "1", source: "s", type: "a.b" }, "0.3"],
    [{ specversion: "1.0", id: "1", source: "s", type: "a.b", data_base64: "AA==" }, "data_base64"],
    [{ specversion: "1.0", source: "s", type: "a.b" }, "id"],
    [{ specversion: "1.0", id: "1", source: "s", type: "a.b", time: "yesterday" }, "yesterday"],
    [{ id: "1", topic: "t", body: "b", metadata: "{" }, "metadata"],
    [{ id: "1", topic: "t", body: "b", metadata: "[]" }, "metadata"],
    [{ id: "1", type: "a.b", source: "s", timestamp: "soon", payload: {} }, "soon"],
    [{ id: "1", type: "a.b", source: "s", timestamp: 1, payload: [] }, "payload"],
    [{ schema_version: 2, type: "a.b", text: "x" }, "schema_version"],
  ])("what is wrong in a foreign event is named: %j", async (event, word) => {
    const reply = await http(service.paths, "POST", "/v1/events", { body: event });
    expect(reply.status).toBe(400);
    expect(reply.text).toContain(word);
    const batch = await http(service.paths, "POST", "/v1/events/batch", { body: [event, { body: "good" }] });
    expect(batch.body).toMatchObject({
      results: [
        { error: { code: "invalid_request", message: expect.stringContaining(word) } },
        { seq: expect.any(Number) },
      ],
    });
  });
});

describe("an event of ours", () => {
  it("can be seen in every shape", async () => {
    const { event_id } = await service.client.pushEvent({
      topic: "shapes",
      type: "note.taken",
      source: "cli",
      body: "hello",
      payload: { a: 1 },
      meta: { b: 2 },
      time_ms: 1_771_500_000_250,
      conversation_key: "cli:me",
      correlation_id: "c",
      parent_id: "p",
    });
    const { seq } = await recorded(event_id);
    expect(await view(event_id, "sekia")).toEqual({
      id: event_id,
      type: "note.taken",
      source: "cli",
      timestamp: 1_771_500_000,
      payload: { a: 1 },
    });
    expect(await view(event_id, "kaiser")).toEqual({
      schema_version: 1,
      type: "note.taken",
      conversation_key: "cli:me",
      user_key: null,
      text: "hello",
    });
    expect(await view(event_id, "makiso")).toEqual({
      id: event_id.slice(4),
      topic: "shapes",
      body: "hello",
      metadata: { b: 2 },
      correlation_id: "c",
      parent_id: "p",
      status: "pending",
      source: "human",
      created_at: "2026-02-19T11:20:00.250Z",
      processed_at: null,
    });
    expect(await view(event_id, "cloudevents")).toEqual({
      specversion: "1.0",
      id: event_id,
      source: "signalbox:cli",
      type: "note.taken",
      subject: "topics.shapes",
      time: "2026-02-19T11:20:00.250Z",
      datacontenttype: "application/json",
      data: { a: 1 },
      body: "hello",
      correlationid: "c",
      causationid: "p",
      sequence: String(seq),
    });
  });
});
