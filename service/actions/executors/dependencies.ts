import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { parse as parseToml } from "smol-toml";
import * as z from "zod";
import { SignalboxError } from "../../contract/errors.ts";
import { runProcessGroup } from "../../lib/process-group.ts";
import { pathInside } from "../sources/digest.ts";
import { type Entry, readPackage } from "./entrypoint.ts";
import type { ActionProgram } from "./executor.ts";
import type { Interpreter, Interpreters } from "./interpreters.ts";
import type { Build } from "./program-cache.ts";

/**
 * What has to be installed before a program runs; nothing of it runs code of its own while it is installed. `from` is
 * the file that names packages, `more` those that the action file names besides.
 */
export type Dependencies =
  | { readonly kind: "none"; readonly more: readonly [] }
  | { readonly kind: "python"; readonly from: PythonList | null; readonly more: readonly string[] }
  | { readonly kind: "node"; readonly from: NodeList | null; readonly more: readonly string[] }
  /** Programs of the system, which only a container can be given. */
  | { readonly kind: "system"; readonly more: readonly string[] };

type PythonList = "requirements.txt" | "pyproject.toml";
type NodeList = "the lock file" | "package.json";

const project = z.object({ project: z.object({ dependencies: z.array(z.string()).optional() }).optional() });
const hasAny = (value: unknown) =>
  typeof value === "object" && value !== null && Object.keys(value).length > 0;

/** @throws SignalboxError `action_source` when a list can't be read, `action_setup_failed` for words that are no package */
export function findDependencies(
  { dir, deps = [] }: Pick<ActionProgram, "dir" | "deps">,
  entry: Entry,
): Dependencies {
  const none = { kind: "none", more: [] } as const;
  switch (entry.interpreter) {
    case "python": {
      const from = pythonList(dir);
      const more = deps.map(checkRequirement);
      return from === null && more.length === 0 ? none : { kind: "python", from, more };
    }
    case "node": {
      const from = nodeList(dir);
      const more = deps.map((words) => checkPackage(words, /^(@[\w.-]+\/)?\w[\w.-]*(@[\w.^~<>=|* -]+)?$/));
      return from === null && more.length === 0 ? none : { kind: "node", from, more };
    }
    default: {
      const more = deps.map((words) => checkPackage(words, /^[A-Za-z0-9][\w.+-]*$/));
      return more.length === 0 ? none : { kind: "system", more };
    }
  }
}

function pythonList(dir: string): PythonList | null {
  if (existsSync(join(dir, "requirements.txt"))) return "requirements.txt";
  return pythonProject(dir).length > 0 ? "pyproject.toml" : null;
}

function nodeList(dir: string): NodeList | null {
  if (!existsSync(join(dir, "package.json"))) return null;
  const { dependencies, optionalDependencies } = readPackage(dir);
  if (!hasAny(dependencies) && !hasAny(optionalDependencies)) return null;
  const isLocked = ["package-lock.json", "npm-shrinkwrap.json"].some((name) => existsSync(join(dir, name)));
  return isLocked ? "the lock file" : "package.json";
}

/** Sentences for an approval. */
export function showDependencies(dependencies: Dependencies): string[] {
  const names = dependencies.more.join(", ");
  switch (dependencies.kind) {
    case "none":
      return [];
    case "system":
      return [`It needs ${names}, which this machine has to have.`];
    default: {
      const lists = [
        ...(dependencies.from === null ? [] : [`what ${dependencies.from} names`]),
        ...(names === "" ? [] : [names]),
      ];
      return [
        `Before its first run ${lists.join(" and ")} is installed for it alone, without running any of it.`,
      ];
    }
  }
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
  if (dependencies.kind === "python") await installPython(dependencies, install);
  if (dependencies.kind === "node") await installNode(dependencies, install);
}

/** Where a Python environment has its programs. */
export function venvPrograms(home: string): string {
  return join(home, "venv", process.platform === "win32" ? "Scripts" : "bin");
}

function hasWheels(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(".whl"));
}

async function installPython(
  { from, more }: Extract<Dependencies, { kind: "python" }>,
  install: Install,
): Promise<void> {
  const python = await install.interpreters.python();
  const { files, home, progress } = install;
  const listed =
    from === "requirements.txt" ? readRequirements(files, from) : pythonProject(files).map(checkRequirement);
  const named = [...(from === "pyproject.toml" ? listed : []), ...more];
  progress("building the Python environment");
  const venv = ["-m", "venv", ...(python.canInstallElsewhere ? ["--without-pip"] : []), join(home, "venv")];
  await run(install, python, [python.path, ...venv], "python3 -m venv");
  if (listed.length + more.length === 0) return;
  progress("installing its packages");
  const wheels = ["wheels", "wheelhouse", "vendor"].find((name) => hasWheels(join(files, name)));
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
    ...(from === "requirements.txt" ? ["--requirement", join(files, from)] : []),
    ...["--", ...named],
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

function checkPackage(words: string, pattern: RegExp): string {
  if (pattern.test(words)) return words;
  throw unfit(`${JSON.stringify(words)} is no package by its name`);
}

function unfit(message: string): SignalboxError {
  const hint =
    'Packages are installed as wheels, so that none runs code while it is installed: name it with a version, lay a wheel into `wheels/`, or choose `executor = "docker"`.';
  return new SignalboxError("action_setup_failed", message, { hint });
}

async function installNode(
  { from, more }: Extract<Dependencies, { kind: "node" }>,
  install: Install,
): Promise<void> {
  const npm = install.interpreters.npm();
  const node = install.interpreters.node();
  const words = [
    ...["--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier"],
    // A .npmrc among the files could name another program as git, which npm would start.
    ...[`--git=${join(install.home, "no-git")}`, `--cache=${join(install.home, "npm-cache")}`],
    // Otherwise it looks further up for a project to install into.
    `--prefix=${install.files}`,
  ];
  install.progress("installing its packages");
  if (from === "the lock file") await run(install, node, [npm, "ci", ...words], "npm");
  if (from === "package.json" || more.length > 0)
    await run(
      install,
      node,
      [npm, "install", ...words, "--no-save", "--no-package-lock", "--", ...more],
      "npm",
    );
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
      ...(hints[name] === undefined ? {} : { hint: hints[name] }),
    },
  );
}

const hints: Readonly<Record<string, string>> = {
  pip: 'A package needs a wheel for this machine; `wheels/` may bring it, or choose `executor = "docker"`.',
  "python3 -m venv": "Install python3-venv.",
};

/** Installers say the cause first and what follows from it later. */
function whyNot(said: string): string {
  const lines = said
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.find((line) => /^(npm (error|ERR!) (?!code)|ERROR:|Error:)/.test(line)) ?? lines.at(-1) ?? "";
}
