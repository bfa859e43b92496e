import * as z from "zod";
import { secretRef } from "../connector.ts";

const route = z.strictObject({
  path: z.string().startsWith("/").describe("Path on the ingress, such as /bugsnag."),
  topic: z.string().optional().describe("Queue that its events go to."),
  type: z.string().default("webhook.received").describe("Type of its events."),
  source: z.string().optional().describe("Source of its events. Default: the path without its slash."),
  auth: z
    .enum(["header", "hmac-sha256", "none"])
    .default("header")
    .describe("Shared secret in a header, or HMAC of the body."),
  header: z.string().optional().describe("Header that holds the secret or the signature."),
  secret: secretRef.optional().describe("Where the secret is."),
  id_header: z.string().optional().describe("Header whose value tells repeated deliveries apart."),
  max_bytes: z.int().min(1).max(10_485_760).default(1_048_576).describe("Largest body."),
});
export type WebhookRouteConfig = z.infer<typeof route>;

export const webhookConfig = z
  .strictObject({
    enabled: z.boolean().default(true),
    routes: z.array(route).default([]).describe("One entry a path."),
  })
  .prefault({});
export type WebhookConfig = z.infer<typeof webhookConfig>;
