import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type * as z from "zod";
import { PROTOCOL } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { type Output, type Parsed, type Route, type RouteName, routes } from "../contract/routes.ts";
import { EventStream } from "./stream.ts";

export interface RequestContext {
  readonly id: string;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** Last-Event-ID of a stream that goes on. */
  readonly lastEventId: string | undefined;
}

type SseName = { [N in RouteName]: (typeof routes)[N] extends { stream: "sse" } ? N : never }[RouteName];
type NdjsonName = {
  [N in RouteName]: (typeof routes)[N] extends { stream: "ndjson" } ? N : never;
}[RouteName];

/** One function a route: leaving one out does not compile. */
export type Handlers = {
  [N in RouteName]: N extends SseName
    ? (input: Parsed<N>, stream: EventStream, context: RequestContext) => Promise<void>
    : N extends NdjsonName
      ? (input: Parsed<N>, context: RequestContext) => AsyncIterable<Output<N>>
      : (input: Parsed<N>, context: RequestContext) => Promise<Output<N>>;
};

interface RegisterOptions {
  handlers: Handlers;
  open: OpenRequests;
  /** Rewrites older shapes of a body before it is checked (compat). */
  accept(route: RouteName, body: unknown): unknown;
  /** Logs what broke a stream on its way, since the caller only learns that it did. */
  onBroken(error: unknown, request: FastifyRequest): void;
}

/** Why a signal aborts. Made once: the one that Node makes by itself, with its stack, costs as much as an event. */
const GONE = new SignalboxError("unavailable", "the caller has gone, or the service is stopping");

/** Requests under way that may wait, so that a stop can tell them to end. */
export class OpenRequests {
  readonly #open = new Set<AbortController>();
  #ended = false;

  /** A signal that aborts when the caller has gone or the service stops. */
  track(reply: FastifyReply): AbortSignal {
    const controller = new AbortController();
    if (this.#ended || reply.raw.destroyed || reply.raw.socket?.destroyed) controller.abort(GONE);
    this.#open.add(controller);
    reply.raw.once("close", () => {
      this.#open.delete(controller);
      controller.abort(GONE);
    });
    return controller.signal;
  }

  get ended(): boolean {
    return this.#ended;
  }

  endAll(): void {
    this.#ended = true;
    for (const controller of this.#open) controller.abort(GONE);
  }
}

export function registerRoutes(app: FastifyInstance, options: RegisterOptions): void {
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    app.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => answer(name, route, options, request, reply),
    });
  }
}

/** Calls a route's function with checked input. Aliases of older systems use it too. */
export async function answer(
  name: RouteName,
  route: Route,
  options: RegisterOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  sent: Sent = request as Sent,
): Promise<unknown> {
  const input = readInput(name, route, options, sent);
  const context = contextOf(request, reply, options.open);
  // The mapped type above holds each function to its own route; here any of them may stand.
  const handler = options.handlers[name] as (...given: unknown[]) => unknown;
  if (route.stream === "sse") {
    const stream = new EventStream(reply, context.signal);
    try {
      await handler(input, stream, context);
    } catch (error) {
      // Before the first byte an error is a reply like any other.
      if (!stream.isOpen) throw error;
      if (!SignalboxError.is(error)) options.onBroken(error, request);
      stream.fail(error);
    }
    stream.end();
    return reply;
  }
  if (route.stream === "ndjson") {
    const onBroken = (error: unknown) => options.onBroken(error, request);
    await sendLines(reply, handler(input, context) as AsyncIterable<unknown>, context.signal, onBroken);
    return reply;
  }
  const output = await handler(input, context);
  reply.code(route.status ?? 200).header("content-type", "application/json; charset=utf-8");
  return reply.send(JSON.stringify(output));
}

/** What a route is asked with. */
interface Sent {
  params?: unknown;
  query?: unknown;
  body?: unknown;
}

function readInput(name: RouteName, route: Route, options: RegisterOptions, sent: Sent): object {
  const parts: object[] = [];
  if (route.params) parts.push(parse(route.params, sent.params ?? {}, "path"));
  if (route.query) parts.push(parse(route.query, sent.query ?? {}, "query"));
  if (route.body) parts.push(parse(route.body, options.accept(name, sent.body ?? {}), "body"));
  return Object.assign({}, ...parts);
}

/** @throws SignalboxError `invalid_request` with every fault in one message */
export function parse(schema: z.ZodType, value: unknown, where: string): object {
  const result = schema.safeParse(value);
  if (result.success) return result.data as object;
  throw invalid(result.error.issues, where);
}

export function invalid(issues: readonly z.core.$ZodIssue[], where: string): SignalboxError {
  const faults = issues
    .slice(0, 10)
    .map((issue) => `${issue.path.map(String).join(".") || where}: ${issue.message}`);
  return new SignalboxError("invalid_request", faults.join("; "), {
    details: issues.slice(0, 10).map(({ path, message }) => ({ path: path.map(String), message })),
  });
}

function contextOf(request: FastifyRequest, reply: FastifyReply, open: OpenRequests): RequestContext {
  const last = request.headers["last-event-id"];
  let signal: AbortSignal | undefined;
  return {
    id: request.id,
    // Most routes answer at once and never look at it.
    get signal() {
      signal ??= open.track(reply);
      return signal;
    },
    lastEventId: typeof last === "string" ? last : undefined,
  };
}

/** One JSON document a line. What fails after the first line ends it with a line `{"error":…}`. */
async function sendLines(
  reply: FastifyReply,
  lines: AsyncIterable<unknown>,
  signal: AbortSignal,
  onBroken: (error: unknown) => void,
): Promise<void> {
  const iterator = lines[Symbol.asyncIterator]();
  // Before the status line is out an error is a reply like any other.
  let next = await iterator.next();
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    "content-type": "application/x-ndjson; charset=utf-8",
    "signalbox-protocol": String(PROTOCOL),
  });
  try {
    for (; !next.done; next = await iterator.next()) {
      if (raw.destroyed) return;
      if (signal.aborted) throw new SignalboxError("unavailable", "the service is stopping");
      if (!raw.write(`${JSON.stringify(next.value)}\n`))
        await new Promise<void>((resolve) => raw.once("drain", resolve).once("close", resolve));
    }
    raw.end();
  } catch (error) {
    if (!SignalboxError.is(error)) onBroken(error);
    const known = SignalboxError.is(error)
      ? error
      : new SignalboxError("internal", "something went wrong inside Signalbox", { cause: error });
    raw.end(`${JSON.stringify(known.toBody())}\n`);
  } finally {
    await iterator.return?.();
  }
}
