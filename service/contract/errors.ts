import * as z from "zod";

interface ErrorKind {
  readonly status: number;
  /** What to do about it, when the place that throws knows nothing better. */
  readonly hint: string;
}

/** Every error code there is. A test holds README's table equal to this one. */
export const errorKinds = {
  invalid_request: { status: 400, hint: "Correct the fields named in the message and try again." },
  invalid_config: { status: 400, hint: "Run `signalbox config` to see which value comes from where." },
  unauthorized: {
    status: 401,
    hint: "Send the token from the file beside the socket as `Authorization: Bearer …`.",
  },
  bad_signature: { status: 401, hint: "Use the same secret on both sides." },
  forbidden: { status: 403, hint: "This caller may not do that." },
  secret_missing: { status: 403, hint: "Set a secret for this route; without one it accepts nothing." },
  not_found: { status: 404, hint: "Check the id or name; the list commands show what there is." },
  method_not_allowed: { status: 405, hint: "See /openapi.json for the methods of this path." },
  conflict: { status: 409, hint: "Look at its present state, then decide again." },
  idempotency_conflict: { status: 409, hint: "Use a new idempotency key for different content." },
  lease_lost: { status: 409, hint: "Its lease ran out and somebody else may have it; claim again." },
  protocol_mismatch: {
    status: 409,
    hint: "Restart the service with `signalbox down` so that both sides are of one version.",
  },
  too_large: { status: 413, hint: "Send less at once, or put large data in a file and send its path." },
  busy: { status: 429, hint: "Wait for the seconds in Retry-After, then try again." },
  rate_limited: { status: 429, hint: "The remote service asks for a pause; it is retried by itself." },
  connection_expired: { status: 409, hint: "Sign in to this connection again." },
  remote_failed: { status: 502, hint: "The remote service refused or failed; its answer is in the message." },
  internal: { status: 500, hint: "This is a bug. Please report it with the request id and the log." },
  unavailable: { status: 503, hint: "The service is starting or stopping; try again in a moment." },
  storage_full: { status: 503, hint: "Free some disk space; nothing that was acknowledged is lost." },
  storage_failed: { status: 503, hint: "Run `signalbox doctor`; it says which file and what to do." },
  storage_corrupt: {
    status: 503,
    hint: "Keep a copy of the file, then put a backup in its place; docs/operations.md says how.",
  },
  schema_newer: {
    status: 503,
    hint: "Install the newer Signalbox that wrote this database, or restore an older backup.",
  },
  already_running: { status: 409, hint: "Use the running service, or stop it with `signalbox down`." },
  node_too_old: {
    status: 500,
    hint: "Install Node.js 22.12 or newer; in a checkout, `npx signalbox` brings its own.",
  },
  service_unreachable: {
    status: 503,
    hint: "Start it with `signalbox up`, or look at its log with `signalbox doctor`.",
  },
  workflow_load_failed: {
    status: 400,
    hint: "Correct the line named in the message; the version before goes on running.",
  },
  workflow_run_failed: {
    status: 500,
    hint: "Look at the line named in the message; `signalbox workflow runs` has the event.",
  },
  workflow_timeout: {
    status: 500,
    hint: "Make the handler shorter, or raise `workflows.handler_timeout_ms`.",
  },
  workflow_memory: {
    status: 500,
    hint: "The handler used more memory than a workflow may; work on smaller pieces.",
  },
  lua_value: {
    status: 400,
    hint: "Pass strings, numbers, booleans and tables that are either lists or records.",
  },
  action_failed: {
    status: 502,
    hint: "Its own words are in the message; the rest of its stderr is in the log.",
  },
  action_timeout: {
    status: 504,
    hint: "Raise `timeout` in its `define_action`, or give it less to do.",
  },
  action_cancelled: { status: 409, hint: "It was ended on request; start it again when it is wanted." },
  action_output: {
    status: 502,
    hint: "An action writes one JSON value to stdout and everything else to stderr.",
  },
  action_source: {
    status: 400,
    hint: "Correct `source`, `subdir` or `entrypoint` in its `define_action`; they name a folder or a git URL.",
  },
  action_changed: {
    status: 409,
    hint: "Its files are not those that were approved; look at them and approve again.",
  },
  action_setup_failed: {
    status: 502,
    hint: "Its dependencies could not be installed; the installer's words are in the message.",
  },
  action_repository: {
    status: 400,
    hint: "Make one with `signalbox actions init`, or set `actions.path` to the folder or git URL of yours.",
  },
  approval_required: {
    status: 409,
    hint: "Look at it with `signalbox actions describe NAME`, then `signalbox actions approve NAME`; or run with --yes.",
  },
  executor_missing: {
    status: 503,
    hint: "Install the program named in the message, or choose another `executor`.",
  },
  wrong_usage: { status: 400, hint: "See `signalbox help`." },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/**
 * What an error looks like on the wire, on every path, old and new (P6, U13). Marked pure, so that a bundle which
 * only throws and shows errors leaves zod out.
 */
export const errorBody = /* @__PURE__ */ (() =>
  z.object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      hint: z.string().optional(),
      details: z.unknown().optional(),
      request_id: z.string().optional(),
    }),
  }))();
export type ErrorBody = z.infer<typeof errorBody>;

interface ErrorOptions {
  hint?: string;
  /** Plain data for programs, such as file and line. Never a secret. */
  details?: unknown;
  cause?: unknown;
  /** Seconds until a further try makes sense, sent as Retry-After. */
  retryAfterS?: number;
}

/** An error that a person or a program can act on. Anything else that is thrown is a bug. */
export class SignalboxError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly details: unknown;
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SignalboxError";
    this.code = code;
    this.hint = options.hint ?? errorKinds[code].hint;
    this.details = options.details;
    this.retryAfterS = options.retryAfterS;
  }

  get status(): number {
    return errorKinds[this.code].status;
  }

  toBody(requestId?: string): ErrorBody {
    const error: ErrorBody["error"] = { code: this.code, message: this.message, hint: this.hint };
    if (this.details !== undefined) error.details = this.details;
    if (requestId !== undefined) error.request_id = requestId;
    return { error };
  }

  static is(error: unknown, code?: ErrorCode): error is SignalboxError {
    return error instanceof SignalboxError && (code === undefined || error.code === code);
  }
}
