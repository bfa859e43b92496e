import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import { silentLog } from "../../../lib/log.ts";
import { Scope } from "../../../lib/scope.ts";
import { Secret } from "../../../lib/secret.ts";
import type { EffectContext } from "../kind.ts";
import { checkedPayload } from "../registry.ts";
import { type MailSettings, mailKind } from "./index.ts";

interface Delivered {
  from: string;
  to: string[];
  text: string;
  user: string | undefined;
  secure: boolean;
}

let scope: Scope;
let delivered: Delivered[];

beforeEach(() => {
  scope = new Scope();
  delivered = [];
});
afterEach(() => scope.close());

/** A real SMTP server on this machine. */
async function serve(options: SMTPServerOptions = {}): Promise<number> {
  const server = new SMTPServer({
    // It warns of its built-in certificate, which is what these tests want.
    logger: false,
    authOptional: true,
    disableReverseLookup: true,
    onAuth: ({ username, password }, _session, done) =>
      username === "ann" && password === "planted-password"
        ? done(null, { user: username })
        : done(new Error("Invalid username or password")),
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        delivered.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
          user: session.user,
          secure: session.secure,
        });
        done();
      });
    },
    ...options,
  });
  // What a client does wrong is the client's affair; without a listener it would end the test.
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.server.address() as AddressInfo).port;
}

const settings = (port: number, given: Partial<MailSettings> = {}): MailSettings => ({
  ...{ host: "127.0.0.1", port, tls: "never", username: undefined, from: "signalbox@example.com" },
  ...{
    password: () => new Secret("planted-password"),
    timeoutMs: 5_000,
    trust: { rejectUnauthorized: false } as object,
  },
  ...given,
});
const context: EffectContext = {
  ...{
    idempotencyKey: "eff_01",
    attempt: 1,
    bound: {},
    signal: new AbortController().signal,
    log: silentLog,
  },
  cause: { source: "cli", workflow: null, event_id: null, run_id: null, correlation_id: null, depth: 0 },
};
const kindAt = (port = 1, given: Partial<MailSettings> = {}) => mailKind(settings(port, given));
const parse = (payload: JsonObject, kind = kindAt()) => checkedPayload(kind, payload);
const send = async (payload: JsonObject, kind: ReturnType<typeof kindAt>) =>
  (await kind.execute(parse(payload, kind), context)) as JsonObject;
const failure = (payload: JsonObject, kind: ReturnType<typeof kindAt>): Promise<SignalboxError> =>
  send(payload, kind).then(
    () => Promise.reject(new Error("it succeeded")),
    (error: unknown) => (SignalboxError.is(error) ? error : Promise.reject(error)),
  );
const mail = { to: "ops@example.com", subject: "Deployed", text: "All is well." };

describe("a mail", () => {
  it("R70 goes to a real server once, with a Message-ID that follows from the effect", async () => {
    const kind = kindAt(await serve());
    const result = await send(mail, kind);
    expect(delivered).toHaveLength(1);
    expect(delivered[0]).toMatchObject({ from: "signalbox@example.com", to: ["ops@example.com"] });
    expect(delivered[0]?.text).toMatch(/^Subject: Deployed\r$/m);
    expect(delivered[0]?.text).toMatch(/^Message-ID: <eff_01@example\.com>\r$/m);
    expect(result).toMatchObject({
      message_id: "<eff_01@example.com>",
      accepted: ["ops@example.com"],
      rejected: [],
    });
  });

  it("R70 takes comma lists and arrays, cc, bcc, html, an own sender, and body for text", async () => {
    const kind = kindAt(await serve());
    await send(
      {
        ...{
          to: 'Ann <ann@example.com>, "Doe, Bob" <bob@example.com>',
          cc: ["cy@example.com"],
          bcc: "di@example.com",
        },
        ...{ from: "deploys@example.org", subject: "Grüße", body: "plain", html: "<b>rich</b>" },
      },
      kind,
    );
    const [{ text = "", to = [], from } = {}] = delivered;
    expect(to).toEqual(["ann@example.com", "bob@example.com", "cy@example.com", "di@example.com"]);
    expect(from).toBe("deploys@example.org");
    for (const part of ["plain", "<b>rich</b>", "Cc: cy@example.com", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?="])
      expect(text).toContain(part);
    expect(text).not.toContain("di@example.com");
  });

  it("R57 signs in over STARTTLS, and no secret is told", async () => {
    const port = await serve({ authOptional: false });
    await send(mail, kindAt(port, { tls: "starttls", username: "ann" }));
    expect(delivered[0]).toMatchObject({ user: "ann", secure: true });
    const wrong = kindAt(port, {
      tls: "starttls",
      username: "ann",
      password: () => new Secret("planted-wrong"),
    });
    const error = await failure(mail, wrong);
    expect(error).toMatchObject({ code: "connection_expired", details: undefined });
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain("planted");
  });

  it("R57 does not send where encryption is asked for and the server has none", async () => {
    const port = await serve({ hideSTARTTLS: true, disabledCommands: ["STARTTLS"] });
    await failure(mail, kindAt(port, { tls: "starttls" }));
    expect(delivered).toEqual([]);
  });

  it("R57 never lets a password cross the network in the clear", async () => {
    const kind = kindAt(25, { host: "mail.example.com", username: "ann" });
    expect(await failure(mail, kind)).toMatchObject({ code: "forbidden" });
  });

  it("R57 needs a server, and a password where there is a name", async () => {
    await expect(kindAt(1, { host: undefined }).bind?.(parse(mail))).rejects.toThrow("no mail server is set");
    await expect(
      kindAt(1, { username: "ann", password: () => null }).bind?.(parse(mail)),
    ).rejects.toMatchObject({ code: "secret_missing" });
    expect(() => parse(mail, kindAt(1, { from: undefined }))).toThrow("mail.from is not set");
  });

  it.each([
    [{ subject: "one\r\nBcc: eve@example.com" }],
    [{ subject: "one\nBcc: eve@example.com" }],
    [{ subject: "one\u2028two" }],
    [{ to: "ann@example.com\r\nBcc: eve@example.com" }],
    [{ to: ["ann@example.com\nRCPT TO:<eve@example.com>"] }],
    [{ to: "Ann\r\nBcc: eve@example.com <ann@example.com>" }],
    [{ to: "Ann <eve@example.com> <ann@example.com>" }],
    [{ to: "ann@exam ple.com" }],
    [{ to: "" }],
    [{ cc: "not an address" }],
    [{ from: "a@example.com\r\nX: y" }],
    [{ from: "a@example.com, b@example.com" }],
    [{ in_reply_to: "<a@b>\r\nBcc: eve@example.com" }],
    [{ references: ["<a@b> <c@d>"] }],
    [{ attachments: [{ path: "/etc/passwd" }] }],
    [{ headers: { Bcc: "eve@example.com" } }],
  ])("R70 B17 no header can be planted, and nothing read from this machine: %j", (bad) => {
    expect(() => parse({ ...mail, ...(bad as JsonObject) })).toThrow();
  });

  it("R70 a text that looks like the end of the mail or a header is text", async () => {
    const kind = kindAt(await serve());
    await send({ ...mail, text: "one\r\n.\r\nMAIL FROM:<eve@example.com>\r\nBcc: eve@example.com" }, kind);
    expect(delivered).toHaveLength(1);
    expect(delivered[0]?.to).toEqual(["ops@example.com"]);
    expect(delivered[0]?.text).toContain("MAIL FROM:<eve@example.com>");
  });

  it("U6 a refusal for good has failed, one for now is tried again", async () => {
    const refusing = (code: number) =>
      serve({
        onRcptTo: (_address, _session, done) =>
          done(Object.assign(new Error("not here"), { responseCode: code })),
      });
    expect(await failure(mail, kindAt(await refusing(550)))).toMatchObject({
      code: "remote_failed",
      details: undefined,
    });
    expect(await failure(mail, kindAt(await refusing(451)))).toMatchObject({
      code: "unavailable",
      details: undefined,
    });
    const late = (code: number) =>
      serve({
        onData: (stream, _session, done) => {
          stream.resume();
          stream.on("end", () => done(Object.assign(new Error("no room"), { responseCode: code })));
        },
      });
    expect(await failure(mail, kindAt(await late(554)))).toMatchObject({
      code: "remote_failed",
      details: undefined,
    });
    expect(await failure(mail, kindAt(await late(452)))).toMatchObject({
      code: "unavailable",
      details: undefined,
    });
  });

  it("R70 tells which of several recipients were refused", async () => {
    const port = await serve({
      onRcptTo: ({ address }, _session, done) =>
        done(address.startsWith("gone") ? Object.assign(new Error("gone"), { responseCode: 550 }) : null),
    });
    const result = await send({ ...mail, cc: "gone@example.com" }, kindAt(port));
    expect(result).toMatchObject({ accepted: ["ops@example.com"], rejected: ["gone@example.com"] });
  });

  it("U6 a server that is not there got nothing", async () => {
    const port = await serve();
    await scope.close();
    scope = new Scope();
    expect(await failure(mail, kindAt(port))).toMatchObject({ code: "unavailable", details: undefined });
  });

  it("U6 a line that breaks after the mail was handed over leaves the end unknown, before that it does not", async () => {
    const breakAt = (word: string) => {
      const sockets: Socket[] = [];
      const server = createServer((socket) => {
        sockets.push(socket);
        socket.on("error", () => {});
        socket.write("220 here\r\n");
        socket.on("data", (data) => {
          const line = data.toString();
          if (line.startsWith(word)) socket.destroy();
          else if (line.startsWith("DATA")) socket.write("354 go\r\n");
          else socket.write("250 ok\r\n");
        });
      });
      return new Promise<number>((resolve) => {
        server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
        scope.defer(() => void server.close());
        scope.defer(() => {
          for (const socket of sockets) socket.destroy();
        });
      });
    };
    expect(await failure(mail, kindAt(await breakAt("RCPT")))).toMatchObject({
      code: "unavailable",
      details: undefined,
    });
    expect(await failure(mail, kindAt(await breakAt("From:")))).toMatchObject({
      details: { outcome: "unknown" },
    });
  });

  it("U6 says whom it reaches and in whose name", () => {
    const kind = kindAt();
    const payload = parse({
      to: "Ann <Ann@Example.com>",
      bcc: "bob@example.com",
      from: "boss@example.com",
      subject: "Hi",
    });
    expect(kind.summary(payload)).toBe("Send a mail to ann@example.com and bob@example.com: Hi");
    expect(kind.target(payload)).toBe("ann@example.com, bob@example.com");
    expect(kind.risks(payload, {})).toEqual([
      "It is sent in the name of boss@example.com, not of signalbox@example.com.",
      "Some get it without the others knowing (bcc).",
    ]);
    expect(parse(payload)).toEqual(payload);
  });
});
