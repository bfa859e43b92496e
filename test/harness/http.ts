/** Bare HTTP on the control socket, for what no client of ours would send. */
import { readFileSync } from "node:fs";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { onTestFinished } from "vitest";
import type { Paths } from "../../service/client/paths.ts";

type Where = Pick<Paths, "socket" | "tokenFile">;

export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed when it is JSON. */
  readonly body: unknown;
}

interface HttpOptions {
  /** Sent as it is when it is a text, else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Null: none. Default: the service's own. */
  token?: string | null;
}

export function tokenOf(paths: Where): string {
  return readFileSync(paths.tokenFile, "utf8").trim();
}

export async function http(
  paths: Where,
  method: string,
  path: string,
  options: HttpOptions = {},
): Promise<HttpReply> {
  const response = await open(paths, method, path, options);
  let text = "";
  response.setEncoding("utf8");
  for await (const piece of response) text += piece;
  return { status: response.statusCode ?? 0, headers: response.headers, text, body: parsed(text) };
}

/** The reply as it comes, unread; ended when the test ends. */
export function open(
  paths: Where,
  method: string,
  path: string,
  { body, headers, token = tokenOf(paths) }: HttpOptions = {},
): Promise<IncomingMessage> {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath: paths.socket,
      method,
      path,
      agent: false,
      headers: {
        host: "signalbox",
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined
          ? {}
          : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
        ...headers,
      },
    });
    outgoing.on("response", (response) => {
      try {
        onTestFinished(() => void response.destroy());
      } catch {
        // Outside of a test: whoever called ends it.
      }
      resolve(response);
    });
    outgoing.on("error", reject);
    outgoing.end(text);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // No JSON, which is for the test to judge.
  }
}
