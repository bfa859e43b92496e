import { type Json, type JsonObject, limits } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { NewEvent } from "../../contract/events.ts";
import type { ConnectorContext, WebhookReply, WebhookRequest, WebhookRoute } from "../connector.ts";
import { authenticate, secretHint } from "./authenticate.ts";
import type { WebhookConfig, WebhookRouteConfig } from "./config.ts";

/** Deeper JSON is no message of a service; it is made to exhaust the stack of whoever walks it. */
const MAX_DEPTH = 100;

export function webhookRoutes(config: WebhookConfig): WebhookRoute[] {
  return config.routes.map((route) => ({
    path: route.path,
    maxBytes: route.max_bytes,
    isOpen: route.auth === "none",
    secret: route.secret ?? null,
    secretHint: secretHint(route),
  }));
}

/**
 * Turns one webhook of a configured route into one event: a JSON object or a form becomes the payload, other JSON
 * `{ value }`, other text the body. Two equal bodies are two events unless the route names an `id_header`.
 * @throws SignalboxError `not_found`, `secret_missing` (403), `bad_signature` (401), `invalid_request` (400),
 * `too_large` (413)
 */
export async function receiveWebhook(
  request: WebhookRequest,
  context: ConnectorContext<WebhookConfig>,
): Promise<WebhookReply> {
  const route = context.config.routes.find((one) => one.path === request.path);
  if (!route) throw new SignalboxError("not_found", "There is no webhook route of this path");
  authenticate(route, request, route.secret ? context.secret(route.secret) : null);
  if (request.body.length > route.max_bytes) throw tooLarge(route.max_bytes);
  const event = { ...envelope(route, request), ...readContent(request) };
  // A body that the route allows may still be more than one event holds.
  if (Buffer.byteLength(JSON.stringify(event)) > limits.eventBytes) throw tooLarge(limits.eventBytes);
  return { status: 200, body: { status: "accepted" }, events: [event] };
}

function envelope(route: WebhookRouteConfig, request: WebhookRequest): NewEvent {
  const meta: JsonObject = { path: route.path };
  for (const [field, header] of [
    ["content_type", "content-type"],
    ["user_agent", "user-agent"],
  ] as const) {
    const value = request.headers[header];
    if (value) meta[field] = value.slice(0, 500);
  }
  const event: NewEvent = {
    type: route.type,
    source: route.source ?? route.path.slice(1),
    origin_kind: "webhook",
    meta,
  };
  if (route.topic) event.topic = route.topic;
  if (route.id_header) {
    const id = deliveryId(request.headers[route.id_header], route.id_header);
    event.external_id = id;
    meta.delivery_id = id;
  }
  return event;
}

/** A route that tells deliveries apart by an id takes none without: leaving it out would get round the check. */
function deliveryId(value: string | undefined, header: string): string {
  if (value && /^[\x21-\x7e]{1,300}$/.test(value)) return value;
  throw new SignalboxError("invalid_request", `The header ${header} must hold the delivery's id`);
}

function readContent(request: WebhookRequest): Pick<NewEvent, "payload" | "body"> {
  const text = readText(request.body);
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type === "application/json" || type.endsWith("+json")) return { payload: readJson(text) };
  if (type === "application/x-www-form-urlencoded") return { payload: readForm(text) };
  if (text.includes("\0")) throw new SignalboxError("invalid_request", "The body holds NUL characters");
  return { body: text };
}

function readText(body: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch (error) {
    throw new SignalboxError("invalid_request", "The body is not text in UTF-8", { cause: error });
  }
}

function readJson(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the body, so it stays out of the answer.
    throw new SignalboxError("invalid_request", "The body is not JSON", { cause: error });
  }
  if (isDeeperThan(value, MAX_DEPTH)) {
    throw new SignalboxError("invalid_request", `The JSON is nested more than ${MAX_DEPTH} deep`);
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : { value };
}

/** A field that occurs several times becomes a list. */
function readForm(text: string): JsonObject {
  const form = new URLSearchParams(text);
  return Object.fromEntries(
    [...new Set(form.keys())].map((key) => {
      const values = form.getAll(key);
      return [key, values.length === 1 ? (values[0] ?? "") : values];
    }),
  );
}

/** Level by level, without recursion. */
function isDeeperThan(value: Json, depth: number): boolean {
  let level: Json[] = [value];
  for (let deep = 0; level.length > 0; deep++) {
    if (deep > depth) return true;
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
  }
  return false;
}

function tooLarge(maxBytes: number): SignalboxError {
  return new SignalboxError("too_large", `The webhook is larger than ${maxBytes} bytes`);
}
