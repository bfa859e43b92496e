import { existsSync, globSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { parse as parseToml } from "smol-toml";
import * as z from "zod";
import { SignalboxError } from "../../contract/errors.ts";
import { runProcessGroup } from "../../lib/process-group.ts";
import { pathInside } from "../sources/digest.ts";
import { type Entry, readPackage } from "./entrypoint.ts";
import type { Interpreter, Interpreters } from "./interpreters.ts";
import type { Build } from "./program-cache.ts";

/** What has to be installed before a program runs; nothing of it runs code of its own while it is installed. */
export type Dependencies =
  | { readonly kind: "none" }
  | { readonly kind: "python"; readonly from: "requirements.txt" | "pyproject.toml" }
  | { readonly kind: "node"; readonly locked: boolean };

const project = z.object({ project: z.object({ dependencies: z.array(z.string()).optional() }).optional() });
const hasAny = (value: unknown) =>
  typeof value === "object" && value !== null && Object.keys(value).length > 0;

/** @throws SignalboxError `action_source` when the file that lists them can't be read */
export function findDependencies(dir: string, entry: Entry): Dependencies {
  if (entry.interpreter === "python") {
    if (existsSync(join(dir, "requirements.txt"))) return { kind: "python", from: "requirements.txt" };
    if (pythonProject(dir).length > 0) return { kind: "python", from: "pyproject.toml" };
  }
  if (entry.interpreter === "node" && existsSync(join(dir, "package.json"))) {
    const { dependencies, optionalDependencies } = readPackage(dir);
    const locked = ["package-lock.json", "npm-shrinkwrap.json"].some((name) => existsSync(join(dir, name)));
    if (hasAny(dependencies) || hasAny(optionalDependencies)) return { kind: "node", locked };
  }
  return { kind: "none" };
}

/** One sentence for an approval, or null. */
export function showDependencies(dependencies: Dependencies): string | null {
  if (dependencies.kind === "none") return null;
  const from =
    dependencies.kind === "python"
      ? dependencies.from
      : dependencies.locked
        ? "its lock file"
        : "package.json";
  return `Before its first run the packages that ${from} names are installed for it alone, without running their scripts.`;
}

function pythonProject(dir: string): string[] {
  if (!existsSync(join(dir, "pyproject.toml"))) return [];
  try {
    const text = readFileSync(pathInside(dir, "pyproject.toml", "file"), "utf8");
    return project.parse(parseToml(text)).project?.dependencies ?? [];
  } catch (error) {
    throw new SignalboxError("action_source", "pyproject.toml can't be read", { cause: error });
  }
}

interface Install extends Build {
  readonly env: NodeJS.ProcessEnv;
  readonly interpreters: Interpreters;
}

/** @throws SignalboxError `action_setup_failed`, `executor_missing`, `action_cancelled` */
export async function installDependencies(dependencies: Dependencies, install: Install): Promise<void> {
  if (dependencies.kind === "python") await installPython(dependencies.from, install);
  if (dependencies.kind === "node") await installNode(dependencies.locked, install);
}

/** Where a Python environment has its programs. */
export function venvPrograms(home: string): string {
  return join(home, "venv", process.platform === "win32" ? "Scripts" : "bin");
}

async function installPython(from: "requirements.txt" | "pyproject.toml", install: Install): Promise<void> {
  const python = await install.interpreters.python();
  const { files, home, progress } = install;
  const wanted =
    from === "requirements.txt" ? readRequirements(files, from) : pythonProject(files).map(checkRequirement);
  progress("building the Python environment");
  const venv = ["-m", "venv", ...(python.canInstallElsewhere ? ["--without-pip"] : []), join(home, "venv")];
  await run(install, python, [python.path, ...venv], "python3 -m venv");
  if (wanted.length === 0) return;
  progress(`installing what ${from} names`);
  const wheels = ["wheels", "wheelhouse", "vendor"].find(
    (name) => globSync(`${name}/*.whl`, { cwd: files }).length > 0,
  );
  const inside = join(venvPrograms(home), "python");
  const pip = python.canInstallElsewhere
    ? [python.path, "-m", "pip", "--python", inside]
    : [inside, "-m", "pip"];
  const words = [
    ...pip,
    ...["install", "--no-input", "--disable-pip-version-check"],
    // A source package would run its own code here, outside of any sandbox.
    ...["--only-binary", ":all:"],
    ...(wheels === undefined ? [] : ["--no-index", "--find-links", join(files, wheels)]),
    ...(from === "requirements.txt" ? ["--requirement", join(files, from)] : ["--", ...wanted]),
  ];
  await run(install, python, words, "pip");
}

const OPTIONS_ALLOWED =
  /^(-i|--(index-url|extra-index-url|require-hashes|prefer-binary|pre|hash|trusted-host))\b/;

/** The packages that a requirements file names, those of files it refers to among them. */
function readRequirements(dir: string, file: string, depth = 0): string[] {
  if (depth > 5) throw unfit(`${file}: too many files that name each other`);
  const text = readFileSync(pathInside(dir, file, "file"), "utf8").replace(/\\\r?\n/g, " ");
  return text.split(/\r?\n/).flatMap((line) => {
    const words = line.replace(/(^|\s)#.*$/, "").trim();
    const other = /^(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)$/.exec(words)?.[1];
    if (other !== undefined) return readRequirements(dir, join(dirname(file), other), depth + 1);
    if (words === "" || OPTIONS_ALLOWED.test(words)) return [];
    return [checkRequirement(words)];
  });
}

/** A name with versions and markers, or a wheel among the files: nothing that pip would have to build. */
function checkRequirement(words: string): string {
  const isNamed =
    /^[A-Za-z0-9][\w.-]*\s*(\[[^\]]*\])?\s*([(<>=!~;].*)?$/.test(words) && !/\s--(?!hash=)/.test(words);
  const isWheel = /^\.?\/?[\w./-]+\.whl(\s+--hash=\S+)*$/.test(words) && !words.split("/").includes("..");
  if (isNamed || isWheel) return words;
  throw unfit(`${JSON.stringify(words)} is neither a package by its name nor a wheel`);
}

function unfit(message: string): SignalboxError {
  const hint =
    'Packages are installed as wheels, so that none runs code while it is installed: name it with a version, lay a wheel into `wheels/`, or choose `executor = "docker"`.';
  return new SignalboxError("action_setup_failed", message, { hint });
}

async function installNode(locked: boolean, install: Install): Promise<void> {
  const npm = install.interpreters.npm();
  const node = install.interpreters.node();
  install.progress(`installing what ${locked ? "the lock file" : "package.json"} names`);
  const words = [
    ...[npm, locked ? "ci" : "install", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"],
    // A .npmrc among the files could name another program as git, which npm would start.
    ...[
      `--git=${join(install.home, "no-git")}`,
      `--cache=${join(install.home, "npm-cache")}`,
      "--no-update-notifier",
    ],
    ...(locked ? [] : ["--no-package-lock"]),
  ];
  await run(install, node, words, "npm");
  await rm(join(install.home, "npm-cache"), { recursive: true, force: true });
}

const INSTALL_MS = 600_000;

/** What package indexes, proxies and certificates are found by. Nothing else of the environment is an installer's. */
const INSTALLER_VARIABLES =
  /^(HOME|USERPROFILE|APPDATA|SYSTEMROOT|LANG|(PIP|NPM_CONFIG)_.*|(HTTPS?|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS)$/i;

async function run(install: Install, interpreter: Interpreter, argv: string[], name: string): Promise<void> {
  const env = Object.entries(install.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && INSTALLER_VARIABLES.test(entry[0]),
  );
  const end = await runProcessGroup({
    argv,
    cwd: install.files,
    env: {
      ...Object.fromEntries(env),
      PATH: [dirname(interpreter.path), install.env.PATH ?? ""].join(delimiter),
    },
    ...{ stdin: null, timeoutMs: INSTALL_MS, signal: install.signal },
    ...{ maxStdoutBytes: 1_000_000, overflow: "truncate", stderrTailBytes: 16_384 },
  });
  if (end.exitCode === 0) return;
  if (end.ended === "cancelled")
    throw new SignalboxError("action_cancelled", "installing the dependencies was cancelled");
  throw new SignalboxError(
    "action_setup_failed",
    `${name}: ${whyNot(end.stderrTail || end.stdout.toString()) || end.ended}`,
    {
      details: { stderr: end.stderrTail },
      ...(name === "pip"
        ? {
            hint: 'A package needs a wheel for this machine; `wheels/` may bring it, or choose `executor = "docker"`.',
          }
        : {}),
    },
  );
}

/** Installers say the cause first and what follows from it later. */
function whyNot(said: string): string {
  const lines = said
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.find((line) => /^(npm (error|ERR!) (?!code)|ERROR:|Error:)/.test(line)) ?? lines.at(-1) ?? "";
}
