import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const LEFT_OUT = new Set([".git", "node_modules", ".venv", "__pycache__", ".envyr"]);
const MAX_FILES = 5_000;

/** Each file under `dir` with the hash of its bytes, to tell two versions apart for people. */
export async function hashFiles(dir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(join(dir, folder), { withFileTypes: true })) {
      if (LEFT_OUT.has(entry.name) || files.size >= MAX_FILES) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile()) files.set(path, await hashOf(join(dir, path)));
    }
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function hashOf(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

/** `+` is new, `-` gone, `~` changed. */
export function changedFiles(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((name) => {
    if (before.get(name) === after.get(name)) return [];
    return [`${before.has(name) ? (after.has(name) ? "~" : "-") : "+"} ${name}`];
  });
}
