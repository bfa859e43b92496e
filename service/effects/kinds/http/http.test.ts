import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import { silentLog } from "../../../lib/log.ts";
import { Scope } from "../../../lib/scope.ts";
import { Secret } from "../../../lib/secret.ts";
import type { EffectContext } from "../kind.ts";
import { checkedPayload } from "../registry.ts";
import { guardedLookup, type Lookup, parseNetworks } from "./addresses.ts";
import { type HttpSettings, httpKind } from "./index.ts";

interface Seen extends Pick<IncomingMessage, "method" | "url" | "headers"> {
  body: string;
}

let scope: Scope;
let seen: Seen[];
let answer: RequestListener;

beforeEach(() => {
  scope = new Scope();
  seen = [];
  answer = (_request, response) => void response.end("done");
});
afterEach(() => scope.close());

/** A server on this machine, at an address of its own. */
async function listen(address: string, port = 0): Promise<string> {
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  scope.defer(
    () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  );
  return `http://${address}:${(server.address() as AddressInfo).port}`;
}

const settings = (given: Partial<HttpSettings> = {}): HttpSettings => ({
  allowed: parseNetworks(["127.0.0.2"]),
  allowedHosts: new Set(),
  timeoutMs: 5_000,
  maxRedirects: 3,
  maxBytes: 100_000,
  keepBytes: 1_000,
  secrets: [
    { name: "deploy", env: "DEPLOY_TOKEN", hosts: ["127.0.0.2"], read: () => new Secret("planted-secret") },
    { name: "unset", env: null, hosts: [], read: () => null },
    { name: "elsewhere", env: null, hosts: ["*.example.com"], read: () => new Secret("planted-secret") },
  ],
  userAgent: "signalbox/test",
  ...given,
});

function kindOf(given: Partial<HttpSettings> = {}, lookup?: Lookup) {
  const kind = httpKind(settings(given), lookup);
  scope.defer(async () => kind.close?.());
  return kind;
}

const context = (signal = new AbortController().signal): EffectContext => ({
  ...{ idempotencyKey: "eff_1", attempt: 1, bound: {}, signal, log: silentLog },
  cause: { source: "cli", workflow: null, event_id: null, run_id: null, correlation_id: null, depth: 0 },
});

async function send(payload: JsonObject, kind = kindOf(), signal?: AbortSignal): Promise<JsonObject> {
  return (await kind.execute(checkedPayload(kind, payload), context(signal))) as JsonObject;
}
const failure = (payload: JsonObject, kind = kindOf(), signal?: AbortSignal): Promise<SignalboxError> =>
  send(payload, kind, signal).then(
    () => Promise.reject(new Error("it succeeded")),
    (error: unknown) => (SignalboxError.is(error) ? error : Promise.reject(error)),
  );
const faults = (payload: JsonObject, kind = kindOf()) => {
  try {
    checkedPayload(kind, payload);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

describe("a web request", () => {
  it("R69 is a POST of JSON unless said otherwise, and carries the effect's id as idempotency key", async () => {
    const base = await listen("127.0.0.2");
    answer = (_request, response) =>
      void response.setHeader("content-type", "application/json").end('{"ok":true}');
    const result = await send({ url: `${base}/deploy?x=1`, json: { b: 1 }, headers: { "X-One": "two" } });
    expect(seen).toMatchObject([
      {
        ...{ method: "POST", url: "/deploy?x=1", body: '{"b":1}' },
        headers: {
          "content-type": "application/json",
          "idempotency-key": "eff_1",
          "user-agent": "signalbox/test",
          "x-one": "two",
        },
      },
    ]);
    expect(result).toMatchObject({ status: 200, json: { ok: true }, body: null, truncated: false });
  });

  it("R69 sends a raw body as it is", async () => {
    const base = await listen("127.0.0.2");
    await send({ url: base, method: "put", body: "a=1", headers: { "content-type": "text/plain" } });
    expect(seen[0]).toMatchObject({
      ...{ method: "PUT", body: "a=1" },
      headers: { "content-type": "text/plain" },
    });
  });

  it("U6 says what it is in one sentence, and whom it reaches", () => {
    const kind = kindOf();
    const act = (payload: JsonObject) => {
      const parsed = checkedPayload(kind, payload);
      return [kind.summary(parsed), kind.target(parsed), kind.action(parsed)];
    };
    expect(act({ url: "https://API.example.com:443/deploy?token=1", json: { a: 1 } })).toEqual([
      ...["POST 7 bytes of JSON to api.example.com/deploy", "api.example.com", "POST"],
    ]);
    expect(act({ url: "http://example.com:8080", method: "GET" })).toEqual([
      ...["GET example.com:8080", "example.com:8080", "GET"],
    ]);
    // A name that only looks like another is shown as what it is.
    expect(act({ url: "https://аpple.com", method: "GET" })[1]).toBe("xn--pple-43d.com");
  });

  it("U8 parsing its canonical payload once more changes nothing", () => {
    const kind = kindOf();
    const once = checkedPayload(kind, { url: "https://example.com/a b#c", headers: { "X-A": "1" } });
    expect(checkedPayload(kind, once)).toEqual(once);
    expect(once).toMatchObject({ url: "https://example.com/a%20b", headers: { "x-a": "1" } });
  });

  it.each([
    ["ftp://example.com", "http:// or https://"],
    ["file:///etc/passwd", "http:// or https://"],
    ["https://ann:pw@example.com", "no user name and password"],
    ["http://127.0.0.1/", "this machine itself"],
    ["http://2130706433/", "this machine itself"],
    ["http://[::ffff:7f00:1]/", "this machine itself"],
    ["http://localhost:8080/", "this machine itself"],
    ["http://169.254.169.254/latest/meta-data", "link-local"],
    ["http://192.168.1.1/", "a private address"],
  ])("B17 R69 %s is refused before anybody is asked (security list 10)", (url, reason) => {
    expect(faults({ url })).toContain(reason);
  });

  it("B17 a name that leads to this machine is refused when it connects (security list 10)", async () => {
    const port = new URL(await listen("127.0.0.1")).port;
    const resolve = guardedLookup(settings(), ((
      _name: string,
      _options: object,
      done: (...a: unknown[]) => void,
    ) => done(null, [{ address: "127.0.0.1", family: 4 }])) as never);
    const error = await failure({ url: `http://api.example.com:${port}/` }, kindOf({}, resolve));
    expect(error).toMatchObject({ code: "forbidden", message: "api.example.com is this machine itself" });
    expect(seen).toEqual([]);
  });

  it("B17 a name that changes its address between two requests gains nothing (security list 10)", async () => {
    const port = Number(new URL(await listen("127.0.0.2")).port);
    await listen("127.0.0.1", port);
    let address = "127.0.0.2";
    const resolve = guardedLookup(settings(), ((
      _name: string,
      _options: object,
      done: (...a: unknown[]) => void,
    ) => done(null, [{ address, family: 4 }])) as never);
    answer = (_request, response) => void response.setHeader("connection", "close").end();
    const kind = kindOf({}, resolve);
    await send({ url: `http://api.example.com:${port}/` }, kind);
    address = "127.0.0.1";
    expect(await failure({ url: `http://api.example.com:${port}/` }, kind)).toMatchObject({
      code: "forbidden",
    });
    expect(seen).toHaveLength(1);
  });

  it("B17 where the connection really goes has the last word, whatever a lookup said (security list 10)", async () => {
    const port = new URL(await listen("127.0.0.1")).port;
    const careless: Lookup = (_name, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]);
    const error = await failure({ url: `http://api.example.com:${port}/` }, kindOf({}, careless));
    expect(error.code).toBe("forbidden");
    expect(seen).toEqual([]);
  });

  it("B17 a redirect to a private address is refused (security list 10)", async () => {
    const inner = await listen("127.0.0.1");
    const base = await listen("127.0.0.2");
    for (const location of [inner, "http://169.254.169.254/", "http://[::1]:1/", "file:///etc/passwd"]) {
      seen = [];
      answer = (_request, response) => void response.writeHead(302, { location }).end();
      const { code } = await failure({ url: base, method: "GET" });
      expect(code).toBe(location.startsWith("file:") ? "remote_failed" : "forbidden");
      expect(seen).toHaveLength(1);
    }
  });

  it("R69 follows redirects, up to the limit", async () => {
    const base = await listen("127.0.0.2");
    answer = (request, response) =>
      void (request.url === "/end"
        ? response.end("here")
        : response.writeHead(301, { location: "/end" }).end());
    expect(await send({ url: base, method: "GET" })).toMatchObject({
      ...{ url: `${base}/end`, redirects: 1, body: "here" },
    });
    answer = (_request, response) => void response.writeHead(302, { location: "/again" }).end();
    expect((await failure({ url: base, method: "GET" })).message).toContain("more than 3 times");
  });

  it("B17 secrets do not go with a redirect to another host, and neither does a body (security list 13)", async () => {
    const kind = kindOf({ allowed: parseNetworks(["127.0.0.2", "127.0.0.3"]) });
    const other = await listen("127.0.0.3");
    const base = await listen("127.0.0.2");
    let status = 302;
    answer = (request, response) =>
      void (request.headers.host === new URL(other).host
        ? response.end("there")
        : response.writeHead(status, { location: other }).end());
    const headers = {
      authorization: { secret: "deploy", prefix: "Bearer " },
      "x-key": { secret: "deploy" },
      "x-plain": "stays",
    };
    await send({ url: base, headers, json: { a: 1 } }, kind);
    expect(seen[0]?.headers).toMatchObject({
      authorization: "Bearer planted-secret",
      "x-key": "planted-secret",
    });
    expect(seen[1]).toMatchObject({ method: "GET", body: "", headers: { "x-plain": "stays" } });
    expect(JSON.stringify(seen[1])).not.toContain("planted-secret");
    status = 307;
    seen = [];
    expect((await failure({ url: base, json: { a: 1 } }, kind)).message).toContain("was not asked for");
    expect(seen).toHaveLength(1);
  });

  it("U8 secrets are references: literal ones, unlisted ones and those for other hosts are refused", () => {
    const url = "http://127.0.0.2/";
    expect(faults({ url, headers: { Authorization: "Bearer abc" } })).toContain("must name its secret");
    expect(faults({ url, headers: { "X-Api-Key": "abc" } })).toContain("must name its secret");
    expect(faults({ url, headers: { "x-a": { env: "HOME" } } })).toContain("HOME is not listed");
    expect(faults({ url, headers: { "x-a": { secret: "nope" } } })).toContain("nope is not listed");
    expect(faults({ url, headers: { "x-a": { secret: "elsewhere" } } })).toContain("is not for 127.0.0.2");
    expect(faults({ url, headers: { "x-a": { env: "DEPLOY_TOKEN" } } })).toBeNull();
    const evil = "https://evil-example.com/";
    expect(faults({ url: evil, headers: { "x-a": { secret: "elsewhere" } } })).toContain("is not for");
  });

  it("U8 a secret that is not set fails before anything is sent", async () => {
    const base = await listen("127.0.0.2");
    expect(await failure({ url: base, headers: { "x-a": { secret: "unset" } } })).toMatchObject({
      code: "secret_missing",
    });
    expect(seen).toEqual([]);
  });

  it("B17 no secret is in what is shown, stored or told (security list 13)", async () => {
    const base = await listen("127.0.0.2");
    const kind = kindOf();
    const payload = checkedPayload(kind, {
      url: `${base}/?api_key=planted-query&page=2`,
      headers: { authorization: { secret: "deploy" } },
      json: { user: "ann", password: "planted-password", nested: { apiKey: "planted-key" } },
    });
    answer = (_request, response) => void response.writeHead(500).end("no");
    const error = await failure(payload, kind);
    const shown = JSON.stringify([
      kind.redact(payload),
      kind.summary(payload),
      kind.risks(payload, {}),
      error.message,
    ]);
    expect(shown).not.toContain("planted");
    expect(kind.redact(payload)).toMatchObject({
      json: { user: "ann" },
      headers: { authorization: { secret: "deploy" } },
    });
    // Another secret looks different, so that a change can be seen.
    const changed = kind.redact({ ...payload, json: { user: "ann", password: "planted-other" } });
    expect(changed.json).not.toEqual(kind.redact(payload).json);
  });

  it.each([
    [{ "x-a": "one\r\nx-b: two" }, "one line"],
    [{ "x-a\r\nx-b": "two" }, "no name of a header"],
    [{ host: "evil.example.com" }, "set by the client"],
    [{ "Content-Length": "1" }, "set by the client"],
    [{ "x-a": { secret: "deploy", prefix: "a\nb" } }, "one line"],
  ])("R69 the headers %j are refused", (headers, reason) => {
    expect(faults({ url: "https://example.com", headers: headers as JsonObject })).toContain(reason);
  });

  it("R69 long answers are cut, and endless ones end", async () => {
    const base = await listen("127.0.0.2");
    answer = (_request, response) => void response.end("a".repeat(50_000));
    const long = await send({ url: base });
    expect(long).toMatchObject({ truncated: true, bytes: 50_000 });
    expect(long.body).toHaveLength(1_000);
    answer = (_request, response) => {
      const more = () => {
        while (response.write("a".repeat(10_000)));
      };
      response.on("drain", more);
      more();
    };
    expect(await send({ url: base })).toMatchObject({ truncated: true, bytes: 100_000 });
  });

  it("R69 keeps no cookies of an answer, nor what is no text", async () => {
    const base = await listen("127.0.0.2");
    answer = (_request, response) =>
      void response
        .writeHead(200, { "set-cookie": "session=planted", "content-type": "image/png", etag: "1" })
        .end(Buffer.from([1, 0, 2]));
    const result = await send({ url: base });
    expect(result).toMatchObject({ body: null, bytes: 3, headers: { etag: "1" } });
    expect(JSON.stringify(result)).not.toContain("planted");
  });

  it("U6 a request that got no answer in time may have happened; one that never left did not", async () => {
    const base = await listen("127.0.0.2");
    answer = () => {};
    expect(await failure({ url: base, timeout_ms: 50 })).toMatchObject({ details: { outcome: "unknown" } });
    answer = (request) => void request.socket.destroy();
    expect(await failure({ url: base })).toMatchObject({ details: { outcome: "unknown" } });
    const port = new URL(await listen("127.0.0.3")).port;
    const refused = await failure({ url: `http://127.0.0.2:${port}/` });
    expect(refused).toMatchObject({ code: "unavailable", details: undefined });
  });

  it("U6 what the other side puts off is tried again when it says so, other refusals are not", async () => {
    const base = await listen("127.0.0.2");
    answer = (_request, response) => void response.writeHead(429, { "retry-after": "7" }).end();
    expect(await failure({ url: base })).toMatchObject({ code: "rate_limited", retryAfterS: 7 });
    answer = (_request, response) => void response.writeHead(503).end();
    expect(await failure({ url: base })).toMatchObject({ code: "unavailable", retryAfterS: undefined });
    answer = (_request, response) => void response.writeHead(422).end("title is missing");
    expect(await failure({ url: base })).toMatchObject({
      ...{ code: "remote_failed", message: `${new URL(base).host} answered 422: title is missing` },
    });
  });

  it("U6 may be repeated by its method, or where the other side knows the key", () => {
    const kind = kindOf();
    const may = (payload: JsonObject) =>
      kind.repeatable(checkedPayload(kind, { url: "https://example.com", ...payload }));
    expect(["GET", "PUT", "DELETE"].map((method) => may({ method }))).toEqual([true, true, true]);
    expect([may({}), may({ method: "PATCH" }), may({ idempotent: true })]).toEqual([false, false, true]);
  });

  it("U6 a stop of the service ends it", async () => {
    const base = await listen("127.0.0.2");
    const stop = new AbortController();
    answer = () => stop.abort();
    expect(await failure({ url: base }, kindOf(), stop.signal)).toMatchObject({
      details: { outcome: "unknown" },
    });
  });
});
