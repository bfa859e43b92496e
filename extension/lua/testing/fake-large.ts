/** A large file to work in. `node extension/lua/testing/fake-large.ts` prints how long the editor's answers take. */
import { createLanguageService, type LanguageService } from "../language-service.ts";
import { api, fakeHost, scripts } from "./fake.ts";

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
  const service = createLanguageService({ host: fakeHost, api, scripts });
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

/** How long the editor's answers take in a file of 5,000 lines with 200 actions. */
function bench(): void {
  const { service, source } = openLarge(5_000, 200);
  const places = [
    ...source.matchAll(/actions\.|event\.payload\.|answer\.|\{ query|sekia\.|options\.name/g),
  ].map((found) => found.index + found[0].length - (found[0].startsWith("{") ? 5 : 0));

  const placeOf = (round: number) => places[(round * 37) % places.length] ?? 0;
  process.stdout.write(`${source.split("\n").length} lines\n`);
  measure("completion, nothing changed", (round) => {
    service.complete(LARGE, placeOf(round));
  });
  measure("a letter, then completion", (round) => {
    const at = placeOf(round);
    service.edit(LARGE, [{ from: at, to: at, text: "a" }]);
    service.complete(LARGE, at + 1);
    return () => service.edit(LARGE, [{ from: at, to: at + 1, text: "" }]);
  });
  measure("an open block, then completion", (round) => {
    const at = source.indexOf("\n", placeOf(round)) + 1;
    service.edit(LARGE, [{ from: at, to: at, text: "  if event.\n" }]);
    service.complete(LARGE, at + 11);
    return () => service.edit(LARGE, [{ from: at, to: at + 12, text: "" }]);
  });
  measure("hover", (round) => {
    service.hover(LARGE, placeOf(round) - 2);
  });
  measure(
    "diagnostics after a letter",
    (round) => {
      const at = placeOf(round);
      service.edit(LARGE, [{ from: at, to: at, text: "a" }]);
      service.diagnostics(LARGE);
      return () => service.edit(LARGE, [{ from: at, to: at + 1, text: "" }]);
    },
    20,
  );
  measure("the whole file anew", () => service.set(LARGE, source, "workflow"), 20);
}

/** @param act may give back what makes it undone, which is not measured */
function measure(name: string, act: (round: number) => unknown, rounds = 200): void {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // Time of this thread alone: what else the machine does is not the editor's.
    const begin = process.threadCpuUsage();
    const undo = act(round);
    const { user, system } = process.threadCpuUsage(begin);
    times.push((user + system) / 1_000);
    if (typeof undo === "function") undo();
  }
  times.sort((one, other) => one - other);
  const at = (share: number) => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(2);
  process.stdout.write(`${name.padEnd(34)} p50 ${at(0.5)} ms  p95 ${at(0.95)} ms  max ${at(1)} ms\n`);
}

if (import.meta.main) bench();
