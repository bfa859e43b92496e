import type { Readable, Writable } from "node:stream";
import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type McpServer,
} from "@modelcontextprotocol/server";
import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import { SignalboxError } from "../contract/errors.ts";
import { createMcpServer, type Offer } from "./server.ts";
import { openSession, type SessionOptions } from "./session.ts";
import { Subscriptions } from "./subscriptions.ts";

export interface McpOptions extends Offer, Omit<SessionOptions, "onError"> {
  readonly version: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** Ends it, as the end of standard input does. */
  readonly signal: AbortSignal;
  /** What goes wrong where no call is there to answer. Never on standard output, which is the client's. */
  log(line: string): void;
}

/** The longest that giving claims back may hold up the end. */
const CLOSE_MS = 3_000;

/**
 * Speaks the Model Context Protocol, in its revisions of 2024 to 2026, until standard input ends. Claims made
 * through it are given back then.
 */
export async function serveMcp(options: McpOptions): Promise<void> {
  const onError = (error: unknown) => options.log(describe(error));
  const session = openSession({ ...options, onError });
  let server: McpServer | undefined;
  const subscriptions = new Subscriptions({
    client: session.client,
    onUpdated: (uri) => server?.server.sendResourceUpdated({ uri }).catch(onError),
    onError,
  });
  const wire = new StdioServerTransport(options.stdin, options.stdout);
  const handle = serveStdio(
    () => {
      server = createMcpServer(session, options.version, options);
      answerSubscriptions(server, subscriptions);
      return server;
    },
    { transport: wire, onerror: onError },
  );
  followListening(wire, subscriptions);
  await ended(wire, options.signal);
  subscriptions.close();
  await handle.close();
  await within(CLOSE_MS, session.close());
}

/** Up to the revision of 2025 a client subscribes to one resource at a time. */
function answerSubscriptions({ server }: McpServer, subscriptions: Subscriptions): void {
  server.setRequestHandler("resources/subscribe", ({ params }) => {
    subscriptions.add(params.uri, [params.uri]);
    return {};
  });
  server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    subscriptions.remove(params.uri);
    return {};
  });
}

/** Since the revision of 2026 the library itself answers and routes; what is wanted has to be seen in passing. */
function followListening(wire: StdioServerTransport, subscriptions: Subscriptions): void {
  const handle = wire.onmessage;
  wire.onmessage = (message: JSONRPCMessage) => {
    if (isJSONRPCRequest(message) && message.method === "subscriptions/listen")
      subscriptions.add(message.id, urisOf(message.params));
    if (isJSONRPCNotification(message) && message.method === "notifications/cancelled")
      subscriptions.remove(message.params?.requestId);
    handle?.(message);
  };
}

function urisOf(params: Record<string, unknown> | undefined): string[] {
  const wanted = (params?.notifications as { resourceSubscriptions?: unknown } | undefined)
    ?.resourceSubscriptions;
  return Array.isArray(wanted) ? wanted.filter((uri) => typeof uri === "string") : [];
}

function ended(wire: StdioServerTransport, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const close = wire.onclose;
    wire.onclose = () => {
      close?.();
      resolve();
    };
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

function describe(error: unknown): string {
  if (SignalboxError.is(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
