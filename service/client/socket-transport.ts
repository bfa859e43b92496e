import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import {
  type Endpoint,
  errorFromReply,
  type Transport,
  unreachable,
  type WireReply,
  type WireRequest,
} from "./transport.ts";

/** HTTP over the Unix socket or named pipe, on connections that are kept open between calls. */
export function socketTransport(endpoint: () => Endpoint): Transport {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 8, scheduling: "lifo" });
  return {
    async request(request) {
      const response = await send(endpoint(), agent, request);
      return {
        status: response.statusCode ?? 0,
        headers: plainHeaders(response),
        text: await readText(response),
      };
    },
    // Not a method of an async generator: the request is to go out when it is read, on no shared connection.
    stream: (request) => streamText(endpoint, request),
    close: () => agent.destroy(),
  };
}

async function* streamText(endpoint: () => Endpoint, request: WireRequest): AsyncGenerator<string> {
  const response = await send(endpoint(), undefined, request);
  if ((response.statusCode ?? 0) >= 400) {
    throw errorFromReply({
      status: response.statusCode ?? 0,
      headers: plainHeaders(response),
      text: await readText(response),
    });
  }
  response.setEncoding("utf8");
  try {
    for await (const piece of response) yield piece as string;
  } catch (error) {
    if (request.signal?.aborted) throw request.signal.reason;
    throw unreachable("the service", error);
  } finally {
    response.destroy();
  }
}

function send(endpoint: Endpoint, agent: Agent | undefined, request: WireRequest): Promise<IncomingMessage> {
  const options: RequestOptions = {
    socketPath: endpoint.socket,
    method: request.method,
    path: request.path,
    headers: {
      host: "signalbox",
      authorization: `Bearer ${endpoint.token}`,
      ...(request.body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(request.body) }),
      ...request.headers,
    },
    agent: agent ?? false,
    ...(request.signal ? { signal: request.signal } : {}),
  };
  const { signal } = request;
  return new Promise((resolve, reject) => {
    // Bun, which runs the plugin for OpenCode, closes an aborted connection without a word.
    const onAbort = () => reject(signal?.reason);
    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    const outgoing = httpRequest(options, (response) => {
      signal?.removeEventListener("abort", onAbort);
      resolve(response);
    });
    outgoing.on("error", (error) => {
      signal?.removeEventListener("abort", onAbort);
      reject(signal?.aborted ? signal.reason : unreachable(endpoint.socket, error));
    });
    outgoing.end(request.body);
  });
}

function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  // An async iterator would take longer than the reply itself.
  return new Promise((resolve, reject) => {
    let text = "";
    const broken = (error?: Error) => reject(unreachable("the service", error ?? new Error("it hung up")));
    response.on("data", (piece: string) => {
      text += piece;
    });
    response.once("error", broken);
    response.once("close", () => broken());
    response.once("end", () => resolve(text));
  });
}

function plainHeaders(response: IncomingMessage): WireReply["headers"] {
  const retryAfter = response.headers["retry-after"];
  return retryAfter === undefined ? {} : { "retry-after": retryAfter };
}
