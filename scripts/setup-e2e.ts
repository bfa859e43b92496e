/**
 * Installs what the suites in the real editor need, into a cache folder outside the repository: VS Code's server from
 * npm and, where the system lets us, a Chromium. Done once a machine; run again it only looks.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CODE_SERVER, editorCacheDir, findChromium, findEditorServer, finishedFile } from "./editor-cache.ts";

// `npm test` on a machine of one's own uses what is there; in CI the suites in the real editor have to run.
if (process.argv.includes("--only-in-ci") && process.env.CI !== "true") process.exit();

const folder = editorCacheDir();
const vscode = join(folder, "node_modules/code-server/lib/vscode");
// npm and what it builds run on the Node.js that runs this, whatever the machine's own is.
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, JOBS: "2" };

if (findEditorServer(folder) === null) installServer();
console.log(`setup:e2e: VS Code's server is in ${folder}`);
if (findChromium() === null) installChromium();
const browser = findChromium();
if (browser === null) {
  console.error("setup:e2e: there is no Chromium. Install one, or name it in SIGNALBOX_E2E_CHROMIUM.");
  process.exitCode = 1;
} else console.log(`setup:e2e: the browser is ${browser}`);

function installServer(): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"private":true}\n');
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  run("npm", ["install", ...quiet, "--no-save", `code-server@${CODE_SERVER}`], folder);
  run("npm", ["install", ...quiet, "--omit=dev"], vscode);
  try {
    run("npm", ["rebuild", "--loglevel=error", "@vscode/native-watchdog", "@vscode/spdlog"], vscode);
  } catch {
    console.error("setup:e2e: no compiler for the editor's log library; it runs without log files");
  }
  prune();
  keepFewBuiltIns();
  writeFileSync(finishedFile(folder), `${CODE_SERVER}\n`);
}

/** Nothing of these is used here, and they are 300 MB. */
function prune(): void {
  const unused = ["node_modules/@github", "node_modules/@microsoft/mxc-sdk", "extensions/copilot"];
  for (const path of [...unused, "extensions/mermaid-markdown-features"])
    rmSync(join(vscode, path), { recursive: true, force: true });
  const searchers = join(vscode, "node_modules/@vscode/ripgrep-universal/bin");
  if (!existsSync(searchers)) return;
  for (const name of readdirSync(searchers)) {
    if (!name.includes(process.platform)) rmSync(join(searchers, name), { recursive: true, force: true });
  }
}

/** With these alone instead of all the window is there in half the time. */
function keepFewBuiltIns(): void {
  for (const name of ["lua", "json", "markdown-basics", "theme-defaults", "theme-seti"])
    cpSync(join(vscode, "extensions", name), join(folder, "builtins", name), { recursive: true });
}

function installChromium(): void {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return;
  const apt = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  try {
    execFileSync("apt-get", ["update", "-qq"], { env: apt, stdio: "inherit" });
    const packages = ["chromium", "fonts-dejavu-core"];
    execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], {
      env: apt,
      stdio: ["ignore", "ignore", "inherit"],
    });
  } catch (error) {
    console.error(`setup:e2e: apt-get could not install Chromium: ${(error as Error).message}`);
  }
}

function run(command: string, args: string[], cwd: string): void {
  execFileSync(command, args, { cwd, env, stdio: ["ignore", "ignore", "inherit"] });
}
