import * as z from "zod";
import { name, subject } from "../../contract/common.ts";
import { secretRef, webhookPath } from "../connector.ts";

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]+$/, "must be the name of a header")
  .toLowerCase();

const route = z.strictObject({
  path: webhookPath.describe("Path on the ingress, such as /bugsnag."),
  topic: name.optional().describe("Queue that its events go to."),
  type: subject.default("webhook.received").describe("Type of its events."),
  source: name.optional().describe("Source of its events. Default: the path without its slash."),
  auth: z
    .enum(["header", "hmac-sha256", "none"])
    .default("header")
    .describe("Shared secret in a header, or HMAC of the body."),
  header: headerName.optional().describe("Header that holds the secret or the signature."),
  secret: secretRef.optional().describe("Where the secret is."),
  id_header: headerName.optional().describe("Header whose value tells repeated deliveries apart."),
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
