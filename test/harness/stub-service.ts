import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { resolvePaths } from "../../service/client/paths.ts";
import { PROTOCOL } from "../../service/contract/common.ts";
import { SignalboxError } from "../../service/contract/errors.ts";
import { type Output, type Route, type RouteName, routes } from "../../service/contract/routes.ts";

export interface StubCall {
  readonly route: RouteName;
  /** As the contract parsed it: path parameters, query and body in one object. */
  readonly input: Record<string, unknown>;
  readonly headers: IncomingMessage["headers"];
}

/** What a route answers: a value, a function of the parsed request, or an error that is thrown. For a stream, its items. */
export type StubReplies = {
  [N in RouteName]?: Answer<N> | ((input: Record<string, unknown>) => Answer<N> | Promise<Answer<N>>);
};
type Answer<N extends RouteName> = (typeof routes)[N] extends { stream: string } ? Output<N>[] : Output<N>;

export interface Stub {
  readonly home: string;
  readonly socket: string;
  readonly calls: StubCall[];
  readonly replies: StubReplies;
  /** Ends every open connection, as a service that is killed does. */
  dropConnections(): void;
  close(): Promise<void>;
}

const TOKEN = "stub-token";

/**
 * Speaks the contract on a real socket in a home of its own: refuses requests that the contract refuses, and
 * answers what the test says, provided the contract allows it.
 */
export async function startStub(replies: StubReplies = {}, home = newHome()): Promise<Stub> {
  const paths = resolvePaths({ home, env: {} });
  mkdirSync(dirname(paths.socket), { recursive: true, mode: 0o700 });
  writeFileSync(paths.tokenFile, TOKEN, { mode: 0o600 });
  const all: StubReplies = { getInfo: stubInfo(paths), ...replies };
  const calls: StubCall[] = [];
  const server = createServer((request, response) => {
    answer(request, response, all, calls).catch((error: unknown) => sendError(response, error));
  });
  await new Promise<void>((resolve) => server.listen(paths.socket, resolve));
  return {
    home,
    socket: paths.socket,
    calls,
    replies: all,
    dropConnections: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export function newHome(): string {
  return mkdtempSync(join(tmpdir(), "signalbox-test-"));
}

function stubInfo(paths: ReturnType<typeof resolvePaths>): Output<"getInfo"> {
  return {
    name: "signalbox",
    version: "0.0.0-stub",
    protocol: PROTOCOL,
    pid: process.pid,
    node: process.version,
    started_ms: 0,
    database: paths.databaseFile,
    socket: paths.socket,
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  replies: StubReplies,
  calls: StubCall[],
): Promise<void> {
  if (request.headers.authorization !== `Bearer ${TOKEN}`)
    throw new SignalboxError("unauthorized", "wrong token");
  const url = new URL(request.url ?? "/", "http://stub");
  const found = findRoute(request.method ?? "", url.pathname);
  if (found === null) throw new SignalboxError("not_found", `no route ${request.method} ${url.pathname}`);
  const { name, route, params } = found;
  const body = await readBody(request);
  const input = parseInput(route, params, Object.fromEntries(url.searchParams), body);
  calls.push({ route: name, input, headers: request.headers });
  const reply = replies[name];
  if (reply === undefined) throw new SignalboxError("internal", `the test has no reply for ${name}`);
  const value: unknown = typeof reply === "function" ? await reply(input) : reply;
  if (route.stream) sendItems(response, route, value as unknown[]);
  else send(response, route.status ?? 200, route.reply.parse(value));
}

function findRoute(method: string, path: string) {
  const matches = Object.entries(routes as Record<string, Route>).flatMap(([name, route]) => {
    const pattern = new RegExp(`^${route.path.replaceAll(/:(\w+)/g, "(?<$1>[^/]+)")}$`);
    const match = route.method === method ? pattern.exec(path) : null;
    return match ? [{ name: name as RouteName, route, params: match.groups ?? {} }] : [];
  });
  // A literal path wins over one with parameters, as in the real service.
  matches.sort((a, b) => Object.keys(a.params).length - Object.keys(b.params).length);
  return matches[0] ?? null;
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return text;
}

function parseInput(
  route: Route,
  params: Record<string, string>,
  query: Record<string, string>,
  body: string,
): Record<string, unknown> {
  const decoded = Object.fromEntries(Object.entries(params).map(([k, v]) => [k, decodeURIComponent(v)]));
  const parts = [
    route.params?.safeParse(decoded),
    route.query?.safeParse(query),
    route.body?.safeParse(body === "" ? {} : JSON.parse(body)),
  ];
  const input: Record<string, unknown> = {};
  for (const part of parts) {
    if (part === undefined) continue;
    if (!part.success) throw new SignalboxError("invalid_request", part.error.message);
    Object.assign(input, part.data);
  }
  return input;
}

function sendItems(response: ServerResponse, route: Route, items: unknown[]): void {
  const isSse = route.stream === "sse";
  response.writeHead(200, { "content-type": isSse ? "text/event-stream" : "application/x-ndjson" });
  for (const item of items) {
    const text = JSON.stringify(route.reply.parse(item));
    const id = (item as { seq?: number }).seq;
    response.write(isSse ? `${id === undefined ? "" : `id: ${id}\n`}data: ${text}\n\n` : `${text}\n`);
  }
  // A live stream stays open; whoever reads decides when it has seen enough.
  if (!isSse) response.end();
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function sendError(response: ServerResponse, error: unknown): void {
  const known = SignalboxError.is(error) ? error : new SignalboxError("internal", String(error));
  if (known.retryAfterS !== undefined) response.setHeader("retry-after", known.retryAfterS);
  send(response, known.status, known.toBody("req_stub"));
}
