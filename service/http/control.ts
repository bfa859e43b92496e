import { chmodSync, lstatSync, rmSync } from "node:fs";
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
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { Secret } from "../lib/secret.ts";
import { openApi } from "./openapi.ts";
import { answer, type Handlers, OpenRequests, registerRoutes } from "./register.ts";

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
  // The socket must never be open to others, not even between its creation and a chmod.
  const before = process.umask(0o177);
  try {
    await app.listen({ path: options.socket });
  } finally {
    process.umask(before);
  }
  if (process.platform !== "win32") chmodSync(options.socket, 0o600);
  return { close: () => closeGently(app, open, options.drainMs()) };
}

function createApp(options: ControlOptions, open: OpenRequests): FastifyInstance {
  const { log, token, handlers, accept } = options;
  const app = fastify({
    bodyLimit: limits.requestBytes,
    genReqId: () => newId("req"),
    logger: false,
    forceCloseConnections: "idle",
    // Long polls last up to ten minutes.
    requestTimeout: 0,
    keepAliveTimeout: 620_000,
    routerOptions: { maxParamLength: limits.subject },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, done) =>
    parseJson(body as string, done),
  );
  app.addContentTypeParser("*", (_request, _payload, done) =>
    done(new SignalboxError("invalid_request", "send JSON with content-type application/json")),
  );
  app.addHook("onRequest", async (request) => guard(request, token));
  app.addHook("onSend", async (_request, reply) => void reply.header("signalbox-protocol", String(PROTOCOL)));
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, log));
  app.setNotFoundHandler((request, reply) => sendError(unknownPath(app, request), request, reply, log));
  registerRoutes(app, { handlers, accept, open });
  registerAliases(app, options.aliases, { handlers, accept, open });
  app.get("/openapi.json", async () => openApi(options.version));
  return app;
}

function parseJson(text: string, done: (error: Error | null, body?: unknown) => void): void {
  try {
    done(null, text === "" ? {} : JSON.parse(text));
  } catch (error) {
    done(
      new SignalboxError("invalid_request", `the body is not JSON: ${(error as Error).message}`, {
        cause: error,
      }),
    );
  }
}

/** The token, and no web page: a browser names its page in Origin, and no page has business here. */
async function guard(request: FastifyRequest, token: Secret): Promise<void> {
  if (request.headers.origin !== undefined || request.headers["sec-fetch-site"] !== undefined) {
    throw new SignalboxError("forbidden", "requests of web pages are refused");
  }
  const path = request.url.split("?", 1)[0] ?? "";
  if (openPaths.has(path)) return;
  const [scheme, given] = (request.headers.authorization ?? "").split(" ", 2);
  if (scheme?.toLowerCase() !== "bearer" || given === undefined)
    throw new SignalboxError("unauthorized", "the token is missing");
  if (!token.equals(given))
    throw new SignalboxError("unauthorized", "the token is not this service's", {
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
        ),
    } as Handlers;
    app.route({
      method: alias.method,
      url: alias.path,
      handler: (request, reply) => answer(alias.route, route, { ...options, handlers }, request, reply),
    });
  }
}

const methods = ["GET", "POST", "PATCH", "DELETE"] as const;

function unknownPath(app: FastifyInstance, request: FastifyRequest): SignalboxError {
  const path = request.url.split("?", 1)[0] ?? "";
  const known = methods.filter((method) => app.findRoute({ url: path, method }) !== null);
  if (known.length === 0)
    return new SignalboxError("not_found", `there is no ${path}`, {
      hint: "See /openapi.json for all paths.",
    });
  return new SignalboxError("method_not_allowed", `${path} takes ${known.join(", ")}`);
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  const known = asSignalboxError(error);
  if (known.code === "internal")
    log.error({ err: error, request_id: request.id, path: request.url.split("?", 1)[0] }, "request failed");
  if (known.retryAfterS !== undefined) reply.header("retry-after", String(Math.ceil(known.retryAfterS)));
  return reply
    .code(known.status)
    .header("content-type", "application/json; charset=utf-8")
    .send(JSON.stringify(known.toBody(request.id)));
}

function asSignalboxError(error: unknown): SignalboxError {
  if (SignalboxError.is(error)) return error;
  const { statusCode, code, message } = error as Partial<FastifyError>;
  if (statusCode === 413)
    return new SignalboxError("too_large", `a request may hold ${limits.requestBytes} bytes`);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new SignalboxError("invalid_request", message ?? "bad request", { details: { code } });
  return new SignalboxError("internal", "something went wrong inside Signalbox", { cause: error });
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
