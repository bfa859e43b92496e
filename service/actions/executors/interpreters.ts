import { realpathSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import * as z from "zod";
import { SignalboxError } from "../../contract/errors.ts";
import { findProgram } from "../../lib/bubblewrap.ts";
import { sha256 } from "../../lib/canonical.ts";
import { runProcessGroup } from "../../lib/process-group.ts";
import { definedOf } from "./run-program.ts";

/** A program that runs other people's files. */
export interface Interpreter {
  readonly path: string;
  /** What a sandbox has to show for it to start. */
  readonly readable: readonly string[];
  /** Changes with its version and place, so that what was installed for another one is not used. */
  readonly kind: string;
}

export interface Python extends Interpreter {
  /** Its own pip can fill another environment, which then needs none: five times as fast. */
  readonly canInstallElsewhere: boolean;
}

export interface Interpreters {
  /** @throws SignalboxError `executor_missing` */
  python(): Promise<Python>;
  node(): Interpreter;
  /** Absolute path of npm. @throws SignalboxError `executor_missing` */
  npm(): string;
}

const ASK_PYTHON = `
import json, sys
from importlib import metadata
try:
    pip = metadata.version("pip")
except metadata.PackageNotFoundError:
    pip = None
path = getattr(sys, "_base_executable", None) or sys.executable
print(json.dumps({"path": path, "prefix": sys.base_prefix, "version": sys.version, "pip": pip}))
`;
const pythonAnswer = z.object({
  path: z.string().min(1),
  prefix: z.string().min(1),
  version: z.string(),
  pip: z.string().nullable(),
});
const ASK_MS = 20_000;

/** Those on PATH, each looked for when it is needed first. Node is the one that runs us. */
export function createInterpreters(env: NodeJS.ProcessEnv): Interpreters {
  let python: Promise<Python> | null = null;
  return {
    python() {
      python ??= findPython(env).catch((error: unknown) => {
        // It may be installed meanwhile.
        python = null;
        throw error;
      });
      return python;
    },
    node: () => ({
      path: process.execPath,
      readable: [process.execPath],
      kind: `node-${process.versions.modules}-${process.arch}`,
    }),
    npm() {
      const path = findProgram("npm", [env.PATH, dirname(process.execPath)].join(delimiter));
      if (path !== null) return path;
      throw missing("npm is not installed", 'Install npm, or choose `executor = "docker"`.');
    },
  };
}

function missing(message: string, hint: string): SignalboxError {
  return new SignalboxError("executor_missing", message, { hint });
}

async function findPython(env: NodeJS.ProcessEnv): Promise<Python> {
  const found = findProgram("python3", env.PATH) ?? findProgram("python", env.PATH);
  if (found === null) throw missing("Python is not installed", "Install python3 and python3-venv.");
  // What is on PATH may be a script that chooses a version; in the sandbox only the real one starts.
  const end = await runProcessGroup({
    argv: [found, "-I", "-c", ASK_PYTHON],
    env: definedOf(env),
    ...{ cwd: dirname(found), stdin: null, timeoutMs: ASK_MS, maxStdoutBytes: 10_000, overflow: "truncate" },
  });
  const answer = pythonAnswer.safeParse(readLastLine(end.stdout.toString()));
  if (!answer.success)
    throw missing(
      `${found} does not work: ${end.stderrTail.trim() || end.ended}`,
      "Install python3 and python3-venv.",
    );
  const { path, prefix, version, pip } = answer.data;
  const readable = [...new Set([path, realpathSync(path), prefix, realpathSync(prefix)])];
  return {
    path,
    readable: readable.filter((one) => one !== "/"),
    kind: `python-${sha256(`${path}\n${version}`).slice(0, 12)}`,
    // `pip --python` came with 22.3.
    canInstallElsewhere: Number.parseFloat(pip ?? "0") >= 22.3,
  };
}

/** A person's own start-up files may print something first. */
function readLastLine(text: string): unknown {
  try {
    return JSON.parse(text.trim().split("\n").at(-1) ?? "");
  } catch {
    // Not an answer; the caller says so.
    return null;
  }
}
