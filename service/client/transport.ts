import { type ErrorCode, errorKinds, SignalboxError } from "../contract/errors.ts";

/** Where the service listens and what it wants to see. */
export interface Endpoint {
  readonly socket: string;
  readonly token: string;
}

/** One call as it goes over the wire. Runs anywhere: a transport is a socket, or messages to somebody who has one. */
export interface WireRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** With the query string. */
  readonly path: string;
  /** JSON. */
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WireReply {
  readonly status: number;
  readonly text: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

export interface Transport {
  /** Any status is a reply. @throws SignalboxError `service_unreachable`; the signal's reason when aborted. */
  request(request: WireRequest): Promise<WireReply>;
  /** The reply's text piece by piece. @throws SignalboxError as the service answered, or `service_unreachable`. */
  stream(request: WireRequest): AsyncIterable<string>;
  close(): void;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}
export interface StreamOptions extends CallOptions {
  /** Go on after this `seq`. */
  readonly lastEventId?: string | undefined;
  /** Told of each lost connection; the stream itself reconnects for ever. */
  readonly onReconnect?: ((error: unknown) => void) | undefined;
}

interface ErrorShape {
  code: string;
  message: string;
  hint?: string;
  details?: unknown;
  request_id?: string;
}

/** The error that a reply tells of. Works without schemas, since the command line has none. */
export function errorFromReply(reply: WireReply): SignalboxError {
  const shape = errorShape(reply.text);
  const retryAfterS = Number.parseFloat(reply.headers["retry-after"] ?? "");
  const retry = Number.isFinite(retryAfterS) ? { retryAfterS } : {};
  if (shape === null) {
    const code = codeForStatus(reply.status);
    return new SignalboxError(
      code,
      `The service answered ${reply.status}: ${reply.text.slice(0, 200)}`,
      retry,
    );
  }
  const code: ErrorCode = shape.code in errorKinds ? (shape.code as ErrorCode) : codeForStatus(reply.status);
  const message =
    shape.request_id && code === "internal" ? `${shape.message} (${shape.request_id})` : shape.message;
  return new SignalboxError(code, message, {
    ...retry,
    ...(shape.hint === undefined ? {} : { hint: shape.hint }),
    details: shape.details,
  });
}

function errorShape(text: string): ErrorShape | null {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== "object" || body === null || !("error" in body)) return null;
    const error = body.error as ErrorShape | null;
    return typeof error?.code === "string" && typeof error.message === "string" ? error : null;
  } catch {
    return null; // Not JSON, so not one of ours; the caller shows the text itself.
  }
}

function codeForStatus(status: number): ErrorCode {
  if (status === 401) return "unauthorized";
  if (status === 404) return "not_found";
  if (status === 413) return "too_large";
  if (status === 429) return "busy";
  if (status === 503) return "unavailable";
  return status < 500 ? "invalid_request" : "internal";
}

/** Whether nobody listens at all, so that nothing was sent and starting the service makes sense. */
export function isNotListening(error: unknown): boolean {
  if (!SignalboxError.is(error, "service_unreachable")) return false;
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return code === "ENOENT" || code === "ECONNREFUSED";
}

export function unreachable(where: string, cause: unknown): SignalboxError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SignalboxError("service_unreachable", `No connection to ${where}: ${reason}`, { cause });
}
