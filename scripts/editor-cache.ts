/** Where the editor that tests run in is kept, and which browser they drive. */
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** VS Code 1.139, as a server that npm can install. Raise it together with `engines.vscode`. */
export const CODE_SERVER = "4.139.1";

/** Outside the repository, since it is large and serves every checkout. `SIGNALBOX_E2E_DIR` moves it. */
export function editorCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.SIGNALBOX_E2E_DIR) return env.SIGNALBOX_E2E_DIR;
  const cache = env.XDG_CACHE_HOME?.startsWith("/") ? env.XDG_CACHE_HOME : join(homedir(), ".cache");
  return join(cache, "signalbox-e2e", `code-server-${CODE_SERVER}`);
}

/** Folders and files of an installed editor; null until `npm run setup:e2e` has finished. */
export function findEditorServer(
  folder = editorCacheDir(),
): { readonly entry: string; readonly extensions: string } | null {
  const installed = join(folder, "node_modules/code-server");
  if (!existsSync(finishedFile(folder))) return null;
  return {
    entry: join(installed, "out/node/entry.js"),
    extensions: join(installed, "lib/vscode/extensions"),
  };
}

/** Written last, so that an install that was broken off does not count. */
export function finishedFile(folder = editorCacheDir()): string {
  return join(folder, "finished");
}

const CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
const CHROMIUM_PLACES = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** Any browser of Chromium's kind: `SIGNALBOX_E2E_CHROMIUM`, else one on the path. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): string | null {
  if (env.SIGNALBOX_E2E_CHROMIUM) return env.SIGNALBOX_E2E_CHROMIUM;
  const onPath = (env.PATH ?? "")
    .split(delimiter)
    .flatMap((folder) => CHROMIUM_NAMES.map((name) => join(folder, name)));
  return [...onPath, ...CHROMIUM_PLACES].find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not ours to run: the next place is tried.
  }
}

/** What is missing before the suites in the editor can run, in words; null when nothing is. */
export function missingForEditor(): string | null {
  const missing = [
    ...(findEditorServer() === null ? ["VS Code's server"] : []),
    ...(findChromium() === null ? ["a Chromium browser"] : []),
  ];
  return missing.length === 0 ? null : missing.join(" and ");
}
