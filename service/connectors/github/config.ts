import * as z from "zod";
import { secretRef, webhookPath } from "../connector.ts";

export const githubConfig = z
  .strictObject({
    enabled: z.boolean().default(true),
    token: secretRef.default({ env: "GITHUB_TOKEN" }).describe("Token for commands and polling."),
    webhook_secret: secretRef
      .default({ env: "GITHUB_WEBHOOK_SECRET" })
      .describe("Secret that signs webhooks."),
    webhook_path: webhookPath.default("/webhook").describe("Path on the ingress."),
    api_url: z
      .url({ protocol: /^https?$/ })
      .default("https://api.github.com")
      .describe("REST API, for GitHub Enterprise."),
    poll: z.boolean().default(false).describe("Poll notifications where no webhook can reach."),
    poll_interval_ms: z.int().min(1_000).default(60_000).describe("Least time between two polls."),
  })
  .prefault({});
export type GithubConfig = z.infer<typeof githubConfig>;
