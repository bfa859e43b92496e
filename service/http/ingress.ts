import type { AddressInfo, Socket } from "node:net";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import type {
  Connector,
  ConnectorContext,
  WebhookReply,
  WebhookRequest,
  WebhookRoute,
} from "../connectors/connector.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { NewEvent } from "../contract/events.ts";
import { newId } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import { schemaController } from "./no-schemas.ts";
import { limitBodies, sayLast } from "./sockets.ts";

const HEALTH_PATH = "/healthz";
const MAX_HEADER_BYTES = 16_384;

/** Against senders that take connections or memory and give nothing. Times in milliseconds, sizes in bytes. */
export interface IngressLimits {
  /** Until all headers have come. */
  headersMs: number;
  /** Until the whole request has come. */
  requestMs: number;
  /** How often both are looked at. */
  checkMs: number;
  connections: number;
  /** Bodies of all requests under way together. */
  bodyBytes: number;
}

const defaultLimits: IngressLimits = {
  headersMs: 10_000,
  requestMs: 60_000,
  checkMs: 2_000,
  connections: 256,
  bodyBytes: 67_108_864,
};

/** A connector's route with the connector behind it. */
export interface IngressRoute extends WebhookRoute {
  /** The connector's id. */
  connector: string;
  /** Looked up anew each time. */
  hasSecret(): boolean;
  receive(request: WebhookRequest): Promise<WebhookReply>;
}

export interface IngressOptions {
  /** The `ingress` section of the settings; whether it is enabled is for the caller to see. */
  config: { host: string; port: number; insecure_loopback: boolean };
  routes: IngressRoute[];
  /** Commits the events of one webhook. A known `external_id` is not recorded again, and that is no error. */
  record(events: NewEvent[]): Promise<unknown>;
  log: Logger;
  limits?: Partial<IngressLimits>;
  /** How long a stop waits for requests under way. */
  drainMs?: number;
}

export interface Ingress {
  /** `127.0.0.1:8080` */
  readonly address: string;
  close(): Promise<void>;
}

/** The routes a connector wants, none when it takes no webhooks. */
export function ingressRoutes<Config>(
  connector: Connector<Config>,
  context: ConnectorContext<Config>,
): IngressRoute[] {
  const { receive } = connector;
  if (!receive) return [];
  return (connector.routes?.(context.config) ?? []).map((route) => ({
    ...route,
    connector: connector.id,
    hasSecret: () => route.secret !== null && context.secret(route.secret)?.isBlank === false,
    receive: (request) => receive(request, context),
  }));
}

/**
 * Listens on TCP for webhooks: the connectors' routes and `GET /healthz`, nothing that controls the service. A
 * webhook is answered after its events were committed; if that fails the sender gets a 503 and sends it again.
 * Query strings are neither read nor logged, and requests of web pages (those with an Origin) are refused.
 * @throws SignalboxError `secret_missing` when a route has no secret, `invalid_config`
 */
export async function startIngress(options: IngressOptions): Promise<Ingress> {
  checkRoutes(options);
  const limits = { ...defaultLimits, ...options.limits };
  const app = createServer(limits);
  refuseStrangers(app, new Set(options.routes.map((route) => route.path)));
  limitBodies(app, limits.bodyBytes, { tooLarge, busy: "Too many webhooks at once" });
  app.get(HEALTH_PATH, async () => ({ status: "ok" }));
  for (const route of options.routes) addRoute(app, route, options);
  answerErrors(app, options.log);
  const { host, port } = options.config;
  try {
    // Two listeners would stand behind "localhost", each with connections of its own.
    await app.listen({ host: host === "localhost" ? "127.0.0.1" : host, port });
  } catch (error) {
    await app.close();
    throw new SignalboxError("invalid_config", `The ingress can't listen on ${host}:${port}`, {
      hint: "Set `ingress.host` and `ingress.port` to an address of this machine that is free.",
      cause: error,
    });
  }
  const address = addressOf(app);
  options.log.info({ address, routes: options.routes.map((route) => route.path) }, "ingress listening");
  return { address, close: () => closeGently(app, options.drainMs ?? 5_000) };
}

function checkRoutes({ config, routes, log }: IngressOptions): void {
  if (config.insecure_loopback && !isLoopback(config.host)) {
    throw new SignalboxError(
      "invalid_config",
      `ingress.insecure_loopback is set, but ${config.host} can be reached from other machines`,
      { hint: 'Set `ingress.host = "127.0.0.1"`, or remove `ingress.insecure_loopback`.' },
    );
  }
  const seen = new Set([HEALTH_PATH]);
  for (const { path, connector } of routes) {
    if (seen.has(path)) {
      throw new SignalboxError("invalid_config", `The path ${path} of ${connector} is taken already`, {
        hint: "Give each webhook route a path of its own.",
      });
    }
    seen.add(path);
  }
  const bare = routes.filter((route) => route.isOpen || !route.hasSecret());
  if (bare.length > 0 && !config.insecure_loopback) {
    const names = bare.map((route) => `${route.path} (${route.connector})`).join(", ");
    throw new SignalboxError("secret_missing", `The ingress does not start without a secret for ${names}`, {
      hint: bare.map((route) => route.secretHint).join(" "),
      details: { paths: bare.map((route) => route.path) },
    });
  }
  for (const { path, isOpen } of bare) {
    const consequence = isOpen
      ? "every program on this machine can send events to it"
      : "it refuses everything until it has one";
    log.warn({ path }, `INSECURE: the webhook route ${path} has no secret; ${consequence}`);
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function createServer(limits: IngressLimits): FastifyInstance {
  const app = fastify({
    schemaController,
    logger: false,
    genReqId: () => newId("req"),
    requestTimeout: limits.requestMs,
    // Later than the other two, which have an answer.
    connectionTimeout: limits.requestMs + 2 * limits.checkMs,
    keepAliveTimeout: 5_000,
    http: {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.checkMs,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (_error, request: FastifyRequest, reply: FastifyReply) => {
      sendError(reply, request.id, new SignalboxError("invalid_request", "The path is not a valid URL"));
    },
  });
  app.server.maxConnections = limits.connections;
  // A signature is over the bytes as they came, so nothing may read them first.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "*",
    { parseAs: "buffer" },
    async (_request: FastifyRequest, body: Buffer) => body,
  );
  return app;
}

/** Before a body is read: unknown paths, wrong methods, web pages. */
function refuseStrangers(app: FastifyInstance, webhookPaths: Set<string>): void {
  app.addHook("onRequest", async (request, reply) => {
    if (request.is404) {
      const path = pathOf(request);
      const isWebhook = webhookPaths.has(path);
      if (!isWebhook && path !== HEALTH_PATH) {
        throw new SignalboxError("not_found", "There is nothing at this path", {
          hint: "Check the path of the webhook; `signalbox config` shows the routes.",
        });
      }
      const allow = isWebhook ? "POST" : "GET, HEAD";
      reply.header("allow", allow);
      throw new SignalboxError("method_not_allowed", `This path takes ${allow}`, { hint: `Use ${allow}.` });
    }
    if (request.headers.origin !== undefined) {
      throw new SignalboxError("forbidden", "Webhooks are not taken from web pages", {
        hint: "Send it from a program; a request with an Origin header comes from a browser.",
      });
    }
  });
}

function addRoute(app: FastifyInstance, route: IngressRoute, { config, record, log }: IngressOptions): void {
  app.post(route.path, { bodyLimit: route.maxBytes }, async (request, reply) => {
    const answer = await route.receive({
      method: request.method,
      path: route.path,
      headers: textHeaders(request),
      body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      allowsOpen: config.insecure_loopback,
    });
    if (answer.events.length > 0) await recordOrRefuse(() => record(answer.events), log);
    log.info(
      { request_id: request.id, connector: route.connector, path: route.path, ...answer.body },
      "webhook received",
    );
    return reply.code(answer.status).send(answer.body);
  });
}

/** Whatever keeps the store from taking an event is a reason for the sender to send it again. */
async function recordOrRefuse(record: () => Promise<unknown>, log: Logger): Promise<void> {
  try {
    await record();
  } catch (error) {
    if (SignalboxError.is(error) && error.code !== "internal") throw error;
    log.error({ err: error }, "a webhook could not be recorded");
    throw new SignalboxError("storage_failed", "The webhook could not be recorded; send it again", {
      cause: error,
    });
  }
}

function answerErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error: FastifyError | SignalboxError, request, reply) => {
    const known = toSignalboxError(error);
    // The path of an unknown route may hold anything, a secret included.
    const place = { request_id: request.id, path: request.is404 ? undefined : pathOf(request) };
    if (known.code === "internal") log.error({ ...place, err: error }, "webhook failed");
    // Whoever scans the internet must not fill the log.
    else if (request.is404) log.debug({ ...place, code: known.code }, "not a webhook");
    else log.warn({ ...place, code: known.code, reason: known.message }, "webhook refused");
    return sendError(reply, request.id, known);
  });
}

function toSignalboxError(error: FastifyError | SignalboxError): SignalboxError {
  if (SignalboxError.is(error)) return error;
  if (error.statusCode === 413) return tooLarge();
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new SignalboxError("invalid_request", error.message, { cause: error });
  }
  return new SignalboxError("internal", "Something went wrong here", { cause: error });
}

function tooLarge(): SignalboxError {
  return new SignalboxError("too_large", "The body is larger than this route takes");
}

function sendError(reply: FastifyReply, requestId: string, error: SignalboxError): FastifyReply {
  if (error.retryAfterS !== undefined) reply.header("retry-after", String(Math.ceil(error.retryAfterS)));
  return reply.code(error.status).send(error.toBody(requestId));
}

/** What is no HTTP, or came too slowly, never gets as far as a route. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, known] = brokenRequest(error.code);
  const body = JSON.stringify(known.toBody());
  sayLast(
    socket,
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function brokenRequest(code: string | undefined): [string, SignalboxError] {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return [
      "408 Request Timeout",
      new SignalboxError("invalid_request", "The request took too long to arrive"),
    ];
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return [
      "431 Request Header Fields Too Large",
      new SignalboxError("too_large", "The headers are too large"),
    ];
  }
  return ["400 Bad Request", new SignalboxError("invalid_request", "This is not an HTTP request")];
}

function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0] ?? "";
}

function textHeaders(request: FastifyRequest): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

function addressOf(app: FastifyInstance): string {
  const { address, port, family } = app.server.address() as AddressInfo;
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Lets requests under way end, but not for ever: a slow sender must not hold up a stop. */
async function closeGently(app: FastifyInstance, drainMs: number): Promise<void> {
  const force = setTimeout(() => app.server.closeAllConnections(), drainMs);
  try {
    await app.close();
  } finally {
    clearTimeout(force);
  }
}
