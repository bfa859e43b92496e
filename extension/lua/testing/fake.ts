import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../../scripts/source-files.ts";
import type { LuaHost } from "../host.ts";
import { createLanguageService, type LanguageService } from "../language-service.ts";

/** A service with two agents, three types of events and a topic, all made up. */
export const fakeHost: LuaHost = {
  subjects: () => [
    { subject: "github.issue.opened", types: ["github.issue.opened"], last_ms: 1 },
    { subject: "github.issue.closed", types: ["github.issue.closed"], last_ms: 1 },
    { subject: "topics.jobs", types: ["message.pushed"], last_ms: 1 },
  ],
  types: (pattern) => {
    const issue = {
      type: "github.issue.opened",
      subjects: ["github.issue.opened"],
      sampled: 40,
      last_ms: 1_700_000_000_000,
      payload: {
        kinds: ["object" as const],
        fields: {
          number: { kinds: ["integer" as const], presence: 1, sample: "42" },
          title: { kinds: ["string" as const], presence: 1, sample: '"It `fails`"' },
          state: { kinds: ["string" as const], presence: 1, values: ["open", "closed"] },
          user: {
            kinds: ["object" as const],
            presence: 1,
            fields: { login: { kinds: ["string" as const], presence: 1 } },
          },
          labels: {
            kinds: ["array" as const],
            presence: 0.5,
            items: {
              kinds: ["object" as const],
              fields: { name: { kinds: ["string" as const], presence: 1 } },
            },
          },
          milestone: { kinds: ["string" as const, "null" as const], presence: 0.05 },
        },
      },
    };
    const closed = {
      ...issue,
      type: "github.issue.closed",
      subjects: ["github.issue.closed"],
      sampled: 10,
      payload: {
        kinds: ["object" as const],
        fields: {
          number: { kinds: ["integer" as const], presence: 1 },
          closed_by: { kinds: ["string" as const], presence: 1 },
        },
      },
    };
    if (pattern === "github.issue.opened") return [issue];
    if (pattern === "github.issue.closed") return [closed];
    if (pattern === "github.>" || pattern === "github.issue.*") return [issue, closed];
    return [];
  },
  agents: () => [
    {
      name: "github-agent",
      status: "online",
      commands: [
        {
          name: "add_label",
          title: "Adds a label to an issue",
          params: {
            type: "object",
            properties: {
              repo: { type: "string", description: "owner/name" },
              number: { type: "integer" },
              label: { type: "string" },
              colour: { enum: ["red", "green"] },
            },
            required: ["repo", "number", "label"],
            additionalProperties: false,
          },
        },
        { name: "create_comment" },
      ],
    },
    { name: "builder", status: "offline", commands: [] },
  ],
  topics: () => ["jobs", "alerts"],
  actions: () => [
    {
      name: "deploy.run",
      description: "Deploys.",
      input: { type: "object", properties: { version: { type: "string" } }, required: ["version"] },
      output: { type: "object", properties: { url: { type: "string" } } },
    },
  ],
  workflow: () => null,
};

const actionFiles: Record<string, string> = {
  "init.lua": 'local M = {}\nM.prometheus = require("prometheus")\nM.text = require("text")\nreturn M\n',
  "prometheus/init.lua":
    'local M = {}\nM.query = require("prometheus.query")\nM.old = require("prometheus.old")\nreturn M\n',
  "prometheus/query.lua": [
    "---@class prometheus.Params",
    "---@field query string PromQL",
    "---@field step? integer Seconds between two points",
    '---@field mode "instant" | "range"',
    "",
    "---@class prometheus.Result",
    "---@field values number[]",
    "---@field unit? string",
    "",
    "--- Asks Prometheus.",
    "---@param params prometheus.Params What to ask",
    "---@return prometheus.Result result",
    "return define_action({",
    '  source = "https://example.com/q.git",',
    '  executor = "native",',
    "})",
    "",
  ].join("\n"),
  "prometheus/old.lua":
    '--- Use query.\n---@deprecated use query\nreturn define_action({ source = ".", executor = "native" })\n',
  "text.lua": [
    "local M = {}",
    "M.shorten = define_action({",
    '  source = ".",',
    '  executor = "native",',
    '  description = "Shortens a text.",',
    '  schema = { input = { text = "string", max = "number?" }, output = { short = "string" } },',
    "})",
    "return M",
    "",
  ].join("\n"),
};

export const ACTIONS = "file:///actions/";
export const FILE = "file:///workflows/test.lua";

export const api = {
  uri: "file:///types/signalbox.lua",
  text: readFileSync(join(repository, "workflows/types/signalbox.lua"), "utf8"),
};

export const scripts = {
  uri: "file:///types/scripts.lua",
  text: readFileSync(join(repository, "workflows/types/scripts.lua"), "utf8"),
};

export function openService(host: LuaHost = fakeHost): LanguageService {
  const service = createLanguageService({ host, api, scripts });
  for (const [name, text] of Object.entries(actionFiles)) service.set(`${ACTIONS}${name}`, text, "actions");
  return service;
}

const shared = openService();

/** Opens a text whose cursor is `|`; `¦` stands for a real bar. */
export function place(source: string): {
  service: LanguageService;
  uri: string;
  offset: number;
  text: string;
} {
  const offset = source.indexOf("|");
  const text = source.replace("|", "").replaceAll("¦", "|");
  shared.set(FILE, text, "workflow");
  return { service: shared, uri: FILE, offset, text };
}
