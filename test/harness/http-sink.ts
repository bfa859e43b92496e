/** A web server on this machine that writes down what reaches it. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

export interface SeenRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

export interface HttpSink {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** How it answers from now on: 200 when nothing was said. */
  answer: RequestListener;
  close(): Promise<void>;
}

export async function startHttpSink(): Promise<HttpSink> {
  const seen: SeenRequest[] = [];
  const sink = { answer: ((_request, response) => void response.end("ok")) as RequestListener };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      seen.push({
        ...{ method, path: url, body: Buffer.concat(chunks).toString() },
        headers: headers as Record<string, string>,
      });
      sink.answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(sink, {
    url: `http://127.0.0.1:${port}`,
    seen,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}
