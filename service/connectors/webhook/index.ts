import { defineConnector } from "../connector.ts";
import { type WebhookConfig, webhookConfig } from "./config.ts";
import { receiveWebhook, webhookRoutes } from "./receive.ts";

export const webhook = defineConnector<WebhookConfig>({
  id: "webhook",
  title: "Webhooks",
  agent: "webhook",
  capabilities: ["webhook"],
  config: webhookConfig,
  commands: {},
  isConfigured: (config) => config.enabled && config.routes.length > 0,
  routes: webhookRoutes,
  receive: receiveWebhook,
});
