import type { Json, JsonObject } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import { defineEffectKind, type EffectContext, type EffectKind } from "../kind.ts";
import { maskFields, maskUrl } from "../mask.ts";
import { findSecret, type KnownSecret, type SecretUse, useSecret } from "../secret-use.ts";
import { type AddressRules, assertHost, type Lookup } from "./addresses.ts";
import { type HttpPayload, httpPayload, httpSummary, httpTarget } from "./schema.ts";
import { createHttpClient, type HttpAnswer, type HttpLimits } from "./send.ts";

export interface HttpSettings extends AddressRules, HttpLimits {
  /** Kept of an answer. */
  readonly keepBytes: number;
  readonly secrets: readonly KnownSecret[];
  readonly userAgent: string;
}

const REPEATABLE = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]);
/** Says that it did nothing, or could not for now. */
const RETRIED = new Set([408, 425, 429, 503]);
const MAX_RETRY_AFTER_S = 86_400;
const ERROR_CHARS = 500;

/** A web request (R69). Private networks are out of its reach, secrets are references, and a new host is asked about. */
export function httpKind(settings: HttpSettings, lookup?: Lookup): EffectKind {
  const client = createHttpClient(settings, settings, lookup);
  return defineEffectKind<HttpPayload>({
    kind: "http",
    title: "Send a web request",
    aliases: ["http_request", "webhook"],
    targetField: "url",
    schema: httpPayload.superRefine((payload, context) => {
      for (const problem of problemsOf(payload, settings))
        context.addIssue({ code: "custom", message: problem });
    }),
    familiar: "target",
    target: httpTarget,
    action: ({ method }) => method,
    summary: httpSummary,
    redact: ({ url, headers, json, body, ...rest }) => ({
      ...withoutUndefined(rest),
      url: maskUrl(url),
      headers: headers as JsonObject,
      ...(json === undefined ? {} : { json: maskFields(json) }),
      ...(body === undefined ? {} : { body: maskBody(body) }),
    }),
    risks: ({ url, headers }) => [
      ...(url.startsWith("http:") ? ["It is not encrypted: anybody between can read and change it."] : []),
      ...Object.values(headers).flatMap((value) =>
        typeof value === "string" ? [] : [`It sends the secret ${nameOf(value)}.`],
      ),
    ],
    repeatable: ({ method, idempotent }) => idempotent || REPEATABLE.has(method),
    async execute(payload, context) {
      const answer = await client.send(requestOf(payload, context, settings));
      return resultOf(answer, new URL(payload.url).host, settings.keepBytes);
    },
    close: () => client.close(),
  });
}

/** What can be known before anybody is asked: addresses written out, and secrets that nobody listed. */
function problemsOf({ url, headers }: HttpPayload, settings: HttpSettings): string[] {
  const { hostname } = new URL(url);
  const checks = [
    () => assertHost(hostname, settings),
    ...Object.values(headers).flatMap((value) =>
      typeof value === "string" ? [] : [() => void findSecret(value, settings.secrets, hostname)],
    ),
  ];
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      if (!SignalboxError.is(error)) throw error;
      return [error.message];
    }
  });
}

function requestOf(payload: HttpPayload, context: EffectContext, settings: HttpSettings) {
  const { url, method, json, body, timeout_ms } = payload;
  const { hostname } = new URL(url);
  const text = json === undefined ? (body ?? null) : JSON.stringify(json);
  const secretHeaders = new Set<string>();
  const headers: Record<string, string> = {
    "user-agent": settings.userAgent,
    "idempotency-key": context.idempotencyKey,
    ...(json === undefined ? {} : { "content-type": "application/json" }),
  };
  for (const [name, value] of Object.entries(payload.headers)) {
    if (typeof value !== "string") secretHeaders.add(name);
    headers[name] = typeof value === "string" ? value : useSecret(value, settings.secrets, hostname);
  }
  return {
    ...{ url, method, headers, secretHeaders, body: text },
    ...{ timeoutMs: timeout_ms ?? settings.timeoutMs, signal: context.signal },
  };
}

/** @throws SignalboxError `rate_limited`, `unavailable` (both tried again), `remote_failed` */
function resultOf(answer: HttpAnswer, host: string, keepBytes: number): Json {
  const { status, url, redirects, headers, bytes } = answer;
  const kept = bytes.subarray(0, keepBytes);
  const truncated = answer.isTruncated || kept.length < bytes.length;
  const text = textOf(kept, headers["content-type"]);
  if (status >= 200 && status < 400) {
    const value = truncated ? undefined : jsonOf(text, headers["content-type"]);
    return {
      ...{ status, url, redirects, headers, bytes: bytes.length, truncated },
      body: value === undefined ? text : null,
      ...(value === undefined ? {} : { json: value }),
    };
  }
  const words = text === null || text.trim() === "" ? "" : `: ${text.trim().slice(0, ERROR_CHARS)}`;
  const message = `${host} answered ${status}${words}`;
  if (!RETRIED.has(status)) throw new SignalboxError("remote_failed", message);
  const retryAfterS = secondsOf(headers["retry-after"]);
  throw new SignalboxError(status === 429 ? "rate_limited" : "unavailable", message, {
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
}

/** Null for what is no text. */
function textOf(bytes: Buffer, type = ""): string | null {
  if (bytes.length === 0) return "";
  const isText = type === "" || /^text\/|json|xml|javascript|urlencoded|yaml|csv/i.test(type);
  if (!isText || bytes.includes(0)) return null;
  return bytes.toString("utf8");
}

function jsonOf(text: string | null, type = ""): Json | undefined {
  if (text === null || !/[/+]json\b/i.test(type)) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined; // It says JSON and is something else; the text is kept as it is.
  }
}

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1_000;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, Math.ceil(seconds)), MAX_RETRY_AFTER_S) : undefined;
}

/** A form or JSON in plain text may hold secrets as well. */
function maskBody(body: string): string {
  try {
    const value = JSON.parse(body) as Json;
    if (typeof value === "object" && value !== null) return JSON.stringify(maskFields(value));
  } catch {
    // No JSON; a form is written like the parameters of a URL.
  }
  return /^[\w.%[\]+-]+=/.test(body) && !body.includes("\n") ? maskUrl(`?${body}`).slice(1) : body;
}

const nameOf = (use: SecretUse) => ("secret" in use ? use.secret : `in ${use.env}`);

function withoutUndefined(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
