import type * as z from "zod";
import { SignalboxError } from "../../contract/errors.ts";
import { sha256 } from "../../lib/canonical.ts";
import type { Secret } from "../../lib/secret.ts";
import type { ConnectorContext, SecretRef } from "../connector.ts";
import type { GithubConfig } from "./config.ts";

/** One request may take this long. */
const REQUEST_TIMEOUT_MS = 30_000;
/** GitHub's own advice where it names no time. */
const PAUSE_S = 60;
const LONGEST_PAUSE_S = 3_600;

/** The connection was never made, so nothing of the request can have reached GitHub. */
const neverSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export type GithubApi = Awaited<ReturnType<typeof openApi>>;

interface CallOptions {
  /** Doing it twice does no harm. */
  idempotent: boolean;
}

/**
 * Runs `call` with a client for GitHub's REST API. There is one attempt: who calls owns the repetition.
 * @throws SignalboxError `secret_missing` (no token), `connection_expired`, `rate_limited` (with `retryAfterS`),
 * `invalid_request`, `remote_failed`; `unavailable` where a repetition does no harm. If nobody can know whether a
 * call that must not be repeated was carried out: `remote_failed` with `details: { outcome: "unknown" }`.
 */
export async function callGithub<T>(
  context: ConnectorContext<GithubConfig>,
  options: CallOptions,
  call: (api: GithubApi) => Promise<T>,
): Promise<T> {
  const token = readToken(context);
  const request = watchedFetch(context);
  const api = await openApi(context, token, request.fetch);
  try {
    return await untilStopped(context.signal, request.wasSent, () => call(api));
  } catch (error) {
    if (SignalboxError.is(error) || !isFromClient(error)) throw error;
    const clean = (text: string) => text.replaceAll(token.reveal(), "[secret]");
    throw explain(error, options, context.config.token, clean);
  }
}

/**
 * Reads an answer that GitHub marked as a success.
 * @throws SignalboxError `remote_failed` when it is something else, such as the page of a proxy
 */
export function readAnswer<T>(schema: z.ZodType<T>, data: unknown, { idempotent }: CallOptions): T {
  const answer = schema.safeParse(data);
  if (answer.success) return answer.data;
  const options = idempotent ? {} : { details: { outcome: "unknown" } };
  throw new SignalboxError("remote_failed", "GitHub's answer could not be read", {
    ...options,
    hint: "Check that `connectors.github.api_url` is GitHub's REST API.",
    cause: answer.error,
  });
}

/** The HTTP answer inside an error of the client, if there was one. */
export function answerOf(error: unknown): { status: number; message: string; headers: Headers } | null {
  if (!isRecord(error) || !isRecord(error.response)) return null;
  const { status, headers } = error.response;
  return {
    status: Number(status),
    message: error instanceof Error ? error.message : "",
    headers: new Headers(isRecord(headers) ? toText(headers) : {}),
  };
}

/** Loaded with the first call, so that the CLI and a service without GitHub never pay for it. */
async function openApi(
  context: ConnectorContext<GithubConfig>,
  token: Secret,
  fetch: typeof globalThis.fetch,
) {
  const [{ Octokit }, { restEndpointMethods }, { throttling }] = await Promise.all([
    import("@octokit/core"),
    import("@octokit/plugin-rest-endpoint-methods"),
    import("@octokit/plugin-throttling"),
  ]);
  const log = {
    debug: () => {},
    info: () => {},
    warn: (message: string) => context.log.warn({ remote: "github" }, message),
    error: (message: string) => context.log.error({ remote: "github" }, message),
  };
  const PacedOctokit = Octokit.plugin(restEndpointMethods, throttling);
  return new PacedOctokit({
    auth: token.reveal(),
    baseUrl: context.config.api_url.replace(/\/+$/, ""),
    userAgent: "signalbox",
    log,
    request: { fetch, log },
    throttle: {
      // The pace GitHub asks for (a write a second) is kept per account.
      id: sha256(`${context.config.api_url}\n${token.reveal()}`),
      onRateLimit: () => false,
      onSecondaryRateLimit: () => false,
    },
  });
}

function readToken(context: ConnectorContext<GithubConfig>): Secret {
  const token = context.secret(context.config.token);
  if (!token || token.isBlank) {
    throw new SignalboxError("secret_missing", "GitHub has no token, so nothing was called", {
      hint: "Set GITHUB_TOKEN, or name its place in `connectors.github.token`.",
      details: { secret: context.config.token },
    });
  }
  // The client would quote a header it can't send, token included.
  if (!/^[\x21-\x7e]+$/.test(token.reveal())) {
    throw new SignalboxError("connection_expired", "GitHub's token holds characters that no token has", {
      hint: "Check GITHUB_TOKEN for spaces, line breaks and quotation marks.",
      details: { secret: context.config.token },
    });
  }
  return token;
}

/** The context's fetch with a deadline, which remembers whether a request may have left. */
function watchedFetch(context: ConnectorContext<GithubConfig>) {
  let sent = false;
  const watched: typeof globalThis.fetch = (input, init) => {
    context.signal.throwIfAborted();
    sent = true;
    const deadline = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    return context.fetch(input, { ...init, signal: AbortSignal.any([context.signal, deadline]) });
  };
  return { fetch: watched, wasSent: () => sent };
}

/** A call that still waits for its turn when `signal` aborts is given up at once: nothing of it was sent. */
function untilStopped<T>(signal: AbortSignal, wasSent: () => boolean, call: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      if (!wasSent()) reject(new SignalboxError("unavailable", "Stopped before GitHub was called"));
    };
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop);
    call()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", stop));
  });
}

function explain(
  error: unknown,
  options: CallOptions,
  token: SecretRef,
  clean: (text: string) => string,
): SignalboxError {
  const answer = answerOf(error);
  if (!answer) return explainSilence(error, options, clean);
  const message = clean(answer.message);
  const pauseS = pauseOf(answer.status, message, answer.headers);
  if (pauseS !== null) {
    return new SignalboxError("rate_limited", `GitHub asks for a pause of ${pauseS} s: ${message}`, {
      retryAfterS: pauseS,
    });
  }
  if (answer.status >= 500) return unanswered(`GitHub failed with ${answer.status}: ${message}`, options);
  return refused(answer.status, message, token);
}

function refused(status: number, message: string, secret: SecretRef): SignalboxError {
  if (status === 401) {
    return new SignalboxError("connection_expired", `GitHub no longer accepts the token: ${message}`, {
      hint: "Make a new token at GitHub and put it where `connectors.github.token` points.",
      details: { secret },
    });
  }
  if (status === 422) return new SignalboxError("invalid_request", `GitHub refused it: ${message}`);
  const hint =
    status === 403 || status === 404
      ? "Check owner, repository and number, and that the token may write there: GitHub answers 404 for what it may not see."
      : undefined;
  return new SignalboxError("remote_failed", `GitHub answered ${status}: ${message}`, {
    ...(hint ? { hint } : {}),
    details: { status },
  });
}

/** Seconds to wait when this answer is a rate limit, else null. */
function pauseOf(status: number, message: string, headers: Headers): number | null {
  const retryAfter = Number(headers.get("retry-after") ?? Number.NaN);
  const isExhausted = headers.get("x-ratelimit-remaining") === "0";
  const isLimit =
    status === 429 ||
    (status === 403 && (Number.isFinite(retryAfter) || isExhausted || /secondary rate|abuse/i.test(message)));
  if (!isLimit) return null;
  const reset = Number(headers.get("x-ratelimit-reset") ?? Number.NaN);
  const untilReset =
    isExhausted && Number.isFinite(reset) ? Math.ceil(reset - Date.now() / 1_000) + 1 : PAUSE_S;
  const pauseS = Number.isFinite(retryAfter) ? Math.ceil(retryAfter) : untilReset;
  return Math.min(Math.max(pauseS, 1), LONGEST_PAUSE_S);
}

/** Whether the REST client threw it; anything else is a bug of ours. */
function isFromClient(error: unknown): boolean {
  return isRecord(error) && ("request" in error || error.name === "AbortError");
}

/** A request without an answer. */
function explainSilence(
  error: unknown,
  options: CallOptions,
  clean: (text: string) => string,
): SignalboxError {
  const code = codeOf(error);
  const message = clean(error instanceof Error ? error.message : String(error));
  if (code && neverSent.has(code)) return unavailable(`GitHub can't be reached (${code}): ${message}`, error);
  return unanswered(`GitHub gave no answer: ${message}`, options, error);
}

function unanswered(message: string, { idempotent }: CallOptions, error?: unknown): SignalboxError {
  if (idempotent) return unavailable(message, error);
  return new SignalboxError("remote_failed", `${message}. It may have been carried out`, {
    hint: "Look at GitHub whether it happened; it is not repeated by itself.",
    details: { outcome: "unknown" },
    ...causeOf(error),
  });
}

function unavailable(message: string, error?: unknown): SignalboxError {
  return new SignalboxError("unavailable", message, {
    hint: "It is tried again by itself; check the network and GitHub's status page if it goes on.",
    ...causeOf(error),
  });
}

/** The network's error below the client's, which would carry the whole request. */
function causeOf(error: unknown): { cause?: unknown } {
  return error instanceof Error && error.cause !== undefined ? { cause: error.cause } : {};
}

/** The first error code in a chain of causes. */
function codeOf(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < 5 && isRecord(current); depth++) {
    if (typeof current.code === "string") return current.code;
    current = current.cause;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function toText(headers: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
