import { connect, type Socket } from "node:net";
import { type Endpoint, type Transport, unreachable, type WireReply, type WireRequest } from "./transport.ts";

/**
 * HTTP for a process that lives for a moment: one connection, one request after the other. Loading node:http
 * would take a third of what the whole command may cost, so this speaks the little of HTTP/1.1 that the service
 * answers with (a length or chunks). Streams are left to the full transport, loaded when one is wanted.
 */
export function quickTransport(endpoint: () => Endpoint): Transport {
  let connection: Connection | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  return {
    request(request) {
      const reply = turn.then(() => {
        if (connection === undefined || connection.socket.destroyed) connection = open(endpoint().socket);
        return exchange(connection, endpoint().token, request);
      });
      turn = reply.catch(() => undefined); // The caller has the failure; the next request only waits its turn.
      return reply;
    },
    async *stream(request) {
      const { socketTransport } = await import("./socket-transport.ts");
      yield* socketTransport(endpoint).stream(request);
    },
    close: () => connection?.socket.destroy(),
  };
}

interface Connection {
  readonly socket: Socket;
  readonly path: string;
}

function open(path: string): Connection {
  const socket = connect({ path });
  // Between requests nobody listens for errors, and a connection that ends there is simply made again.
  socket.on("error", () => {});
  return { socket, path };
}

function exchange({ socket, path }: Connection, token: string, request: WireRequest): Promise<WireReply> {
  return new Promise((resolve, reject) => {
    let pieces: Buffer[] = [];
    let bytes = 0;
    let wanted = 0;
    const finish = () => {
      socket.off("data", onData).off("error", onError).off("close", onClose);
      request.signal?.removeEventListener("abort", onAbort);
      socket.unref();
    };
    const onError = (error: Error) => {
      finish();
      reject(unreachable(path, error));
    };
    const onClose = () => onError(new Error("the connection ended before the answer did"));
    const onAbort = () => {
      finish();
      socket.destroy();
      reject(request.signal?.reason);
    };
    const onData = (piece: Buffer) => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes < wanted) return;
      try {
        const received = Buffer.concat(pieces);
        const reply = parseReply(received);
        if (typeof reply !== "number") {
          finish();
          return resolve(reply);
        }
        wanted = reply;
        pieces = [received];
      } catch (error) {
        socket.destroy();
        onError(error as Error);
      }
    };
    if (request.signal?.aborted) return onAbort();
    socket.ref();
    socket.on("data", onData).on("error", onError).on("close", onClose);
    request.signal?.addEventListener("abort", onAbort, { once: true });
    socket.write(requestText(token, request));
  });
}

function requestText(token: string, request: WireRequest): string {
  const head = [
    `${request.method} ${request.path} HTTP/1.1`,
    "Host: signalbox",
    `Authorization: Bearer ${token}`,
    ...Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ];
  if (request.body !== undefined) {
    head.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(request.body)}`);
  }
  return `${head.join("\r\n")}\r\n\r\n${request.body ?? ""}`;
}

/** The reply once all of it is there; before that, how many bytes there must be at least. */
export function parseReply(received: Buffer): WireReply | number {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) return received.length + 1;
  const [statusLine = "", ...lines] = received.toString("latin1", 0, headEnd).split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
  if (!Number.isInteger(status)) throw new Error(`not an HTTP answer: ${statusLine.slice(0, 80)}`);
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = received.subarray(headEnd + 4);
  if (headers["transfer-encoding"]?.toLowerCase() === "chunked") {
    const text = parseChunks(body);
    return text === null ? received.length + 1 : { status, headers, text };
  }
  const length = Number(headers["content-length"] ?? 0);
  return body.length < length
    ? headEnd + 4 + length
    : { status, headers, text: body.toString("utf8", 0, length) };
}

function parseChunks(body: Buffer): string | null {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = body.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(body.toString("latin1", at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error("a chunk of the answer has no size");
    const start = lineEnd + 2;
    if (body.length < start + size + 2) return null;
    if (size === 0) return Buffer.concat(pieces).toString("utf8");
    pieces.push(body.subarray(start, start + size));
    at = start + size + 2;
  }
}
