import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { Closeable } from "../service/lib/scope.ts";

/** The remote service at the end of a chain: takes any POST and counts it. */
export interface Sink extends Closeable {
  readonly url: string;
  received(): number;
}

export async function startSink(): Promise<Sink> {
  let received = 0;
  const server = createServer((incoming, response) => {
    incoming.resume();
    incoming.on("end", () => {
      received += 1;
      response.writeHead(200, { "content-type": "application/json" }).end("[]");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received: () => received,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Posts JSON on connections that are kept, as senders of webhooks and agents do. */
export function createPoster(): {
  post(url: string, body: string, headers?: Record<string, string>): Promise<number>;
} & Closeable {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  return {
    post: (url, body, headers = {}) =>
      new Promise((resolve, reject) => {
        const outgoing = request(
          url,
          {
            agent,
            method: "POST",
            headers: {
              "content-type": "application/json",
              "content-length": Buffer.byteLength(body),
              ...headers,
            },
          },
          (response) => {
            response.resume();
            response.on("end", () => resolve(response.statusCode ?? 0));
          },
        );
        outgoing.on("error", reject);
        outgoing.end(body);
      }),
    close: () => agent.destroy(),
  };
}
