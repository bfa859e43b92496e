import { defineConnector } from "../connector.ts";
import { type GithubConfig, githubConfig } from "./config.ts";

export const github = defineConnector<GithubConfig>({
  id: "github",
  title: "GitHub",
  agent: "github-agent",
  capabilities: ["github"],
  config: githubConfig,
  commands: {},
  isConfigured: () => false,
});
