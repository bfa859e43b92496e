import { createHmac, timingSafeEqual } from "node:crypto";
import { SignalboxError } from "../../contract/errors.ts";
import type { Secret } from "../../lib/secret.ts";
import type { WebhookRequest } from "../connector.ts";
import type { WebhookRouteConfig } from "./config.ts";

/** Headers that may hold the shared secret where a route names none; the second is makiso's. */
const secretHeaders = ["x-signalbox-secret", "x-oc-events-secret"];
const SIGNATURE_HEADER = "x-hub-signature-256";

export function secretHint(route: WebhookRouteConfig): string {
  return `Set \`secret = { env = "NAME_OF_A_VARIABLE" }\` on the route ${route.path} in \`connectors.webhook.routes\`, and set that variable.`;
}

/**
 * Lets a request pass that knows the route's secret. Comparisons take the same time whatever was sent.
 * @throws SignalboxError `secret_missing` (403) when the route has none, `bad_signature` (401) otherwise
 */
export function authenticate(
  route: WebhookRouteConfig,
  request: WebhookRequest,
  secret: Secret | null,
): void {
  if (route.auth === "none") {
    allowOpen(route, request);
    return;
  }
  if (!secret || secret.isBlank) {
    throw new SignalboxError(
      "secret_missing",
      `The route ${route.path} has no secret, so it accepts nothing`,
      {
        hint: secretHint(route),
      },
    );
  }
  const isGenuine =
    route.auth === "header" ? hasSecret(route, request, secret) : hasSignature(route, request, secret);
  if (isGenuine) return;
  const header = route.header ?? (route.auth === "header" ? secretHeaders[0] : SIGNATURE_HEADER);
  throw new SignalboxError(
    "bad_signature",
    `The header ${header} does not prove that the sender knows the secret`,
    {
      hint: "Use the same secret on both sides, and check the name of the header.",
    },
  );
}

function allowOpen(route: WebhookRouteConfig, request: WebhookRequest): void {
  if (request.allowsOpen) return;
  throw new SignalboxError("secret_missing", `The route ${route.path} has no secret, so it accepts nothing`, {
    hint: `${secretHint(route)} For tries on this machine alone there is \`ingress.insecure_loopback\`.`,
  });
}

function hasSecret(route: WebhookRouteConfig, request: WebhookRequest, secret: Secret): boolean {
  const headers = route.header ? [route.header] : secretHeaders;
  return headers.some((header) => {
    const value = request.headers[header];
    return value !== undefined && secret.equals(value);
  });
}

function hasSignature(route: WebhookRouteConfig, request: WebhookRequest, secret: Secret): boolean {
  const given = request.headers[route.header ?? SIGNATURE_HEADER] ?? "";
  const hex = /^(?:sha256=)?([0-9a-f]{64})$/i.exec(given)?.[1];
  if (!hex) return false;
  const expected = createHmac("sha256", secret.reveal()).update(request.body).digest();
  return timingSafeEqual(expected, Buffer.from(hex, "hex"));
}
