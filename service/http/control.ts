import { chmodSync, lstatSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import { limits, PROTOCOL } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { type Route, type RouteAlias, type RouteName, routes } from "../contract/routes.ts";
import { newId } from "../lib/ids.ts";
import { isDeeperThan } from "../lib/json-depth.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { Secret } from "../lib/secret.ts";
import { schemaController } from "./no-schemas.ts";
import { openApi } from "./openapi.ts";
import { answer, type Handlers, OpenRequests, registerRoutes } from "./register.ts";
import { limitBodies, sayLast } from "./sockets.ts";

interface ControlOptions {
  /** Unix socket in a folder that only this user can enter, or a named pipe. */
  socket: string;
  token: Secret;
  handlers: Handlers;
  /** Rewrites older shapes of a body before it is checked. */
  accept(route: RouteName, body: unknown): unknown;
  /** Paths of older systems. */
  aliases: readonly RouteAlias[];
  version: string;
  log: Logger;
  /** How long a stop waits for requests under way; asked when it stops. */
  drainMs(): number;
}

/** Bodies of all requests under way together: eight of the largest. */
const BODY_BYTES = 8 * limits.requestBytes;
const OPENAPI_PATH = "/openapi.json";
/** Also an event as CloudEvents has it, and a list of them. */
const jsonTypes = ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"];

const openPaths = new Set(
  Object.values(routes)
    .filter((route: Route) => route.open)
    .map((route) => route.path as string),
);

/** Serves the contract on the local socket. */
export async function startControl(options: ControlOptions): Promise<Closeable> {
  const open = new OpenRequests();
  const app = createApp(options, open);
  removeStaleSocket(options.socket);
  await app.listen({ path: options.socket });
  // Its folder is closed to others already; this is for who opens the folder later.
  if (process.platform !== "win32") chmodSync(options.socket, 0o600);
  return { close: () => closeGently(app, open, options.drainMs()) };
}

function createApp(options: ControlOptions, open: OpenRequests): FastifyInstance {
  const { log, token, handlers, accept, aliases } = options;
  const app = fastify({
    schemaController,
    bodyLimit: limits.requestBytes,
    genReqId: () => newId("req"),
    logger: false,
    forceCloseConnections: "idle",
    // Long polls last up to ten minutes.
    requestTimeout: 0,
    keepAliveTimeout: 620_000,
    // The hook below answers in our own form.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: limits.subject },
    // Called before there is a route, such as for a path with a broken escape.
    frameworkErrors: (error, request, reply) => void sendError(error, request, reply, log),
    clientErrorHandler: answerBrokenRequest,
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(jsonTypes, { parseAs: "string" }, (_request, body, done) =>
    parseJson(body as string, done),
  );
  app.addContentTypeParser("*", (_request, _payload, done) =>
    done(new SignalboxError("invalid_request", "send JSON with content-type application/json")),
  );
  // Hooks that call back: a promise for each of them would be a part of what a short request costs.
  app.addHook("onRequest", (request, _reply, done) => {
    done(refusal(request, token, open) ?? undefined);
  });
  limitBodies(app, BODY_BYTES, {
    tooLarge,
    busy: "too many large requests at once",
  });
  app.addHook("onSend", (_request, reply, _payload, done) => {
    reply.header("signalbox-protocol", String(PROTOCOL));
    // Kept open for a next request, it would hold the stop up.
    if (open.ended) reply.header("connection", "close");
    done();
  });
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, log));
  app.setNotFoundHandler((request, reply) => sendError(unknownPath(request, aliases), request, reply, log));
  const onBroken = (error: unknown, request: FastifyRequest) =>
    log.error({ err: error, request_id: request.id, path: pathOf(request) }, "a stream broke");
  registerRoutes(app, { handlers, accept, open, onBroken });
  registerAliases(app, aliases, { handlers, accept, open, onBroken });
  app.get(OPENAPI_PATH, async () => openApi(options.version));
  return app;
}

/** What is no HTTP at all, or has headers or a path beyond all limits: there is no request to answer to. */
function answerBrokenRequest(this: unknown, error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const known =
    error.code === "HPE_HEADER_OVERFLOW"
      ? new SignalboxError("invalid_request", "the path and headers are too long")
      : new SignalboxError("invalid_request", "this is not a request that HTTP knows");
  const body = JSON.stringify(known.toBody());
  sayLast(
    socket,
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function parseJson(text: string, done: (error: Error | null, body?: unknown) => void): void {
  let body: unknown;
  try {
    body = text === "" ? {} : JSON.parse(text);
  } catch (error) {
    const message = `the body is not JSON: ${(error as Error).message}`;
    done(new SignalboxError("invalid_request", message, { cause: error }));
    return;
  }
  if (isDeeperThan(body, limits.jsonDepth))
    done(new SignalboxError("invalid_request", `JSON may be nested ${limits.jsonDepth} levels deep`));
  else done(null, body);
}

/** Without the query, which may hold anything. */
function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0] ?? "";
}

function refusal(request: FastifyRequest, token: Secret, open: OpenRequests): SignalboxError | null {
  const refused = guard(request, token);
  if (refused !== null || !open.ended) return refused;
  return new SignalboxError("unavailable", "the service is stopping", { retryAfterS: 1 });
}

/** The token, and no web page: a browser names its page in Origin, and no page has business here. */
function guard(request: FastifyRequest, token: Secret): SignalboxError | null {
  if (request.headers.origin !== undefined || request.headers["sec-fetch-site"] !== undefined) {
    return new SignalboxError("forbidden", "requests of web pages are refused");
  }
  if (openPaths.has(pathOf(request))) return null;
  const [scheme, given] = (request.headers.authorization ?? "").split(" ", 2);
  if (scheme?.toLowerCase() !== "bearer" || given === undefined)
    return new SignalboxError("unauthorized", "the token is missing");
  if (token.equals(given)) return null;
  return new SignalboxError("unauthorized", "the token is not this service's", {
    hint: "It changes with every start: read it again from the file beside the socket.",
  });
}

function registerAliases(
  app: FastifyInstance,
  aliases: readonly RouteAlias[],
  options: Parameters<typeof registerRoutes>[1],
): void {
  for (const alias of aliases) {
    const route: Route = { ...routes[alias.route], path: alias.path };
    const handlers = {
      ...options.handlers,
      [alias.route]: async (...given: unknown[]) =>
        alias.shape(
          (await (options.handlers[alias.route] as (...all: unknown[]) => unknown)(...given)) as never,
          given[0] as never,
        ),
    } as Handlers;
    app.route({
      method: alias.method,
      url: alias.path,
      handler: (request, reply) => {
        const { query, body = {} } = request;
        return answer(
          alias.route,
          route,
          { ...options, handlers },
          request,
          reply,
          alias.input?.({ query, body }),
        );
      },
    });
  }
}

/** Tells a wrong method from a wrong path. */
function unknownPath(request: FastifyRequest, aliases: readonly RouteAlias[]): SignalboxError {
  const path = pathOf(request);
  const all: Pick<Route, "method" | "path">[] = [
    ...Object.values(routes),
    ...aliases,
    { method: "GET", path: OPENAPI_PATH },
  ];
  const known = all.filter((route) => isPathOf(route.path, path)).map((route) => route.method);
  if (known.length > 0)
    return new SignalboxError("method_not_allowed", `${path} takes ${[...new Set(known)].join(", ")}`);
  return new SignalboxError("not_found", `there is no ${path.slice(0, 200)}`, {
    hint: `See ${OPENAPI_PATH} for all paths.`,
  });
}

function isPathOf(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => part === given[at] || (part.startsWith(":") && given[at] !== ""))
  );
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  const known = asSignalboxError(error);
  if (known.code === "internal")
    log.error({ err: error, request_id: request.id, path: pathOf(request) }, "request failed");
  if (known.retryAfterS !== undefined) reply.header("retry-after", String(Math.ceil(known.retryAfterS)));
  return reply
    .code(known.status)
    .header("content-type", "application/json; charset=utf-8")
    .send(JSON.stringify(known.toBody(request.id)));
}

function asSignalboxError(error: unknown): SignalboxError {
  if (SignalboxError.is(error)) return error;
  const { statusCode, code, message } = error as Partial<FastifyError>;
  if (statusCode === 413) return tooLarge();
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new SignalboxError("invalid_request", message ?? "bad request", { details: { code } });
  return new SignalboxError("internal", "something went wrong inside Signalbox", { cause: error });
}

function tooLarge(): SignalboxError {
  return new SignalboxError("too_large", `a request may hold ${limits.requestBytes} bytes`);
}

/** A socket left by a process that was killed. The instance lock is ours, so nobody listens on it. */
function removeStaleSocket(socket: string): void {
  if (process.platform === "win32") return;
  const stat = lstatSync(socket, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new SignalboxError("invalid_config", `${socket} is in the way: it is no socket`, {
      hint: `Remove it, or set service.socket to another path than one in ${dirname(socket)}.`,
    });
  }
  rmSync(socket);
}

async function closeGently(app: FastifyInstance, open: OpenRequests, drainMs: number): Promise<void> {
  open.endAll();
  const closing = app.close();
  const timer = setTimeout(() => app.server.closeAllConnections(), drainMs);
  await closing;
  clearTimeout(timer);
}
