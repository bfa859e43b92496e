import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { findNodeAtLocation, getNodeValue, type Node } from "jsonc-parser";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { append, inline, readTree, remove, replace } from "./jsonc-edit.ts";

export const PACKAGE = "opencode-signalbox";

/** `plugin` with `[name, options]` up to OpenCode 1, `plugins` with `{ package, options }` since 2. */
export type Key = "plugin" | "plugins";
export const keyFor = (major: number): Key => (major >= 2 ? "plugins" : "plugin");

type Environment = Readonly<Record<string, string | undefined>>;

/** OpenCode's folders, which it puts by the XDG rules on every system. */
export function openCodeFolders(env: Environment) {
  const home = env.HOME || homedir();
  const folder = (name: string, usual: string) => join(env[name] || join(home, usual), "opencode");
  return {
    config: folder("XDG_CONFIG_HOME", ".config"),
    data: folder("XDG_DATA_HOME", ".local/share"),
    cache: folder("XDG_CACHE_HOME", ".cache"),
  };
}

const names = ["opencode.jsonc", "opencode.json"];

/** Files of the user that exist, what counts more first. */
export function globalFiles(env: Environment): string[] {
  const { config } = openCodeFolders(env);
  return [...names, "config.json"].map((name) => join(config, name)).filter(existsSync);
}

/** Files of the project that exist: from the folder up to that of the repository, as OpenCode looks for them. */
export function projectFiles(cwd: string): string[] {
  return foldersUp(cwd)
    .flatMap((folder) => [join(folder, ".opencode"), folder])
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .filter(existsSync);
}

function foldersUp(cwd: string): string[] {
  const folders = [resolve(cwd)];
  for (let at = resolve(cwd); !existsSync(join(at, ".git")); ) {
    const above = dirname(at);
    // Without a repository only the folder itself counts.
    if (above === at) return folders.slice(0, 1);
    folders.push(above);
    at = above;
  }
  return folders;
}

/** The file to edit: one that names the plugin already, else the first there is, else a new one. */
export function chooseFile(files: readonly string[], otherwise: string): string {
  return files.find((file) => entryOf(readConfig(file), file) !== null) ?? files[0] ?? otherwise;
}

export const newProjectFile = (cwd: string) => join(foldersUp(cwd).at(-1) ?? cwd, "opencode.json");
export const newGlobalFile = (env: Environment) => join(openCodeFolders(env).config, "opencode.json");

export function readConfig(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

export interface Entry {
  readonly key: Key;
  /** `opencode-signalbox@0.1.0`. */
  readonly spec: string;
  readonly options: JsonObject | null;
}
interface Found extends Entry {
  readonly list: Node;
  readonly item: Node;
  readonly specNode: Node;
}

/** The plugin's entry in a configuration, by whichever key and in whichever form. */
export function entryOf(text: string, file: string): Entry | null {
  return findAll(text, file)[0] ?? null;
}

function findAll(text: string, file: string): Found[] {
  if (text.trim() === "") return [];
  const tree = readTree(withoutMark(text), file);
  return (["plugin", "plugins"] as const).flatMap((key) => {
    const list = listAt(tree, key, file);
    return (list?.children ?? []).flatMap((item) => {
      const found = specOf(item);
      return found !== null && isOurs(String(found.specNode.value)) && list !== undefined
        ? [{ key, list, item, spec: String(found.specNode.value), ...found }]
        : [];
    });
  });
}

function specOf(item: Node): { specNode: Node; options: JsonObject | null } | null {
  const value = getNodeValue(item) as Json;
  const isTuple = item.type === "array";
  const specNode =
    isTuple || item.type === "object" ? findNodeAtLocation(item, [isTuple ? 0 : "package"]) : item;
  if (specNode?.type !== "string") return null;
  const options = Array.isArray(value) ? value[1] : (value as { options?: Json }).options;
  return { specNode, options: isRecord(options) ? options : null };
}

function isRecord(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isOurs = (spec: string) => spec === PACKAGE || spec.startsWith(`${PACKAGE}@`);

function listAt(tree: Node, key: Key, file: string): Node | undefined {
  const node = findNodeAtLocation(tree, [key]);
  if (node === undefined || node.type === "array") return node;
  throw new SignalboxError("invalid_config", `${key} in ${file} is no list`, {
    hint: "Correct it first; nothing was changed.",
  });
}

/** The text with the plugin in it, all else as it was. Options that are given replace those there are. */
export function withEntry(text: string, file: string, wanted: Entry): string {
  if (text.trim() === "") {
    const fields = { $schema: "https://opencode.ai/config.json", [wanted.key]: [formOf(wanted)] };
    const lines = Object.entries(fields).map(
      ([name, value]) => `  ${JSON.stringify(name)}: ${inline(value)}`,
    );
    return `{\n${lines.join(",\n")}\n}\n`;
  }
  const bare = withoutMark(text);
  const mark = text.slice(0, text.length - bare.length);
  const [found] = findAll(bare, file);
  if (found?.key === wanted.key)
    return (
      mark +
      (wanted.options === null ? respec(bare, found, wanted) : replace(bare, found.item, formOf(wanted)))
    );
  const moved = { ...wanted, options: wanted.options ?? found?.options ?? null };
  const without = found === undefined ? bare : remove(bare, found.list, found.item);
  const tree = readTree(without, file);
  const list = listAt(tree, wanted.key, file);
  const item = inline(formOf(moved));
  return (
    mark +
    (list === undefined ? append(without, tree, `"${wanted.key}": [${item}]`) : append(without, list, item))
  );
}

function respec(text: string, found: Found, wanted: Entry): string {
  return found.spec === wanted.spec ? text : replace(text, found.specNode, wanted.spec);
}

function formOf({ key, spec, options }: Entry): Json {
  if (options === null) return spec;
  return key === "plugin" ? [spec, options] : { package: spec, options };
}

/** The text without the plugin. An empty list goes as well where `dropKey` says that it was made for the plugin. */
export function withoutEntry(text: string, file: string, dropKey: (key: Key) => boolean): string {
  const bare = withoutMark(text);
  const mark = text.slice(0, text.length - bare.length);
  let rest = bare;
  for (let [found] = findAll(rest, file); found !== undefined; [found] = findAll(rest, file)) {
    rest = remove(rest, found.list, found.item);
    const tree = readTree(rest, file);
    const property = findNodeAtLocation(tree, [found.key])?.parent;
    const isEmpty = property?.children?.[1]?.children?.length === 0;
    if (property !== undefined && isEmpty && dropKey(found.key)) rest = remove(rest, tree, property);
  }
  return mark + rest;
}

/** The keys for plugins that a configuration has. */
export function keysOf(text: string, file: string): Key[] {
  if (text.trim() === "") return [];
  const tree = readTree(withoutMark(text), file);
  return (["plugin", "plugins"] as const).filter((key) => findNodeAtLocation(tree, [key]) !== undefined);
}

/** Whether it starts `signalbox mcp` as well. */
export function startsMcp(text: string, file: string): boolean {
  if (text.trim() === "") return false;
  const { mcp } = getNodeValue(readTree(withoutMark(text), file)) as { mcp?: Record<string, unknown> };
  return Object.values(mcp ?? {}).some((server) => {
    const { command, enabled } = server as { command?: unknown; enabled?: unknown };
    const words = Array.isArray(command) ? command.map(String) : [];
    return (
      enabled !== false && words.includes("mcp") && words.some((word) => /signalbox(\.cjs)?$/.test(word))
    );
  });
}

/** Some editors begin a file with a byte order mark. */
function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/** What changes, as lines with `-` and `+` and two lines around them. */
export function lineDiff(before: string, after: string): string[] {
  const [a, b] = [before, after].map((text) => text.split(/\r?\n/)) as [string[], string[]];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const mark = (sign: string, lines: string[]) => lines.map((line) => `${sign} ${line}`);
  return [
    ...mark(" ", a.slice(Math.max(0, head - 2), head)),
    ...mark("-", before === "" ? [] : a.slice(head, a.length - tail)),
    ...mark("+", b.slice(head, b.length - tail)),
    ...mark(" ", a.slice(a.length - tail, a.length - tail + 2)),
  ];
}
