import { request } from "node:http";
import { createConnection } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { http, tokenOf } from "../../test/harness/http.ts";
import { eventually, startTestService, type TestService } from "../../test/harness/service.ts";
import { routeAliases } from "../compat/routes.ts";
import { errorBody, errorKinds } from "../contract/errors.ts";
import { type Route, routes } from "../contract/routes.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const call = (method: string, path: string, options?: Parameters<typeof http>[3]) =>
  http(service.paths, method, path, options);

/** The reply's error code, once it has the form that every error has. */
async function refusal(method: string, path: string, options?: Parameters<typeof http>[3]) {
  const { status, body, headers } = await call(method, path, options);
  const { error } = errorBody.strict().parse(body);
  expect(errorKinds).toHaveProperty(error.code);
  expect(headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(error.hint).toEqual(expect.any(String));
  return { status, ...error };
}

/** Every path there is, new and old, with its parameters filled in. */
const everyPath = [
  ...Object.values(routes as Record<string, Route>),
  ...routeAliases,
  { method: "GET", path: "/openapi.json" },
].map(({ method, path, ...route }) => ({
  method,
  path: path.replace(":shape", "kaiser").replace(/:\w+/g, "none"),
  isOpen: "open" in route,
}));

describe("who may ask", () => {
  it("U12 every path but the health checks wants this start's token", async () => {
    const closed = everyPath.filter(({ isOpen }) => !isOpen);
    expect(closed.length).toBeGreaterThan(50);
    for (const { method, path } of closed) {
      expect(await refusal(method, path, { token: null })).toMatchObject({
        status: 401,
        code: "unauthorized",
      });
    }
    for (const token of ["wrong", "", tokenOf(service.paths).slice(1), `${tokenOf(service.paths)}x`])
      expect((await refusal("GET", "/v1/info", { token })).status).toBe(401);
    for (const scheme of ["Basic", ""]) {
      const authorization = `${scheme} ${tokenOf(service.paths)}`.trim();
      const reply = await refusal("GET", "/v1/info", { token: null, headers: { authorization } });
      expect(reply.status).toBe(401);
    }
    expect((await refusal("GET", `/v1/info?token=${tokenOf(service.paths)}`, { token: null })).status).toBe(
      401,
    );
  });

  it("U12 a web page is refused, whatever it knows", async () => {
    for (const headers of [
      { origin: "http://localhost" },
      { origin: "null" },
      { "sec-fetch-site": "same-origin" },
    ]) {
      for (const path of ["/healthz", "/v1/info", "/v1/events"])
        expect(await refusal("GET", path, { headers })).toMatchObject({ status: 403, code: "forbidden" });
    }
  });

  it("U12 there is no way in over TCP unless the ingress was asked for", async () => {
    const listening = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === "TCPServerWrap").length;
    expect(listening()).toBe(0);
    expect((await service.client.getStatus()).ingress).toEqual({ listening: null });
    const open = await startTestService({ set: ["ingress.enabled=true", "ingress.port=0"] });
    expect(listening()).toBe(1);
    expect((await open.client.getStatus()).ingress.listening).toMatch(/^127\.0\.0\.1:\d+$/);
    await open.close();
    await eventually(() => listening() === 0);
  });
});

describe("health and info", () => {
  it("P3 R6 /healthz and /readyz answer 200 without a token", async () => {
    for (const path of ["/healthz", "/readyz"]) {
      const { status, body } = await call("GET", path, { token: null });
      expect([status, body]).toEqual([200, { status: "ok" }]);
    }
  });

  it("R8 GET /api/v1/info tells name and version, and ours the protocol besides", async () => {
    const { body } = await call("GET", "/api/v1/info");
    const info = await service.client.getInfo();
    expect(body).toEqual({
      name: "signalbox",
      version: info.version,
      started_at: new Date(info.started_ms).toISOString(),
    });
    expect(info).toMatchObject({
      name: "signalbox",
      protocol: 1,
      pid: process.pid,
      socket: service.paths.socket,
    });
    expect((await call("GET", "/v1/info")).headers["signalbox-protocol"]).toBe("1");
  });

  it("S15 S16 B11 /api/v1/status and /api/v1/agents have Sekia's exact fields", async () => {
    await service.client.registerAgent({
      name: "github-agent",
      version: "0.2.2",
      capabilities: ["github"],
      commands: ["add_label", { name: "close_issue" }],
    });
    await service.client.beat({ agent: "github-agent", events_processed: 5, errors: 1 });
    const rfc3339 = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const status = await call("GET", "/api/v1/status");
    expect(status.body).toEqual({
      status: "ok",
      uptime: expect.stringMatching(/^(\d+h)?(\d+m)?\d+s$/),
      nats_running: true,
      started_at: rfc3339,
      agent_count: 1,
      workflow_count: 0,
    });
    const agents = await call("GET", "/api/v1/agents");
    expect(agents.body).toEqual([
      {
        name: "github-agent",
        version: "0.2.2",
        status: "running",
        capabilities: ["github"],
        commands: ["add_label", "close_issue"],
        registered_at: rfc3339,
        last_heartbeat: rfc3339,
        events_processed: 5,
        errors: 1,
      },
    ]);
  });
});

describe("refusals", () => {
  it("P6 U13 400: what a request must not hold is named, field by field", async () => {
    const reply = await refusal("POST", "/v1/events", { body: { type: 5, colour: "red", delay_ms: -1 } });
    expect(reply).toMatchObject({ status: 400, code: "invalid_request" });
    for (const field of ["type:", "colour", "delay_ms:"]) expect(reply.message).toContain(field);
    expect((await refusal("GET", "/v1/events?limit=0")).message).toContain("limit:");
    expect((await refusal("GET", "/v1/events?subject=a..b")).message).toContain("subject:");
    expect((await refusal("GET", "/v1/events/none/view/none")).message).toContain("shape:");
    expect((await refusal("GET", "/v1/events?limit=1&limit=2")).status).toBe(400);
    expect((await refusal("POST", "/v1/agents/a/commands", { body: [] })).status).toBe(400);
  });

  it("P6 U13 400: what is no JSON, or of another kind, is refused as such", async () => {
    const broken = [
      ["{", "application/json"],
      ["{'a':1}", "application/json"],
      ['{"a":1}x', "application/json"],
      ["a=1", "application/x-www-form-urlencoded"],
      ["<a/>", "text/xml"],
      ["{}", "text/plain"],
    ] as const;
    for (const [body, type] of broken) {
      const reply = await refusal("POST", "/v1/events", { body, headers: { "content-type": type } });
      expect(reply).toMatchObject({ status: 400, code: "invalid_request" });
    }
  });

  it("P6 U13 404: what is not there, by path or by id", async () => {
    for (const path of [
      "/",
      "/v2/events",
      "/v1/events/",
      "/v1/events/none/nothing",
      "/api/v1/none",
      "/v1//events",
    ])
      expect(await refusal("GET", path)).toMatchObject({ status: 404, code: "not_found" });
    for (const path of [
      "/v1/events/evt_none",
      "/v1/events/evt_none/view/kaiser",
      "/v1/topics/none",
      "/v1/topics/none/peek",
      "/v1/agents/none",
      "/v1/effects/eff_none",
      "/v1/workflows/none",
      "/v1/workflows/none/logs",
      "/v1/workflows/none/logs/stream",
      "/v1/runs/run_none",
    ]) {
      expect(await refusal("GET", path)).toMatchObject({ status: 404, code: "not_found" });
    }
    for (const path of [
      "/v1/events/evt_none/complete",
      "/v1/events/evt_none/reply",
      "/v1/topics/none/purge",
      "/v1/agents/none/offline",
      "/v1/effects/eff_none/retry",
      "/v1/workflows/none/enable",
      "/v1/runs/run_none/retry",
      "/v1/runs/run_none/cancel",
    ]) {
      expect(await refusal("POST", path, { body: {} })).toMatchObject({ status: 404, code: "not_found" });
    }
  });

  it("P6 U13 405: a known path with another method names those it takes, also of older paths", async () => {
    for (const { path } of everyPath) {
      const reply = await refusal("PUT", path);
      expect(reply).toMatchObject({ status: 405, code: "method_not_allowed" });
    }
    expect((await refusal("DELETE", "/v1/topics/any/claim")).message).toContain("takes POST");
    expect((await refusal("POST", "/api/v1/status")).message).toContain("takes GET");
    expect((await call("HEAD", "/v1/events/stream")).status).toBe(405);
  });

  it("M4 M9 a mistyped topic is told of with the nearest name, also to claims that do not make topics", async () => {
    await service.client.createTopic({ name: "reviews" });
    const typo = { status: 404, code: "not_found", hint: expect.stringContaining("Did you mean reviews?") };
    const body = { agent: "@a", create: false };
    expect(await refusal("POST", "/v1/topics/reveiws/claim", { body })).toMatchObject(typo);
    expect(await refusal("DELETE", "/v1/topics/reveiws")).toMatchObject(typo);
    expect((await service.client.listTopics()).topics.map(({ name }) => name)).not.toContain("reveiws");
    expect(await service.client.claimEvents({ topic: "later", agent: "@a" })).toEqual({ claimed: [] });
  });

  it("M9 a topic with events that wait is deleted by force alone, one with claimed events never", async () => {
    const { client } = service;
    await client.pushEvent({ topic: "leaving", body: "x" });
    await client.pushEvent({ topic: "leaving", body: "y" });
    const path = "/v1/topics/leaving";
    expect(await refusal("DELETE", path)).toMatchObject({ status: 409, code: "conflict" });
    const [one] = (await client.claimEvents({ topic: "leaving", agent: "@a" })).claimed;
    expect(await refusal("DELETE", `${path}?force=true`)).toMatchObject({ status: 409, code: "conflict" });
    await client.completeClaim({ event_id: one?.event.id ?? "" });
    expect(await client.deleteTopic({ topic: "leaving", force: true })).toEqual({ count: 2 });
    expect(await refusal("GET", path)).toMatchObject({ code: "not_found" });
    expect(await client.getEvent({ event_id: one?.event.id ?? "" })).toMatchObject({ deliveries: [] });
  });

  it("M8 an answer by hand has its own source", async () => {
    const { event_id } = await service.client.pushEvent({ topic: "by-hand", body: "x" });
    const { reply_id } = await service.client.reply({ event_id, source: "cli", origin_kind: "human" });
    expect((await service.client.getEvent({ event_id: reply_id })).event).toMatchObject({
      source: "cli",
      origin_kind: "human",
    });
  });

  it("P6 U13 409: what clashes with the present state", async () => {
    await service.client.createTopic({ name: "taken" });
    expect(await refusal("POST", "/v1/topics", { body: { name: "taken" } })).toMatchObject({
      status: 409,
      code: "conflict",
    });
    const event = { source: "a", idempotency_key: "k", body: "1" };
    await service.client.pushEvent(event);
    expect(await refusal("POST", "/v1/events", { body: { ...event, body: "2" } })).toMatchObject({
      status: 409,
      code: "idempotency_conflict",
    });
  });

  it("P6 U13 413: what is too large, by its bytes", async () => {
    const huge = JSON.stringify({ body: "x".repeat(17_000_000) });
    expect(await refusal("POST", "/v1/events", { body: huge })).toMatchObject({
      status: 413,
      code: "too_large",
    });
    const large = { payload: { text: "é".repeat(600_000) } };
    expect(await refusal("POST", "/v1/events", { body: large })).toMatchObject({
      status: 413,
      code: "too_large",
    });
    expect((await refusal("POST", "/v1/events", { body: { body: "x".repeat(2_000_000) } })).status).toBe(400);
  });

  it("P6 U13 403: an agent that is not on the topic's list", async () => {
    await service.client.createTopic({ name: "private", allow: ["@a"] });
    expect(await refusal("POST", "/v1/topics/private/claim", { body: { agent: "@b" } })).toMatchObject({
      status: 403,
      code: "forbidden",
    });
  });
});

describe("a service under pressure", () => {
  it("P6 U13 429: large bodies of requests under way together have a limit, and the room is given back", async () => {
    const begun = Array.from({ length: 8 }, () => {
      const headers = {
        authorization: `Bearer ${tokenOf(service.paths)}`,
        "content-type": "application/json",
      };
      const options = { socketPath: service.paths.socket, method: "POST", path: "/v1/events" };
      const half = request({ ...options, headers: { ...headers, "content-length": 16_000_000 } });
      half.on("error", () => "it is dropped below");
      half.write("{");
      return half;
    });
    const large = { body: { body: "x".repeat(8_000_000) } };
    const status = async () => (await call("POST", "/v1/events", large)).status;
    await eventually(status, (now) => now === 429);
    expect((await call("POST", "/v1/events", { body: { body: "small ones go on" } })).status).toBe(201);
    for (const half of begun) half.destroy();
    await eventually(status, (now) => now === 400);
  });

  it("P6 U13 429: more writes than can wait are refused, with the time to wait", async () => {
    const small = await startTestService({ set: ["store.max_pending=1"] });
    const push = () => http(small.paths, "POST", "/v1/events", { body: { body: "1" } });
    const { results } = await small.client.pushEvents({ events: Array(20).fill({ body: "1" }) });
    const refused = results.filter((one) => "error" in one);
    expect(refused[0]).toMatchObject({ error: { code: "busy", hint: expect.any(String) } });
    expect(results.length - refused.length).toBeGreaterThan(0);
    const replies = await eventually(
      () => Promise.all(Array.from({ length: 40 }, push)),
      (all) => all.some(({ status }) => status === 429),
    );
    const busy = replies.find(({ status }) => status === 429);
    expect(errorBody.parse(busy?.body).error.code).toBe("busy");
    expect(Number(busy?.headers["retry-after"])).toBeGreaterThan(0);
    await small.close();
  });

  it("P6 U13 503: one that stops answers what is under way and refuses what comes", async () => {
    const stopping = await startTestService({ set: ["workflows.handler_timeout_ms=600"] });
    const body = JSON.stringify({
      source: `sekia.on("a", function() while true do end end)`,
      event: { type: "a" },
    });
    const head = (method: string, path: string, length: number) =>
      `${method} ${path} HTTP/1.1\r\nhost: signalbox\r\nauthorization: Bearer ${tokenOf(stopping.paths)}\r\n` +
      `content-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
    const first = rawSocket(stopping.paths.socket);
    const second = rawSocket(stopping.paths.socket);
    first.write(head("POST", "/v1/workflows/test", Buffer.byteLength(body)) + body);
    const request = head("GET", "/readyz", 0);
    second.write(request.slice(0, 20));
    // Once the one is answered that came after them, both are under way.
    await http(stopping.paths, "GET", "/v1/workflows");
    const closing = stopping.close();
    second.write(request.slice(20));
    const answers = await Promise.all([first.answer, second.answer]);
    await closing;
    expect(answers[0]).toMatch(/^HTTP\/1\.1 200 /);
    expect(answers[1]).toMatch(/^HTTP\/1\.1 503 /);
    expect(answers[1]).toContain('"code":"unavailable"');
    expect(answers[1]).toContain("retry-after: 1");
  });
});

describe("hostile requests", () => {
  it("a backup never takes the place of a folder or of the database itself", async () => {
    const { database } = await service.client.getInfo();
    for (const file of [service.home, database, `${database}-wal`]) {
      const body = { file, overwrite: true };
      expect(await refusal("POST", "/v1/backup", { body })).toMatchObject({
        status: 400,
        message: expect.stringContaining(file),
      });
    }
    expect((await service.client.doctor()).findings.every(({ ok }) => ok)).toBe(true);
  });

  it("JSON that is nested without end is refused, and the service goes on", async () => {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
    ] as const) {
      const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
      for (const [path, body] of [
        ["/v1/events", `{"payload":{"deep":${deep}}}`],
        ["/v1/events", deep],
        ["/v1/events/batch", `{"events":[{"payload":{"deep":${deep}}}]}`],
        ["/v1/agents/a/commands", `{"command":"c","payload":{"deep":${deep}}}`],
        ["/v1/workflows/test", `{"source":"","event":{"payload":{"deep":${deep}}}}`],
      ] as const) {
        expect(await refusal("POST", path, { body })).toMatchObject({
          status: 400,
          message: /nested|events/,
        });
      }
    }
    expect((await call("GET", "/healthz")).status).toBe(200);
  });

  it("a payload of a hundred levels goes in and out unharmed, nearly", async () => {
    const deep = JSON.parse(`${"[".repeat(98)}${"]".repeat(98)}`);
    const { event_id } = await service.client.pushEvent({ payload: { deep }, idempotency_key: "deep" });
    expect((await service.client.getEvent({ event_id })).event.payload).toEqual({ deep });
  });

  it("keys such as __proto__ are data like any other", async () => {
    const payload = '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"toString":1}';
    const { body } = await call("POST", "/v1/events", { body: `{"type":"a.b","payload":${payload}}` });
    const { event_id } = body as { event_id: string };
    const reply = await call("GET", `/v1/events/${event_id}`);
    expect(reply.text).toContain(`"payload":${payload}`);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    for (const hostile of ['{"__proto__":{"type":"a.b"}}', '{"constructor":1}'])
      expect((await refusal("POST", "/v1/events", { body: hostile })).status).toBe(400);
    expect((await refusal("GET", "/v1/events?__proto__=1")).status).toBe(400);
    expect((await refusal("GET", "/v1/workflows/__proto__")).status).toBe(404);
    expect((await refusal("GET", "/v1/topics/constructor")).status).toBe(404);
  });

  it("a name of a million characters is refused, in a body as in a path", async () => {
    const long = "x".repeat(1_000_000);
    expect((await refusal("POST", "/v1/events", { body: { topic: long } })).status).toBe(400);
    expect((await refusal("POST", "/v1/topics", { body: { name: long } })).status).toBe(400);
    expect((await refusal("GET", `/v1/topics/${long.slice(0, 10_000)}`)).status).toBe(400);
    const reply = await call("GET", `/v1/topics/${long}`);
    expect([reply.status, errorBody.parse(reply.body).error.code]).toEqual([400, "invalid_request"]);
  });

  it("NUL characters and lone surrogates are refused where they would be read as something else", async () => {
    for (const bad of ["a\u0000b", "a\ud800b"]) {
      for (const field of ["topic", "type", "subject", "source", "body", "conversation_key", "external_id"]) {
        const reply = await refusal("POST", "/v1/events", { body: JSON.stringify({ [field]: bad }) });
        expect(reply.status).toBe(400);
        expect(reply.message).toContain(field);
      }
    }
    expect((await refusal("GET", "/v1/events?type=a%00b")).status).toBe(400);
    expect((await refusal("GET", "/v1/events/search?text=a%00b")).status).toBe(400);
    expect((await refusal("GET", "/v1/topics/a%00b")).status).toBe(404);
    expect((await refusal("GET", "/v1/topics/%ED%A0%80")).status).toBe(400);
    expect((await refusal("GET", "/v1/topics/%zz")).status).toBe(400);
  });

  it("in a payload they are kept as they are", async () => {
    const payload = { text: "a\u0000b\ud800", "k\u0000": 1 };
    const { event_id } = await service.client.pushEvent({ payload });
    expect((await service.client.getEvent({ event_id })).event.payload).toEqual(payload);
  });

  it("what is no HTTP gets an answer in the same form, and harms nobody", async () => {
    for (const text of [
      "nonsense\r\n\r\n",
      "GET / HTTP/1.1\r\nhost signalbox\r\n\r\n",
      "\u0000\u0001\u0002\r\n\r\n",
    ]) {
      const answer = await rawBytes(text);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(errorBody.parse(JSON.parse(answer.split("\r\n\r\n")[1] ?? "")).error.code).toBe(
        "invalid_request",
      );
    }
    expect((await call("GET", "/healthz")).status).toBe(200);
  });
});

/** Bare bytes to the socket, and all that it answers up to its end. */
function rawSocket(path: string) {
  const socket = createConnection(path);
  const answer = new Promise<string>((resolve, reject) => {
    let text = "";
    socket.on("data", (piece) => {
      text += piece.toString();
    });
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
  return { answer, write: (text: string) => socket.write(text) };
}

function rawBytes(text: string): Promise<string> {
  const socket = rawSocket(service.paths.socket);
  socket.write(text);
  return socket.answer;
}
