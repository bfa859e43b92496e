import type { Agent, Dispatcher } from "undici";
import type { JsonObject } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import { maskUrl } from "../mask.ts";
import {
  type AddressRules,
  assertHost,
  guardedLookup,
  type Lookup,
  refusalOf,
  refused,
} from "./addresses.ts";

export interface HttpLimits {
  readonly timeoutMs: number;
  readonly maxRedirects: number;
  /** Read of an answer at the most; what comes after is cut off. */
  readonly maxBytes: number;
}

/** One request, complete with its secrets. */
export interface HttpRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Names of headers that hold secrets: they stay with the host they were meant for. */
  readonly secretHeaders: ReadonlySet<string>;
  readonly body: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly url: string;
  readonly redirects: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
  readonly isTruncated: boolean;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Headers of the answer that are kept; the others may hold sessions and secrets. */
const KEPT = [
  ...["content-type", "content-length", "content-language", "date", "etag", "last-modified", "location"],
  ...["retry-after", "x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset", "link"],
];
/** Go with the credentials when the host changes. */
const CREDENTIALS = ["authorization", "cookie", "proxy-authorization"];
/** Nothing of the request was sent: the connection did not come about. */
const NOT_SENT = new Set([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"],
  ...["EADDRNOTAVAIL", "ETIMEDOUT_CONNECT"],
]);

export interface HttpClient {
  /** @throws SignalboxError `forbidden`, `unavailable`, `remote_failed`; `details.outcome` where the end is unknown */
  send(request: HttpRequest): Promise<HttpAnswer>;
  close(): Promise<void>;
}

/** A client whose every connection is checked against `rules`, also after a redirect. `lookup` is for tests. */
export function createHttpClient(rules: AddressRules, limits: HttpLimits, lookup?: Lookup): HttpClient {
  // Loaded with the first request: most services send none, and it takes megabytes.
  let opened: Promise<Agent> | undefined;
  return {
    async send(given) {
      opened ??= openAgent(rules, limits, lookup);
      return follow(await opened, given, rules, limits);
    },
    async close() {
      await (await opened)?.destroy();
    },
  };
}

async function openAgent(rules: AddressRules, limits: HttpLimits, lookup?: Lookup): Promise<Agent> {
  const { Agent, buildConnector } = await import("undici");
  const connector = buildConnector({
    timeout: limits.timeoutMs,
    lookup: (lookup ?? guardedLookup(rules)) as never,
  });
  return new Agent({
    connect(options, callback) {
      connector(options, (error, socket) => {
        if (error || !socket) return callback(error ?? new Error("no connection"), null);
        // The last word, whatever the lookup said: where the connection really goes.
        const reason = rules.allowedHosts.has(options.hostname.toLowerCase())
          ? null
          : refusalOf(socket.remoteAddress ?? "", rules.allowed);
        if (reason === null) return callback(null, socket);
        socket.destroy();
        callback(refused(options.hostname, reason), null);
      });
    },
    maxHeaderSize: 32_768,
  });
}

interface Hop {
  url: URL;
  method: string;
  headers: Record<string, string>;
  body: string | null;
}

async function follow(
  agent: Agent,
  given: HttpRequest,
  rules: AddressRules,
  limits: HttpLimits,
): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(Math.min(given.timeoutMs, limits.timeoutMs));
  const signal = AbortSignal.any([given.signal, deadline]);
  let hop: Hop = {
    url: new URL(given.url),
    method: given.method,
    headers: { ...given.headers },
    body: given.body,
  };
  for (let redirects = 0; ; redirects++) {
    assertHost(hop.url.hostname, rules);
    const answer = await sendOnce(agent, hop, signal, deadline, limits.maxBytes);
    const location = answer.headers.location;
    if (!REDIRECTS.has(answer.status) || location === undefined)
      return { ...answer, url: maskUrl(hop.url.href), redirects };
    if (redirects === limits.maxRedirects)
      throw new SignalboxError(
        "remote_failed",
        `${hop.url.host} redirects more than ${limits.maxRedirects} times`,
      );
    hop = nextHop(hop, answer.status, location, given.secretHeaders);
  }
}

/** As browsers do it, but for bodies: what was approved for one host does not go to another. */
function nextHop(hop: Hop, status: number, location: string, secretHeaders: ReadonlySet<string>): Hop {
  const url = URL.canParse(location, hop.url.href) ? new URL(location, hop.url) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw new SignalboxError("remote_failed", `${hop.url.host} redirects to what is no web address`);
  if (hop.url.protocol === "https:" && url.protocol === "http:")
    throw new SignalboxError("remote_failed", `${hop.url.host} redirects from https to http`);
  const becomesGet = status === 303 ? hop.method !== "HEAD" : status <= 302 && hop.method === "POST";
  const isElsewhere = url.origin !== hop.url.origin;
  if (isElsewhere && !becomesGet && hop.body !== null)
    throw new SignalboxError(
      "remote_failed",
      `${hop.url.host} sends the request on to ${url.host}, which was not asked for`,
      { hint: `Propose it for ${url.host} itself if that is meant.` },
    );
  const dropped = new Set([
    ...(isElsewhere ? [...CREDENTIALS, ...secretHeaders, "idempotency-key"] : []),
    ...(becomesGet ? ["content-type"] : []),
  ]);
  return {
    url,
    method: becomesGet ? "GET" : hop.method,
    headers: Object.fromEntries(Object.entries(hop.headers).filter(([name]) => !dropped.has(name))),
    body: becomesGet ? null : hop.body,
  };
}

async function sendOnce(
  agent: Agent,
  { url, method, headers, body }: Hop,
  signal: AbortSignal,
  deadline: AbortSignal,
  maxBytes: number,
): Promise<Pick<HttpAnswer, "status" | "headers" | "bytes" | "isTruncated">> {
  try {
    const reply = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: method as Dispatcher.HttpMethod,
      headers,
      body,
      signal,
    });
    const { bytes, isTruncated } = await readUpTo(reply.body, maxBytes);
    return { status: reply.statusCode, headers: keptHeaders(reply.headers), bytes, isTruncated };
  } catch (error) {
    throw explained(error, url, deadline);
  }
}

async function readUpTo(body: AsyncIterable<Buffer>, maxBytes: number) {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk.subarray(0, maxBytes - size));
    size += chunk.length;
    // Leaving the loop ends the answer.
    if (size > maxBytes) return { bytes: Buffer.concat(chunks), isTruncated: true };
  }
  return { bytes: Buffer.concat(chunks), isTruncated: false };
}

function keptHeaders(headers: Dispatcher.ResponseData["headers"]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of KEPT) {
    const value = headers[name];
    if (value !== undefined) kept[name] = (Array.isArray(value) ? value.join(", ") : value).slice(0, 2_000);
  }
  return kept;
}

/** Whether the request can have reached the other side decides what may be done next. */
function explained(error: unknown, url: URL, deadline: AbortSignal): SignalboxError {
  if (SignalboxError.is(error)) return error;
  const found = causeOf(error);
  if (SignalboxError.is(found)) return found;
  const code = (found as NodeJS.ErrnoException).code ?? "";
  const message = found instanceof Error ? found.message : String(found);
  if (NOT_SENT.has(code) || /^(CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) {
    const isCertificate = !NOT_SENT.has(code);
    const kind = isCertificate ? "remote_failed" : "unavailable";
    return new SignalboxError(kind, `${url.host} can't be reached: ${message}`, { cause: error });
  }
  const what = deadline.aborted ? "did not answer in time" : `broke off: ${message}`;
  return new SignalboxError("remote_failed", `${url.host} ${what}`, {
    cause: error,
    details: { outcome: "unknown" } satisfies JsonObject,
  });
}

function causeOf(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0]);
  const isWrapped = error instanceof Error && error.cause instanceof Error && !("code" in error);
  return isWrapped ? causeOf(error.cause) : error;
}
