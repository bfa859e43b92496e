import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top of the repository. */
export const repository = fileURLToPath(new URL("..", import.meta.url));

/** What .gitignore leaves out as well. Git itself is not asked: it may be absent where tests run. */
const leftOut = /^(\.git|\.signalbox|node_modules|dist|coverage|tmp)$|\.(log|tgz)$/;

export interface SourceFile {
  /** From the top of the repository, with `/`. */
  path: string;
  text: string;
}

/** The repository's own files whose path matches, folder by folder, sorted by name. */
export function sourceFiles(matching: RegExp): SourceFile[] {
  return walk("")
    .filter((path) => matching.test(path))
    .map((path) => ({ path, text: readFileSync(join(repository, path), "utf8") }));
}

function walk(folder: string): string[] {
  const entries = readdirSync(join(repository, folder), { withFileTypes: true });
  return entries
    .filter((entry) => !leftOut.test(entry.name))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return walk(path);
      return entry.isFile() ? [path] : [];
    });
}
