import { defineConnector } from "../connector.ts";
import { type WebhookConfig, webhookConfig } from "./config.ts";

export const webhook = defineConnector<WebhookConfig>({
  id: "webhook",
  title: "Webhooks",
  agent: "webhook",
  capabilities: ["webhook"],
  config: webhookConfig,
  commands: {},
  isConfigured: (config) => config.routes.length > 0,
});
