import { createLanguageService, type LanguageService } from "../language-service.ts";
import { api, fakeHost } from "./fixture.ts";

export const LARGE = "file:///workflows/large.lua";

/** A file of about `lines` lines that uses each of `actions` actions. */
export function largeSource(lines: number, actions: number): string {
  const parts: string[] = [];
  for (let index = 0; parts.length * 8 < lines; index++) {
    parts.push(
      [
        `local function step_${index}(event, options)`,
        `  local total = (event.payload.number or 0) + ${index}`,
        `  local answer = actions.space_${index % 10}.action_${index % actions}{ query = "q" .. total, step = ${index} }`,
        "  for position, value in ipairs(answer.values) do",
        '    sekia.log("info", position .. " " .. value .. options.name:upper())',
        "  end",
        `  return { total = total, before = ${index === 0 ? "nil" : `step_${index - 1}`}, unit = answer.unit }`,
        "end",
      ].join("\n"),
    );
  }
  parts.push('sekia.on("github.issue.opened", function(event)\n  step_0(event, { name = "x" })\nend)');
  return `${parts.join("\n")}\n`;
}

/** A service with that file and the actions' files. */
export function openLarge(lines: number, actions: number): { service: LanguageService; source: string } {
  const service = createLanguageService({ host: fakeHost, api });
  const names = Array.from({ length: actions }, (_, index) => `space_${index % 10}.action_${index}`);
  const spaces = new Map<string, string[]>();
  for (const name of names) {
    const [space = "", action = ""] = name.split(".");
    spaces.set(space, [...(spaces.get(space) ?? []), action]);
    service.set(`file:///actions/${space}/${action}.lua`, actionSource(action), "actions");
  }
  for (const [space, list] of spaces) {
    const lines = list.map((action) => `M.${action} = require("${space}.${action}")`);
    service.set(
      `file:///actions/${space}/init.lua`,
      `local M = {}\n${lines.join("\n")}\nreturn M\n`,
      "actions",
    );
  }
  const roots = [...spaces.keys()].map((space) => `M.${space} = require("${space}")`);
  service.set("file:///actions/init.lua", `local M = {}\n${roots.join("\n")}\nreturn M\n`, "actions");
  const source = largeSource(lines, actions);
  service.set(LARGE, source, "workflow");
  return { service, source };
}

function actionSource(name: string): string {
  return [
    `---@class ${name}.Params`,
    "---@field query string What to ask",
    "---@field step? integer",
    `---@class ${name}.Result`,
    "---@field values number[]",
    "---@field unit? string",
    "",
    `---@param params ${name}.Params`,
    `---@return ${name}.Result`,
    'return define_action({ source = ".", executor = "native" })',
    "",
  ].join("\n");
}
