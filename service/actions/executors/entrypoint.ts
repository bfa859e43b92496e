import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { join, relative } from "node:path";
import { SignalboxError } from "../../contract/errors.ts";
import { pathInside } from "../sources/digest.ts";
import type { ActionLanguage, ActionProgram } from "./executor.ts";

/** The file that is started, and by what. */
export interface Entry {
  /** Relative to the program's folder, with forward slashes. */
  readonly file: string;
  /** Null: the file itself can be executed. */
  readonly interpreter: "python" | "node" | "sh" | null;
}

const PYTHON_FILES = ["main.py", "__main__.py", "app.py", "run.py"];
const NODE_FILES = ["index.js", "index.mjs", "main.js", "main.mjs", "index.ts", "main.ts"];
const OTHER_FILES = ["main", "run", "main.sh", "run.sh"];

/**
 * The `entrypoint` of an action, or the file that goes by a usual name: of Python where requirements.txt or
 * pyproject.toml lie, of Node where package.json does (its `main` first), else any; else the only script there is.
 * @throws SignalboxError `action_source` when there is none, more than one, or it leads outside
 */
export function findEntry(program: Pick<ActionProgram, "dir" | "entrypoint" | "language">): Entry {
  const { dir, entrypoint, language = null } = program;
  const file = entrypoint ?? guess(dir);
  const path = pathInside(dir, file, "entrypoint");
  if (!statSync(path).isFile()) throw unfit(`entrypoint ${file} is not a file`);
  const interpreter = language === null ? interpreterOf(path) : interpreterFor(language, path);
  if (interpreter === undefined)
    throw unfit(`entrypoint ${file} can't be started: it is neither Python, Node nor shell, nor executable`);
  // Links inside are kept as written: argv[0] and imports go by the name the author gave.
  return { file: relative(dir, join(dir, file)).replaceAll("\\", "/"), interpreter };
}

/** As a person would type it in the program's folder. */
export function showEntry({ file, interpreter }: Entry): string[] {
  if (interpreter === null) return [`./${file}`];
  return [interpreter === "python" ? "python3" : interpreter, file];
}

function unfit(message: string): SignalboxError {
  const hint = "Name a .py, .js, .mjs or .sh file, or one that can be executed, as `entrypoint`.";
  return new SignalboxError("action_source", message, { hint });
}

function guess(dir: string): string {
  const names = new Set(readdirSync(dir));
  const isPython = names.has("requirements.txt") || names.has("pyproject.toml");
  const isNode = names.has("package.json");
  const named = [
    ...(isPython ? PYTHON_FILES : []),
    ...(isNode ? [mainOf(dir), ...NODE_FILES] : []),
    ...[...PYTHON_FILES, ...NODE_FILES, ...OTHER_FILES],
  ].find((name) => name !== null && (names.has(name) || name.includes("/")));
  if (named !== null && named !== undefined) return named;
  const scripts = [...names].filter((name) => isScript(join(dir, name))).sort();
  if (scripts.length === 1 && scripts[0] !== undefined) return scripts[0];
  const found = scripts.length === 0 ? "there is no program in it" : `it could be ${scripts.join(", ")}`;
  throw unfit(`no \`entrypoint\` is named, and ${found}`);
}

function isScript(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && interpreterOf(path) !== undefined;
}

function mainOf(dir: string): string | null {
  const { main } = readPackage(dir) as { main?: unknown };
  return typeof main === "string" && main !== "" ? main.replace(/^\.\//, "") : null;
}

/** What package.json says. @throws SignalboxError `action_source` when it isn't an object of JSON */
export function readPackage(dir: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(pathInside(dir, "package.json", "file"), "utf8"));
    if (typeof parsed === "object" && parsed !== null) return parsed as Record<string, unknown>;
  } catch (error) {
    throw new SignalboxError("action_source", "package.json can't be read", { cause: error });
  }
  throw new SignalboxError("action_source", "package.json is not an object");
}

/** Undefined: it can't be started. The first line decides where there is one, then the name. */
function interpreterOf(path: string): Entry["interpreter"] | undefined {
  const first = firstLine(path);
  if (/^#!.*\bpython[\d.]*\s*$/.test(first)) return "python";
  if (/^#!.*\bnode\s*$/.test(first)) return "node";
  if (first.startsWith("#!") && isExecutable(path)) return null;
  if (/\.py$/.test(path)) return "python";
  if (/\.[cm]?[jt]s$/.test(path)) return "node";
  if (/\.sh$/.test(path) || /^#!\/bin\/sh\s*$/.test(first)) return "sh";
  return isExecutable(path) ? null : undefined;
}

function interpreterFor(language: ActionLanguage, path: string): Entry["interpreter"] | undefined {
  if (language === "python" || language === "node") return language;
  if (isExecutable(path)) return null;
  return language === "shell" ? "sh" : undefined;
}

function firstLine(path: string): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(256);
    const length = readSync(file, bytes, 0, bytes.length, 0);
    return bytes.toString("latin1", 0, length).split(/\r?\n/)[0] ?? "";
  } finally {
    closeSync(file);
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // No bit, no start; root is told so too.
    return false;
  }
}
