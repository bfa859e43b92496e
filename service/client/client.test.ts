import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Stub, type StubReplies, startStub } from "../../test/harness/stub-service.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import { createClient } from "./client.ts";
import { readEndpoint } from "./discover.ts";
import { connect } from "./index.ts";
import { resolvePaths } from "./paths.ts";
import { quickTransport } from "./quick-transport.ts";
import { socketTransport } from "./socket-transport.ts";

const stubs: Stub[] = [];
afterEach(async () => {
  for (const stub of stubs.splice(0)) await stub.close();
});
async function stub(replies: StubReplies = {}): Promise<Stub> {
  const started = await startStub(replies);
  stubs.push(started);
  return started;
}
const pushed = (seq: number) => ({ event_id: `evt_${seq}`, seq, duplicate: false, run_id: `evt_${seq}` });
const event = (seq: number): Event => ({
  id: `evt_${seq}`,
  seq,
  schema_version: 1,
  type: "a.b",
  source: "cli",
  subject: "a.b",
  topic: null,
  time_ms: 1,
  recorded_ms: 1,
  body: "€",
  payload: {},
  meta: {},
  conversation_key: null,
  user_key: null,
  correlation_id: null,
  parent_id: null,
  external_id: null,
  scope: null,
  origin_kind: "human",
  depth: 0,
  parked: false,
});

describe.each([
  ["the full transport", socketTransport],
  ["the quick transport", quickTransport],
])("a client on %s", (_, transport) => {
  const clientOf = (of: Stub) => {
    const paths = resolvePaths({ home: of.home, env: {} });
    return createClient(transport(() => readEndpoint(paths, {})));
  };

  it("puts path parameters, query and body where the route wants them", async () => {
    const service = await stub({
      findEvents: { events: [], next: null },
      extendClaim: (input) => ({
        event_id: String(input.event_id),
        delivery: {
          group: "default",
          status: "processing",
          claimed_by: "@a",
          lease_until_ms: 1,
          not_before_ms: null,
          attempts: 1,
          last_error: null,
          finished_ms: null,
        },
      }),
    });
    const client = clientOf(service);
    await client.findEvents({ topic: "a/b", limit: 3 });
    const settled = await client.extendClaim({ event_id: "evt/1 ü", lease_ms: 500 });
    expect(settled.event_id).toBe("evt/1 ü");
    expect(service.calls.map((call) => [call.route, call.input])).toEqual([
      ["findEvents", { topic: "a/b", limit: 3 }],
      ["extendClaim", { event_id: "evt/1 ü", lease_ms: 500 }],
    ]);
    client.close();
  });

  it("U13 throws the service's error with its code, hint, details and retry time", async () => {
    const service = await stub({
      pushEvent: () => {
        throw new SignalboxError("busy", "too much", { hint: "wait", details: { depth: 3 }, retryAfterS: 2 });
      },
    });
    const client = clientOf(service);
    await expect(client.pushEvent({ body: "x" })).rejects.toMatchObject({
      name: "SignalboxError",
      code: "busy",
      message: "too much",
      hint: "wait",
      details: { depth: 3 },
      retryAfterS: 2,
    });
    client.close();
  });

  it("says service_unreachable where nobody listens", async () => {
    const client = createClient(transport(() => ({ socket: "/nonexistent/s.sock", token: "" })));
    await expect(client.getInfo()).rejects.toMatchObject({ code: "service_unreachable" });
  });

  it("follows a stream and takes it up again after the last event it has seen", async () => {
    const service = await stub({ streamEvents: [event(7), event(8)] });
    const paths = resolvePaths({ home: service.home, env: {} });
    const client = createClient(transport(() => readEndpoint(paths, {})));
    const seen: number[] = [];
    for await (const one of client.streamEvents({ subject: "a.>" }, { lastEventId: "6" })) {
      expect(one.body).toBe("€");
      seen.push(one.seq);
      if (seen.length === 4) break;
      // The service goes away in the middle; the next answer is to begin where this one ended.
      if (seen.length === 2) service.dropConnections();
    }
    expect(seen).toEqual([7, 8, 7, 8]);
    expect(service.calls.map((call) => call.headers["last-event-id"])).toEqual(["6", "8"]);
    client.close();
  });

  it("ends a stream with the error the service gives", async () => {
    const service = await stub({
      streamEvents: () => {
        throw new SignalboxError("forbidden", "no");
      },
    });
    const client = clientOf(service);
    const read = async () => {
      for await (const one of client.streamEvents({})) expect(one).toBeNull();
    };
    await expect(read()).rejects.toMatchObject({ code: "forbidden" });
    client.close();
  });

  it("reads newline-delimited JSON to its end", async () => {
    const service = await stub({ exportEvents: [event(1), event(2), event(3)] });
    const client = clientOf(service);
    const seen: number[] = [];
    for await (const one of client.exportEvents({})) seen.push(one.seq);
    expect(seen).toEqual([1, 2, 3]);
    client.close();
  });

  it("stops waiting when the signal aborts", async () => {
    const service = await stub({ getInfo: () => new Promise(() => {}) });
    const client = clientOf(service);
    const abort = new AbortController();
    const waiting = client.getInfo({}, { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    client.close();
  });

  it("refuses a reply that is not as agreed", async () => {
    const server = createServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"));
    });
    const service = await stub();
    const path = `${service.home}/other.sock`;
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const client = createClient(transport(() => ({ socket: path, token: "t" })));
    await expect(client.getInfo()).rejects.toMatchObject({ code: "protocol_mismatch" });
    client.close();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("push", () => {
  it("gathers pushes made at the same time into batches, at most two on their way, each with its own answer", async () => {
    let seq = 0;
    let inFlight = 0;
    let most = 0;
    const bothThere = Promise.withResolvers<void>();
    const service = await stub({
      pushEvents: async (input) => {
        inFlight += 1;
        most = Math.max(most, inFlight);
        if (inFlight === 2) bothThere.resolve();
        await bothThere.promise;
        inFlight -= 1;
        const events = input.events as { body: string }[];
        return {
          results: events.map((one) =>
            one.body === "bad"
              ? { error: { code: "invalid_request", message: "bad one", hint: "h" } }
              : pushed(++seq),
          ),
        };
      },
    });
    const client = await connect({ home: service.home, start: false, env: {} });
    const calls = Array.from({ length: 700 }, (_, i) => client.push({ body: i === 350 ? "bad" : `b${i}` }));
    const results = await Promise.allSettled(calls);
    expect(results.filter((one) => one.status === "fulfilled")).toHaveLength(699);
    expect(results[350]).toMatchObject({ reason: { code: "invalid_request", message: "bad one" } });
    const sizes = service.calls
      .filter((c) => c.route === "pushEvents")
      .map((c) => (c.input.events as []).length);
    expect(sizes).toEqual([200, 200, 200, 100]);
    expect(most).toBe(2);
    client.close();
  });

  it("keeps a batch under 512 K characters and sends a lone event by itself", async () => {
    const service = await stub({
      pushEvent: pushed(1),
      pushEvents: (input) => ({ results: (input.events as []).map(() => pushed(2)) }),
    });
    const client = await connect({ home: service.home, start: false, env: {} });
    expect(await client.push({ body: "one" })).toEqual(pushed(1));
    await Promise.all(Array.from({ length: 5 }, () => client.push({ body: "x".repeat(200_000) })));
    const sizes = service.calls
      .filter((c) => c.route === "pushEvents")
      .map((c) => (c.input.events as []).length);
    expect(sizes).toEqual([2, 2]);
    client.close();
  });

  it("fails every push of a batch that does not get through", async () => {
    const service = await stub();
    const client = await connect({ home: service.home, start: false, env: {} });
    const results = await Promise.allSettled([client.push({ body: "a" }), client.push({ body: "b" })]);
    expect(results.map((one) => one.status)).toEqual(["rejected", "rejected"]);
    client.close();
  });
});
