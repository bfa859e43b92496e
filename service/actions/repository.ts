import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { canonicalJson, sha256 } from "../lib/canonical.ts";
import type { ActionDefinition } from "./definition.ts";

/** The Lua files of an actions repository. */
export interface ActionLibrary {
  /** By the name that `require` takes: `prometheus.query`. `file` is relative to the repository, for messages. */
  modules: Record<string, LuaModule>;
  /** Why there is none; told when one of its words is used. */
  problem: string | null;
}

export interface LuaModule {
  file: string;
  source: string;
}

/** An action that a repository holds, by its path in the tables that `init.lua` returns. */
export interface FoundAction {
  /** `prometheus.query` */
  name: string;
  definition: ActionDefinition;
  file: string;
  line: number;
}

const MAX_FILES = 2_000;
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_DEPTH = 12;
/** Programs bring Lua files of their own at times, and tools make folders full of them. */
const LEFT_OUT = new Set(["node_modules", "__pycache__", "venv"]);

/**
 * All `.lua` files under `dir`, hidden folders and links left out.
 * @throws SignalboxError `action_repository` (no folder, no init.lua, too much in it)
 */
export async function readRepository(
  dir: string,
): Promise<{ library: ActionLibrary; digest: string; folders: string[] }> {
  const folders: string[] = [];
  const files = await listLua(dir, "", 0, folders);
  if (!files.includes("init.lua")) {
    throw new SignalboxError("action_repository", `${dir} has no init.lua, so it is no actions repository`);
  }
  const modules: ActionLibrary["modules"] = {};
  let bytes = 0;
  for (const file of files) {
    const source = await readFile(join(dir, file), "utf8");
    bytes += source.length;
    if (bytes > MAX_BYTES) throw tooMuch(dir, "8 MiB of Lua");
    for (const name of namesOf(file)) {
      // `a.lua` goes before `a/init.lua`, as in any Lua; the list is sorted, so it comes first.
      if (!Object.hasOwn(modules, name)) modules[name] = { file, source };
    }
  }
  const digest = sha256(canonicalJson(modules as unknown as JsonObject));
  return { library: { modules, problem: null }, digest, folders };
}

async function listLua(dir: string, folder: string, depth: number, folders: string[]): Promise<string[]> {
  folders.push(folder);
  const entries = await readdir(join(dir, folder), { withFileTypes: true }).catch((error: unknown) => {
    throw new SignalboxError("action_repository", `${join(dir, folder)} can't be read`, { cause: error });
  });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.name.startsWith(".") || LEFT_OUT.has(entry.name)) continue;
    if (entry.isDirectory() && depth < MAX_DEPTH)
      found.push(...(await listLua(dir, path, depth + 1, folders)));
    else if (entry.isFile() && entry.name.endsWith(".lua")) found.push(path);
    if (found.length > MAX_FILES) throw tooMuch(dir, `${MAX_FILES} Lua files`);
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

/** `a/init.lua` is `a` and `a.init`. */
function namesOf(file: string): string[] {
  const name = file.slice(0, -".lua".length).replaceAll("/", ".");
  return name.endsWith(".init") ? [name, name.slice(0, -".init".length)] : [name];
}

function tooMuch(dir: string, what: string): SignalboxError {
  return new SignalboxError("action_repository", `${dir} holds more than ${what}`);
}
