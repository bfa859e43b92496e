import { createHmac } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import examples from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };
import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { connectorContext } from "../../test/harness/connector-context.ts";
import { githubConfig } from "../connectors/github/config.ts";
import { github } from "../connectors/github/index.ts";
import { webhookConfig } from "../connectors/webhook/config.ts";
import { webhook } from "../connectors/webhook/index.ts";
import { errorBody, SignalboxError } from "../contract/errors.ts";
import { type NewEvent, newEvent } from "../contract/events.ts";
import { type IngressLimits, type IngressRoute, ingressRoutes, startIngress } from "./ingress.ts";

const SECRET = "correct horse battery staple";
const secrets = { GITHUB_WEBHOOK_SECRET: SECRET, HOOK: SECRET };
const routesConfig = {
  routes: [
    { path: "/bitbucket", topic: "bitbucket-webhook", secret: { env: "HOOK" }, auth: "hmac-sha256" },
    { path: "/bugsnag", topic: "error-report", secret: { env: "HOOK" } },
    {
      path: "/payment",
      topic: "payment-webhook",
      secret: { env: "HOOK" },
      id_header: "x-id",
      max_bytes: 100,
    },
  ],
};
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Setup {
  values?: Record<string, string>;
  routes?: object;
  extra?: IngressRoute[];
  config?: Partial<{ host: string; insecure_loopback: boolean; port: number }>;
  record?: (events: NewEvent[]) => Promise<unknown>;
  limits?: Partial<IngressLimits>;
  drainMs?: number;
}

async function start(setup: Setup = {}) {
  const values = setup.values ?? secrets;
  const events: NewEvent[] = [];
  const lines: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(line) });
  const ingress = await startIngress({
    config: { host: "127.0.0.1", port: 0, insecure_loopback: false, ...setup.config },
    routes: [
      ...ingressRoutes(github, connectorContext(githubConfig.parse(undefined), values)),
      ...ingressRoutes(webhook, connectorContext(webhookConfig.parse(setup.routes ?? routesConfig), values)),
      ...(setup.extra ?? []),
    ],
    record: setup.record ?? (async (given) => void events.push(...given.map((one) => newEvent.parse(one)))),
    log,
    ...(setup.limits ? { limits: setup.limits } : {}),
    ...(setup.drainMs === undefined ? {} : { drainMs: setup.drainMs }),
  });
  closing.push(() => ingress.close());
  const url = `http://${ingress.address}`;
  const post = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
    fetch(url + path, { method: "POST", body: body as string, headers });
  return { ingress, url, events, lines, log: () => lines.join(""), post };
}

/** Every refusal has the body of P6. */
async function refusal(response: Response) {
  const { error } = errorBody.parse(await response.json());
  expect(error.request_id).toMatch(/^req_/);
  return { status: response.status, code: error.code };
}

const hmac = (body: string) => `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`;
const json = { "content-type": "application/json" };
const known = { "x-signalbox-secret": SECRET };

/** Sends raw bytes and reads until the other side closes. */
async function raw(address: string, text: string): Promise<string> {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  let answer = "";
  socket.setEncoding("utf8").on("data", (data) => (answer += data));
  socket.write(text);
  await once(socket, "close");
  return answer;
}

describe("webhooks over TCP", () => {
  it("S31 B6 GitHub's signed webhook is recorded before it is answered", async () => {
    const { post, events } = await start();
    const payload = examples.find((one) => one.name === "issues")!.examples[16]!;
    const body = JSON.stringify({ ...payload, action: "opened" });
    const headers = {
      ...json,
      "x-github-event": "issues",
      "x-github-delivery": "d-1",
      "x-hub-signature-256": hmac(body),
    };
    const response = await post("/webhook", body, headers);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "accepted" });
    expect(events).toMatchObject([{ type: "github.issue.opened", external_id: "d-1" }]);
    const ping = JSON.stringify({ zen: "Keep it logically awesome." });
    const ignored = await post("/webhook", ping, {
      ...headers,
      "x-github-event": "ping",
      "x-hub-signature-256": hmac(ping),
    });
    expect(await ignored.json()).toEqual({ status: "ignored" });
    expect(events).toHaveLength(1);
  });

  it("B6 refuses a wrong signature (401), a missing event (400) and 10 MB and more (413)", async () => {
    const { post, events } = await start();
    const bad = await post("/webhook", "{}", {
      ...json,
      "x-github-event": "push",
      "x-hub-signature-256": "sha256=00",
    });
    expect(await refusal(bad)).toEqual({ status: 401, code: "bad_signature" });
    const nameless = await post("/webhook", "{}", { ...json, "x-hub-signature-256": hmac("{}") });
    expect(await refusal(nameless)).toEqual({ status: 400, code: "invalid_request" });
    const padding = "x".repeat(10_485_760 - '{"a":""}'.length);
    const largest = `{"a":"${padding}"}`;
    const headers = { ...json, "x-github-event": "ping" };
    const fits = await post("/webhook", largest, { ...headers, "x-hub-signature-256": hmac(largest) });
    expect(await fits.json()).toEqual({ status: "ignored" });
    const over = await post("/webhook", `${largest} `, headers);
    expect(await refusal(over)).toEqual({ status: 413, code: "too_large" });
    expect(events).toEqual([]);
  });

  it("M15 generic routes go to their topics by header or HMAC", async () => {
    const { post, events } = await start();
    expect((await post("/bugsnag", '{"error":"boom"}', { ...json, ...known })).status).toBe(200);
    expect((await post("/bugsnag", "text", { "x-oc-events-secret": SECRET })).status).toBe(200);
    expect((await post("/bitbucket", "{}", { ...json, "x-hub-signature-256": hmac("{}") })).status).toBe(200);
    expect((await post("/payment", "paid=1", { ...known, "x-id": "p-1" })).status).toBe(200);
    expect(events.map((event) => [event.topic, event.payload ?? event.body])).toEqual([
      ["error-report", { error: "boom" }],
      ["error-report", "text"],
      ["bitbucket-webhook", {}],
      ["payment-webhook", "paid=1"],
    ]);
    expect(events[3]?.external_id).toBe("p-1");
    expect((await post("/payment", "paid=1", known)).status).toBe(400);
    expect(await refusal(await post("/bugsnag", "{", { ...json, ...known }))).toMatchObject({ status: 400 });
  });

  it("M15 hands the body over byte by byte, whatever its content type claims", async () => {
    const { post, events } = await start();
    const odd = '{ "a" : 1.0 }\n';
    for (const type of [
      "application/json",
      "text/plain",
      "x/y; charset=latin1",
      "application/octet-stream",
    ]) {
      const response = await post("/bitbucket", odd, {
        "content-type": type,
        "x-hub-signature-256": hmac(odd),
      });
      expect(response.status, type).toBe(200);
    }
    const untyped = await post("/bitbucket", new TextEncoder().encode(odd), {
      "x-hub-signature-256": hmac(odd),
    });
    expect(untyped.status).toBe(200);
    expect(events).toHaveLength(5);
  });

  it("M15 a body over the route's own limit is 413, also when it does not say its length", async () => {
    const { post, url } = await start();
    const headers = { ...known, "x-id": "1" };
    expect(await refusal(await post("/payment", "x".repeat(101), headers))).toMatchObject({ status: 413 });
    const chunked = httpRequest(`${url}/payment`, { method: "POST", headers });
    const answered = once(chunked, "response");
    chunked.write("x".repeat(60));
    chunked.end("x".repeat(60));
    const [response] = await answered;
    expect(response.statusCode).toBe(413);
    response.resume();
  });

  it("a store that can't record is a 503, and the sender's next try is taken", async () => {
    let broken: unknown = new Error("SQLITE_IOERR at /secret/place");
    const recorded: NewEvent[] = [];
    const record = async (events: NewEvent[]) => {
      if (broken) throw broken;
      recorded.push(...events);
    };
    const { post } = await start({ record });
    const first = await post("/bugsnag", "hi", known);
    const text = await first.clone().text();
    expect(await refusal(first)).toEqual({ status: 503, code: "storage_failed" });
    expect(text).not.toContain("SQLITE");
    broken = new SignalboxError("storage_full", "The disk is full");
    expect(await refusal(await post("/bugsnag", "hi", known))).toEqual({ status: 503, code: "storage_full" });
    broken = new SignalboxError("busy", "Too many writes", { retryAfterS: 2 });
    const busy = await post("/bugsnag", "hi", known);
    expect(busy.headers.get("retry-after")).toBe("2");
    expect(await refusal(busy)).toEqual({ status: 429, code: "busy" });
    broken = null;
    expect((await post("/bugsnag", "hi", known)).status).toBe(200);
    expect(recorded).toHaveLength(1);
  });

  it("a bug in a connector is a 500 that tells nothing", async () => {
    const extra: IngressRoute = {
      connector: "odd",
      path: "/odd",
      maxBytes: 10,
      isOpen: false,
      secret: null,
      secretHint: "",
      hasSecret: () => true,
      receive: async () => {
        throw new TypeError("token=abc is not a function");
      },
    };
    const { post, log } = await start({ extra: [extra] });
    const response = await post("/odd", "");
    const text = await response.clone().text();
    expect(await refusal(response)).toEqual({ status: 500, code: "internal" });
    expect(text).not.toContain("abc");
    expect(log()).toContain("TypeError");
  });
});

describe("what else it answers", () => {
  it("U13 unknown paths are 404 and wrong methods 405 with Allow, all in the shape of P6", async () => {
    const { url, post } = await start();
    for (const path of ["/", "/v1/events", "/v1/info", "/api/v1/status", "/openapi.json", "/webhook/"]) {
      expect(await refusal(await fetch(url + path)), path).toEqual({ status: 404, code: "not_found" });
      expect(await refusal(await post(path, "x".repeat(3_000_000))), path).toMatchObject({ status: 404 });
    }
    for (const method of ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await fetch(`${url}/webhook`, { method });
      expect(response.headers.get("allow")).toBe("POST");
      expect(await refusal(response)).toEqual({ status: 405, code: "method_not_allowed" });
    }
    const health = await post("/healthz", "x");
    expect(health.headers.get("allow")).toBe("GET, HEAD");
    expect(await refusal(health)).toMatchObject({ status: 405 });
    expect(await refusal(await fetch(`${url}/%zz`))).toMatchObject({ status: 400 });
  });

  it("R6 GET /healthz is open and says nothing but ok", async () => {
    const { url } = await start();
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
  });

  it("refuses requests that a web page sent", async () => {
    const { post, events } = await start({ config: { insecure_loopback: true } });
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1:8080"]) {
      const response = await post("/bugsnag", "hi", { ...known, origin });
      expect(await refusal(response)).toEqual({ status: 403, code: "forbidden" });
    }
    expect(events).toEqual([]);
  });

  it("U18 a secret in the query proves nothing, and no query, header or unknown path reaches the log", async () => {
    const { post, url, log, events } = await start();
    const inUrl = await post(`/bugsnag?x-signalbox-secret=${encodeURIComponent(SECRET)}&token=t0ken`, "hi");
    expect(await refusal(inUrl)).toEqual({ status: 401, code: "bad_signature" });
    await fetch(`${url}/webhook?token=t0ken`);
    await fetch(`${url}/bot-t0ken/getUpdates?token=t0ken`);
    const accepted = await post("/bugsnag?token=t0ken", "hi", { ...known, authorization: "Bearer t0ken" });
    expect(accepted.status).toBe(200);
    expect(JSON.stringify(events)).not.toContain("t0ken");
    expect(log()).toContain('"path":"/bugsnag"');
    expect(log()).not.toContain("t0ken");
    expect(log()).not.toContain("battery");
  });
});

describe("starting", () => {
  it("U18 refuses to start while any route has no secret, and says which and what to do", async () => {
    const { HOOK: _, ...withoutHook } = secrets;
    await expect(start({ values: withoutHook })).rejects.toMatchObject({
      code: "secret_missing",
      message: expect.stringContaining("/bugsnag (webhook)"),
      hint: expect.stringContaining("connectors.webhook.routes"),
      details: { paths: ["/bitbucket", "/bugsnag", "/payment"] },
    });
    await expect(start({ values: { ...secrets, GITHUB_WEBHOOK_SECRET: " " } })).rejects.toMatchObject({
      code: "secret_missing",
      message: expect.stringContaining("/webhook (github)"),
      hint: expect.stringContaining("GITHUB_WEBHOOK_SECRET"),
    });
    const open = { routes: [{ path: "/open", auth: "none" }] };
    await expect(start({ routes: open })).rejects.toMatchObject({ code: "secret_missing" });
    const unnamed = { routes: [{ path: "/unnamed" }] };
    await expect(start({ routes: unnamed })).rejects.toMatchObject({ code: "secret_missing" });
  });

  it("U18 the loopback exception must be asked for by name, is loud, and opens only what says none", async () => {
    const routes = { routes: [{ path: "/open", auth: "none" }, { path: "/bare" }] };
    const { post, lines, events } = await start({ values: {}, routes, config: { insecure_loopback: true } });
    const warnings = lines.map((line) => JSON.parse(line)).filter((line) => line.level === 40);
    expect(warnings.map((line) => [line.path, line.msg.startsWith("INSECURE")])).toEqual([
      ["/webhook", true],
      ["/open", true],
      ["/bare", true],
    ]);
    expect((await post("/open", "hi")).status).toBe(200);
    expect(events).toHaveLength(1);
    expect(await refusal(await post("/bare", "hi"))).toEqual({ status: 403, code: "secret_missing" });
    expect(await refusal(await post("/webhook", "{}", json))).toEqual({
      status: 403,
      code: "secret_missing",
    });
  });

  it("U18 the loopback exception is refused on an address that others can reach", async () => {
    for (const host of ["0.0.0.0", "::", "192.168.1.5", "example.org", "127.0.0.1.example.org"]) {
      await expect(start({ config: { host, insecure_loopback: true } })).rejects.toMatchObject({
        code: "invalid_config",
        message: expect.stringContaining("insecure_loopback"),
      });
    }
  });

  it("U18 a secret that is taken away later closes its route at once", async () => {
    const values: Record<string, string> = { ...secrets };
    const { post } = await start({ values });
    expect((await post("/bugsnag", "hi", known)).status).toBe(200);
    values.HOOK = "";
    expect(await refusal(await post("/bugsnag", "hi", known))).toMatchObject({ status: 403 });
    values.HOOK = "another";
    expect(await refusal(await post("/bugsnag", "hi", known))).toMatchObject({ status: 401 });
  });

  it("refuses two routes of one path, and a port that is taken", async () => {
    const twice = { routes: [{ path: "/webhook", secret: { env: "HOOK" } }] };
    await expect(start({ routes: twice })).rejects.toMatchObject({ code: "invalid_config" });
    const health = { routes: [{ path: "/healthz", secret: { env: "HOOK" } }] };
    await expect(start({ routes: health })).rejects.toMatchObject({ code: "invalid_config" });
    const { ingress } = await start();
    const port = Number(ingress.address.split(":")[1]);
    await expect(start({ config: { port } })).rejects.toMatchObject({
      code: "invalid_config",
      hint: expect.stringContaining("ingress.port"),
    });
  });

  it("listens on loopback for localhost and tells its address", async () => {
    const { ingress } = await start({ config: { host: "localhost" } });
    expect(ingress.address).toMatch(/^127\.0\.0\.1:\d+$/);
  });
});

describe("senders that mean no good", () => {
  it("a sender that never finishes its headers or its body is cut off", async () => {
    const { ingress } = await start({ limits: { headersMs: 50, requestMs: 100, checkMs: 20 } });
    const head = await raw(ingress.address, "POST /bugsnag HTTP/1.1\r\nhost: x\r\nx-slow: ");
    expect(head).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"invalid_request"/);
    const body = await raw(
      ingress.address,
      `POST /bugsnag HTTP/1.1\r\nhost: x\r\nx-signalbox-secret: ${SECRET}\r\ncontent-length: 10\r\n\r\nabc`,
    );
    expect(body).toMatch(/^HTTP\/1\.1 408 /);
    expect(await raw(ingress.address, "")).not.toContain(" 200 ");
  });

  it("a sender that is cut off and neither reads nor lets go loses its place all the same", async () => {
    const limits = { headersMs: 50, requestMs: 60_000, checkMs: 20, connections: 1 };
    const { ingress, url } = await start({ limits });
    const [host, port] = ingress.address.split(":");
    const stubborn = connect({ host, port: Number(port), allowHalfOpen: true });
    stubborn.on("error", () => "its place was taken away");
    await once(stubborn, "connect");
    stubborn.write("POST /bugsnag HTTP/1.1\r\nhost: x\r\n");
    const status = async () => (await fetch(`${url}/healthz`).catch(() => null))?.status;
    await vi.waitUntil(async () => (await status()) === 200, { timeout: 10_000 });
    stubborn.destroy();
  });

  it("what is no HTTP, or has endless headers, gets an error in the usual shape", async () => {
    const { ingress } = await start();
    expect(await raw(ingress.address, "hello\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/,
    );
    const endless = `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(40_000)}\r\n\r\n`;
    expect(await raw(ingress.address, endless)).toMatch(/^HTTP\/1\.1 431 [\s\S]*"code":"too_large"/);
  });

  it("bodies under way together stay within their limit, and the room is given back", async () => {
    const { post, url } = await start({ limits: { bodyBytes: 1_000 } });
    const headers = { ...known, "content-length": "900" };
    const slow = httpRequest(`${url}/bugsnag`, { method: "POST", headers });
    const ended = new Promise((resolve) => slow.on("close", resolve));
    slow.on("error", () => "it is cut off below");
    slow.write("x");
    // The first one holds its room from its headers on.
    let refused = await post("/bugsnag", "x".repeat(200), known);
    while (refused.status === 200) refused = await post("/bugsnag", "x".repeat(200), known);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await refusal(refused)).toEqual({ status: 429, code: "busy" });
    slow.destroy();
    await ended;
    let taken = await post("/bugsnag", "x".repeat(200), known);
    while (taken.status === 429) taken = await post("/bugsnag", "x".repeat(200), known);
    expect(taken.status).toBe(200);
  });

  it("takes no more connections than it may", async () => {
    const { ingress, url } = await start({ limits: { connections: 2 } });
    const [host, port] = ingress.address.split(":");
    const held = [connect(Number(port), host), connect(Number(port), host)];
    await Promise.all(held.map((socket) => once(socket, "connect")));
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    for (const socket of held) socket.destroy();
  });

  it("a stop waits for requests under way, but not for a sender that stalls", async () => {
    let release = () => {};
    let entered = () => {};
    const inside = new Promise<void>((resolve) => (entered = resolve));
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { post, ingress } = await start({
      record: async () => {
        entered();
        await gate;
      },
    });
    const pending = post("/bugsnag", "hi", known);
    await inside;
    const closed = ingress.close();
    release();
    expect((await pending).status).toBe(200);
    await closed;
    const stalled = await start({ drainMs: 20 });
    const [host, port] = stalled.ingress.address.split(":");
    const socket = connect(Number(port), host);
    socket.on("error", () => "it is cut off below");
    socket.resume();
    socket.write(`POST /bugsnag HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc`);
    const gone = once(socket, "close");
    await once(socket, "connect");
    await stalled.ingress.close();
    await gone;
  });
});
