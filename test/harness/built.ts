/**
 * Builds the service and its threads once for a run of the tests, so that each of the hundreds that they start loads
 * three files instead of stripping types from hundreds. It is the form that is shipped, made from the sources of now.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const root = resolve(import.meta.dirname, "../..");
const VARIABLE = "SIGNALBOX_TEST_BUILT";

/** Called by vitest before all tests; what it returns is called after them. */
export default function setup(): () => void {
  // Inside the project, so that packages that are not bundled are found.
  const cache = join(root, "node_modules/.cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "signalbox-test-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const names = ["service", "lua-worker", "index-worker"];
    const script = join(root, "scripts/build.ts");
    execFileSync(process.execPath, [script, ...names, "--quiet", "--out", folder], { stdio: "inherit" });
  } catch (error) {
    remove();
    throw error;
  }
  process.env[VARIABLE] = folder;
  return remove;
}

/** The program of the service: as built for this run, or outside of one its source. */
export function serviceEntry(): string {
  const folder = process.env[VARIABLE];
  return folder === undefined ? join(root, "service/main.ts") : join(folder, "service.js");
}

/** The same for the threads of workflows; nothing where the source serves. */
export function luaWorker(): { luaWorker?: URL } {
  const folder = process.env[VARIABLE];
  return folder === undefined ? {} : { luaWorker: pathToFileURL(join(folder, "lua-worker.js")) };
}
