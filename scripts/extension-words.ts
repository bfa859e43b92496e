/** Writes down what a translator of the extension has to translate; `--write` puts it into extension/l10n. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository, sourceFiles } from "./source-files.ts";

export const wordsFile = "extension/l10n/bundle.l10n.json";

/** Calls of `l10n.t`, or of `t` where a file is given it, whose first argument is a text. */
const CALL = /\b(?:l10n\.)?t\(\s*"((?:[^"\\]|\\.)*)"/g;

/** Every text that the extension and its webview say, sorted, in the editor's format: each is its own translation. */
export function extensionWords(): string {
  const files = sourceFiles(/^(extension|webview)\/.*\.ts$|^service\/client\/workflow-templates\.ts$/).filter(
    ({ path }) => !path.endsWith(".test.ts"),
  );
  const words = files.flatMap(({ text }) =>
    [...text.matchAll(CALL)].map(([, word]) => JSON.parse(`"${word}"`) as string),
  );
  const sorted = [...new Set(words)].sort();
  return `${JSON.stringify(Object.fromEntries(sorted.map((word) => [word, word])), null, 2)}\n`;
}

if (import.meta.main && process.argv.includes("--write"))
  writeFileSync(join(repository, wordsFile), extensionWords());
