import * as z from "zod";
import { json } from "../../../contract/common.ts";
import { isSecretName } from "../mask.ts";
import { secretUse } from "../secret-use.ts";

/** Those of the connection itself, which only the client may set. */
const RESERVED = new Set([
  ...["connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "accept-encoding"],
]);
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible characters, spaces and tabs: no line can begin inside a value. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const url = z
  .string()
  .max(8_000)
  .transform((text, context) => {
    const parsed = URL.canParse(text) ? new URL(text) : null;
    const problem =
      parsed === null
        ? "must be a URL such as https://api.example.com/deploy"
        : !["http:", "https:"].includes(parsed.protocol)
          ? "must begin with http:// or https://"
          : parsed.username !== "" || parsed.password !== ""
            ? "must hold no user name and password; send them in a header, as a secret"
            : null;
    if (parsed === null || problem !== null) {
      context.addIssue({ code: "custom", message: problem ?? "" });
      return z.NEVER;
    }
    parsed.hash = "";
    return parsed.href;
  });

const headers = z
  .record(z.string().max(200), z.union([z.string().max(8_000), secretUse]))
  .transform((given, context) => {
    const kept: Record<string, z.output<typeof secretUse> | string> = {};
    for (const [name, value] of Object.entries(given)) {
      const problem = headerProblem(name.toLowerCase(), value);
      if (problem !== null) context.addIssue({ code: "custom", message: problem, path: [name] });
      kept[name.toLowerCase()] = value;
    }
    return kept;
  });

function headerProblem(name: string, value: z.output<typeof secretUse> | string): string | null {
  if (!TOKEN.test(name)) return "is no name of a header";
  if (RESERVED.has(name)) return "is set by the client";
  const text = typeof value === "string" ? value : (value.prefix ?? "");
  if (!VALUE.test(text)) return "must be one line of plain characters";
  if (typeof value === "string" && isSecretName(name))
    return 'must name its secret, such as { secret = "deploy" }, so that it is never stored';
  return null;
}

/** R69: `url`, `method` (POST unless said otherwise), `headers`, and `json` or `body`. */
export const httpPayload = z
  .strictObject({
    url,
    method: z
      .string()
      .transform((text) => text.toUpperCase())
      .pipe(z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
      .default("POST"),
    headers: headers.prefault({}),
    /** Sent as JSON. */
    json: json.optional(),
    /** Sent as it is. */
    body: z.string().max(1_000_000).optional(),
    timeout_ms: z.int().min(1).max(600_000).optional(),
    /** The other side does a request with the same `Idempotency-Key` once. */
    idempotent: z.boolean().default(false),
  })
  .refine(({ json: value, body }) => value === undefined || body === undefined, "give json or body, not both")
  .refine(
    ({ method, json: value, body }) =>
      !["GET", "HEAD"].includes(method) || (value === undefined && body === undefined),
    "GET and HEAD have no body",
  );
export type HttpPayload = z.output<typeof httpPayload>;

export const httpTarget = ({ url: text }: HttpPayload): string => new URL(text).host;

/** `POST 312 bytes of JSON to api.example.com/deploy` */
export function httpSummary({ url: address, method, json: value, body }: HttpPayload): string {
  const { host, pathname } = new URL(address);
  const path = pathname === "/" ? "" : pathname.length > 80 ? `${pathname.slice(0, 80)}…` : pathname;
  const text = value === undefined ? body : JSON.stringify(value);
  if (text === undefined) return `${method} ${host}${path}`;
  const size = Buffer.byteLength(text).toLocaleString("en");
  return `${method} ${size} bytes of ${value === undefined ? "text" : "JSON"} to ${host}${path}`;
}
