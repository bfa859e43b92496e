import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { connectorContext, webhookRequest } from "../../../test/harness/connector-context.ts";
import { newEvent } from "../../contract/events.ts";
import type { WebhookReply } from "../connector.ts";
import { webhookConfig } from "./config.ts";
import { receiveWebhook, webhookRoutes } from "./receive.ts";

const SECRET = "correct horse battery staple";

interface Sending {
  headers?: Record<string, string>;
  secret?: string | null;
  allowsOpen?: boolean;
}

function send(route: object, body: string | Buffer, options: Sending = {}): Promise<WebhookReply> {
  const config = webhookConfig.parse({ routes: [{ path: "/hook", secret: { env: "HOOK" }, ...route }] });
  const secret = options.secret === undefined ? SECRET : options.secret;
  const request = webhookRequest("/hook", body, options.headers);
  return receiveWebhook(
    { ...request, allowsOpen: options.allowsOpen ?? false },
    connectorContext(config, secret === null ? {} : { HOOK: secret }),
  );
}

const withSecret = { "x-signalbox-secret": SECRET };
const asJson = { ...withSecret, "content-type": "application/json" };
const hmac = (body: string | Buffer) => createHmac("sha256", SECRET).update(body).digest("hex");

async function content(body: string | Buffer, headers: Record<string, string>) {
  const reply = await send({}, body, { headers: { ...withSecret, ...headers } });
  const event = newEvent.parse(reply.events[0]);
  return { payload: event.payload, body: event.body };
}

describe("routes", () => {
  it("M15 the example in the README sends /bitbucket, /bugsnag and /payment to their topics", async () => {
    const readme = readFileSync(new URL("./README.md", import.meta.url), "utf8");
    const example = parse(/```toml\n([\s\S]*?)```/.exec(readme)![1]!) as unknown as {
      connectors: { webhook: object };
    };
    const config = webhookConfig.parse(example.connectors.webhook);
    const context = {
      ...connectorContext(config, { BITBUCKET_SECRET: SECRET, BUGSNAG_SECRET: SECRET }),
      secret: () => connectorContext(null, { any: SECRET }).secret({ env: "any" }),
    };
    const proofs: Record<string, Record<string, string>> = {
      "/bitbucket": { "x-hub-signature-256": `sha256=${hmac("{}")}`, "x-request-uuid": "b-1" },
      "/bugsnag": { "x-signalbox-secret": SECRET },
      "/payment": { "x-payment-token": SECRET },
    };
    const seen: Record<string, unknown> = {};
    for (const [path, proof] of Object.entries(proofs)) {
      const headers = { ...proof, "content-type": "application/json" };
      const reply = await receiveWebhook(webhookRequest(path, "{}", headers), context);
      expect(reply).toMatchObject({ status: 200, body: { status: "accepted" } });
      seen[path] = newEvent.parse(reply.events[0]).topic;
    }
    expect(seen).toEqual({
      "/bitbucket": "bitbucket-webhook",
      "/bugsnag": "error-report",
      "/payment": "payment-webhook",
    });
    expect(webhookRoutes(config).map(({ path, maxBytes }) => [path, maxBytes])).toEqual([
      ["/bitbucket", 1_048_576],
      ["/bugsnag", 1_048_576],
      ["/payment", 65_536],
    ]);
  });

  it("M15 an event tells its route, topic, type and source, and that a webhook brought it", async () => {
    const route = { topic: "inbox", type: "shop.paid", id_header: "X-Delivery" };
    const reply = await send(route, '{"amount":1}', {
      headers: {
        ...asJson,
        "x-delivery": "d-1",
        "user-agent": "Shop/1",
        cookie: "session=1",
        authorization: "Basic abc",
      },
    });
    expect(newEvent.parse(reply.events[0])).toEqual({
      type: "shop.paid",
      source: "hook",
      topic: "inbox",
      origin_kind: "webhook",
      payload: { amount: 1 },
      external_id: "d-1",
      meta: { path: "/hook", content_type: "application/json", user_agent: "Shop/1", delivery_id: "d-1" },
    });
  });

  it("M15 paths, topics and types that could mean something else are refused in the settings", () => {
    for (const route of [
      { path: "hook" },
      { path: "/" },
      { path: "/a/:id" },
      { path: "/a/*" },
      { path: "/a?b=c" },
      { path: "/../a" },
      { path: "/a", topic: "two words" },
      { path: "/a", type: "a.*" },
      { path: "/a", header: "a b" },
    ]) {
      expect(webhookConfig.safeParse({ routes: [route] }).success, JSON.stringify(route)).toBe(false);
    }
  });

  it("an unknown path is not found", async () => {
    const context = connectorContext(webhookConfig.parse(undefined));
    await expect(receiveWebhook(webhookRequest("/x", ""), context)).rejects.toMatchObject({ status: 404 });
  });
});

describe("proof", () => {
  it("M15 the secret may be in X-Signalbox-Secret, in makiso's header, or where the route says", async () => {
    for (const header of ["x-signalbox-secret", "x-oc-events-secret"]) {
      expect((await send({}, "hi", { headers: { [header]: SECRET } })).status).toBe(200);
    }
    const own = { header: "X-Payment-Token" };
    expect((await send(own, "hi", { headers: { "x-payment-token": SECRET } })).status).toBe(200);
    await expect(send(own, "hi", { headers: withSecret })).rejects.toMatchObject({ status: 401 });
  });

  it("U18 a wrong or missing secret is 401, whatever it looks like", async () => {
    for (const value of [undefined, "", " ", SECRET.toUpperCase(), `${SECRET}, ${SECRET}`, "[secret]"]) {
      const headers: Record<string, string> = value === undefined ? {} : { "x-signalbox-secret": value };
      const error = await send({}, "hi", { headers }).catch((e) => e);
      expect(error).toMatchObject({ code: "bad_signature", status: 401 });
      expect(JSON.stringify(error.toBody())).not.toContain(SECRET);
    }
  });

  it("U18 a route without a secret, or with a blank one, accepts nothing", async () => {
    for (const secret of [null, "", "   "]) {
      for (const auth of ["header", "hmac-sha256"]) {
        const headers = { "x-signalbox-secret": secret ?? "", "x-hub-signature-256": hmac("hi") };
        await expect(send({ auth }, "hi", { headers, secret })).rejects.toMatchObject({
          code: "secret_missing",
          status: 403,
          hint: expect.stringContaining("/hook"),
        });
      }
    }
    await expect(send({ secret: undefined }, "hi", { headers: withSecret })).rejects.toMatchObject({
      status: 403,
    });
  });

  it("U18 auth = none is accepted only where the ingress allows it by name", async () => {
    await expect(send({ auth: "none" }, "hi")).rejects.toMatchObject({ code: "secret_missing" });
    expect((await send({ auth: "none" }, "hi", { allowsOpen: true })).status).toBe(200);
    await expect(send({}, "hi", { allowsOpen: true })).rejects.toMatchObject({ status: 401 });
  });

  it("M15 an HMAC of the body is taken with and without sha256=, in the route's header", async () => {
    const body = Buffer.from("à la carte");
    const signed = { auth: "hmac-sha256" };
    for (const value of [hmac(body), `sha256=${hmac(body)}`, hmac(body).toUpperCase()]) {
      expect((await send(signed, body, { headers: { "x-hub-signature-256": value } })).status).toBe(200);
    }
    const own = { ...signed, header: "X-Signature" };
    expect((await send(own, body, { headers: { "x-signature": hmac(body) } })).status).toBe(200);
    const wrong = [
      hmac("other"),
      "",
      "sha256=",
      hmac(body).slice(1),
      `sha1=${hmac(body)}`,
      `${hmac(body)}00`,
    ];
    for (const value of wrong) {
      await expect(send(signed, body, { headers: { "x-hub-signature-256": value } })).rejects.toMatchObject({
        code: "bad_signature",
      });
    }
  });
});

describe("bodies", () => {
  it("M15 a JSON object becomes the payload, other JSON a value", async () => {
    expect(
      await content('{"a":[1,{"b":null}]}', { "content-type": "application/json; charset=utf-8" }),
    ).toEqual({
      payload: { a: [1, { b: null }] },
    });
    for (const [text, value] of [
      ["[1,2]", [1, 2]],
      ['"x"', "x"],
      ["null", null],
      ["4.5", 4.5],
    ] as const) {
      expect(await content(text, { "content-type": "application/vnd.x+json" })).toEqual({
        payload: { value },
      });
    }
  });

  it("M15 a form becomes an object, with lists for repeated fields", async () => {
    const form = "name=J%C3%B6rg+K&tag=a&tag=b&empty=&__proto__=x";
    const read = await content(form, { "content-type": "application/x-www-form-urlencoded" });
    expect(JSON.stringify(read.payload)).toBe('{"name":"Jörg K","tag":["a","b"],"empty":"","__proto__":"x"}');
  });

  it("M15 other text becomes the body", async () => {
    expect(await content("disk full", { "content-type": "text/plain" })).toEqual({ body: "disk full" });
    expect(await content("no type", {})).toEqual({ body: "no type" });
    expect(await content("", {})).toEqual({ body: "" });
  });

  it("malformed, binary and bottomless bodies are 400 and do not come back in the answer", async () => {
    const json = { "content-type": "application/json" };
    const bad: [string | Buffer, Record<string, string>][] = [
      ['{"password":"hunter2"', json],
      ["", json],
      [Buffer.from([0xff, 0xfe, 0x00]), { "content-type": "image/png" }],
      [Buffer.from([0x22, 0xff, 0x22]), json],
      ["a\0b", { "content-type": "text/plain" }],
      ["[".repeat(100_000) + "]".repeat(100_000), json],
    ];
    for (const [body, headers] of bad) {
      const error = await send({}, body, { headers: { ...withSecret, ...headers } }).catch((e) => e);
      expect(error).toMatchObject({ code: "invalid_request", status: 400 });
      expect(JSON.stringify(error.toBody())).not.toContain("hunter2");
    }
    const deep = "[".repeat(100) + "]".repeat(100);
    expect((await send({}, deep, { headers: asJson })).status).toBe(200);
  });

  it("a body over the route's limit, or over what one event holds, is 413", async () => {
    await expect(send({ max_bytes: 5 }, "123456", { headers: withSecret })).rejects.toMatchObject({
      code: "too_large",
      status: 413,
    });
    expect((await send({ max_bytes: 5 }, "12345", { headers: withSecret })).status).toBe(200);
    const large = JSON.stringify({ text: "x".repeat(1_048_576) });
    await expect(send({ max_bytes: 2_000_000 }, large, { headers: asJson })).rejects.toMatchObject({
      status: 413,
    });
  });
});

describe("repetition", () => {
  it("M15 a route with an id header refuses a delivery without a usable id", async () => {
    for (const id of [undefined, "", " ", "x".repeat(301), "ä"]) {
      const headers = { ...withSecret, ...(id === undefined ? {} : { "x-id": id }) };
      await expect(send({ id_header: "X-Id" }, "hi", { headers })).rejects.toMatchObject({
        status: 400,
        message: expect.stringContaining("x-id"),
      });
    }
  });

  it("M15 without an id header two equal bodies are two events", async () => {
    const reply = await send({}, "hi", { headers: withSecret });
    expect(reply.events[0]).not.toHaveProperty("external_id");
  });
});
