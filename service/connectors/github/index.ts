import { once } from "node:events";
import { defineConnector } from "../connector.ts";
import { githubCommands } from "./commands.ts";
import { type GithubConfig, githubConfig } from "./config.ts";
import { pollNotifications } from "./notifications.ts";
import { githubRoutes, receiveWebhook } from "./receive.ts";

export const github = defineConnector<GithubConfig>({
  id: "github",
  title: "GitHub",
  agent: "github-agent",
  capabilities: ["github"],
  config: githubConfig,
  commands: githubCommands,
  replyTo({ payload }, body) {
    const { owner, repo, number = payload.issue_number } = payload;
    if (typeof owner !== "string" || typeof repo !== "string" || typeof number !== "number") return null;
    return { command: "create_comment", payload: { owner, repo, number, body } };
  },
  isConfigured: (config, secret) =>
    config.enabled && [config.token, config.webhook_secret].some((ref) => secret(ref)?.isBlank === false),
  async listen(context) {
    if (context.config.poll) return pollNotifications(context);
    // Webhooks come through the ingress, so here is nothing to do until it stops.
    context.report("ready");
    if (!context.signal.aborted) await once(context.signal, "abort");
  },
  routes: githubRoutes,
  receive: receiveWebhook,
});
