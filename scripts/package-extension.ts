/**
 * Puts the VS Code extension together in dist/extension and packs it into dist/signalbox-<target>-<version>.vsix: the
 * extension, its webview, the service and the command line, each one file, with the SQLite that was built for the
 * target. `--target` names a platform as vsce does (default: this machine's), `--all` packs every one, `--quiet` prints
 * errors only.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createVSIX } from "@vscode/vsce";
import { type BuildOptions, build } from "esbuild";
import { platformHere, sqliteOf } from "./sqlite-binary.ts";

const root = resolve(import.meta.dirname, "..");
const { values: flags } = parseArgs({
  options: {
    target: { type: "string", default: platformHere() },
    all: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  },
});

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
// This machine's last, so that what is left in dist/extension runs here.
const all = [...Object.keys(sqliteOf).filter((target) => target !== platformHere()), platformHere()];
for (const target of flags.all ? all : [flags.target]) await pack(target);

async function pack(target: string): Promise<void> {
  const sqlite = sqliteOf[target];
  if (sqlite === undefined)
    throw new Error(`no SQLite for ${target}; there is ${Object.keys(sqliteOf).join(", ")}`);
  const folder = join(root, "dist/extension");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  copyFiles(folder);
  const program = [join(root, "scripts/build.ts"), "--quiet", "--minify", "--sqlite", sqlite];
  execFileSync(
    process.execPath,
    [...program, "--out", join(folder, "dist"), "service", "lua-worker", "index-worker", "cli", "mcp"],
    {
      stdio: "inherit",
    },
  );
  await buildExtension(folder);
  const packagePath = join(root, "dist", `signalbox-${target}-${version}.vsix`);
  rmSync(packagePath, { force: true });
  await quietly(() =>
    createVSIX({ cwd: folder, target, packagePath, dependencies: false, rewriteRelativeLinks: false }),
  );
  if (!flags.quiet) {
    console.log(`${relative(root, packagePath)}  ${Math.round(statSync(packagePath).size / 1024)} KB`);
  }
}

function copyFiles(folder: string): void {
  for (const name of ["package.json", "package.nls.json", "README.md", "media", "l10n", "walkthrough"]) {
    cpSync(join(root, "extension", name), join(folder, name), { recursive: true });
  }
  const types = ["workflows/types/signalbox.lua", "workflows/types/scripts.lua"];
  // The command line reads the skill that it gives away.
  for (const name of ["LICENSE", "bin/signalbox.cjs", "bin/launch.cjs", "skills", ...types]) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  // Pages that the changelog leads to are not in the package.
  const changelog = readFileSync(join(root, "CHANGELOG.md"), "utf8");
  writeFileSync(join(folder, "CHANGELOG.md"), changelog.replace(/\[([^\]]+)\]\((?!https?:)[^)]+\)/g, "$1"));
  // One number for all that is released together.
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  writeFileSync(join(folder, "package.json"), `${JSON.stringify({ ...manifest, version }, null, 2)}\n`);
}

async function buildExtension(folder: string): Promise<void> {
  const common: BuildOptions = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    legalComments: "none",
    logLevel: "warning",
  };
  await build({
    ...common,
    entryPoints: ["extension/main.ts"],
    outfile: join(folder, "main.cjs"),
    platform: "node",
    target: "node22",
    format: "cjs",
    external: ["vscode"],
    keepNames: true,
    define: { "import.meta.dirname": "__dirname" },
  });
  await build({
    ...common,
    entryPoints: ["webview/main.ts", "webview/main.css"],
    outdir: join(folder, "webview"),
    platform: "browser",
    target: "es2024",
    format: "iife",
  });
  for (const name of ["codicon.css", "codicon.ttf"])
    cpSync(join(root, "node_modules/@vscode/codicons/dist", name), join(folder, "webview", name));
}

/** vsce prints what it does; only what goes wrong is of interest. */
async function quietly(work: () => Promise<void>): Promise<void> {
  const { log, warn } = console;
  const said: unknown[] = [];
  console.log = (...words) => void said.push(...words);
  console.warn = console.log;
  try {
    await work();
  } catch (error) {
    console.error(...said);
    throw error;
  } finally {
    console.log = log;
    console.warn = warn;
  }
}
