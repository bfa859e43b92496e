import { delimiter, dirname, join } from "node:path";
import { type Bubblewrap, bubblewrapArgv } from "../../lib/bubblewrap.ts";
import { canonicalJson, sha256 } from "../../lib/canonical.ts";
import { findDependencies, installDependencies, showDependencies, venvPrograms } from "./dependencies.ts";
import { type Entry, findEntry, showEntry } from "./entrypoint.ts";
import type { ActionProgram, ActionRequest, Executor } from "./executor.ts";
import { createInterpreters, type Interpreter, type Interpreters } from "./interpreters.ts";
import { namedVariables, readFilePowers, requireFiles, showClaims, showPowers } from "./powers.ts";
import type { PreparedProgram, ProgramCache } from "./program-cache.ts";
import type { RunDirectories, RunDirectory } from "./run-directory.ts";
import { requireApproved, runProgram, type Started } from "./run-program.ts";

interface NativeOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cache: ProgramCache;
  readonly runs: RunDirectories;
  /** Whether there is a sandbox. Asked once. */
  readonly probe: (env: NodeJS.ProcessEnv) => Promise<Bubblewrap>;
}

interface Ready extends PreparedProgram {
  readonly entry: Entry;
  readonly interpreter: Interpreter | null;
  readonly hasVenv: boolean;
}

/**
 * Runs programs on this machine, each as a process group of its own with an environment of its own, in bubblewrap
 * where that works. Python gets a virtual environment, Node its modules, once per digest.
 */
export function createNativeExecutor(options: NativeOptions): Executor {
  const interpreters = createInterpreters(options.env);
  let probed: Promise<Bubblewrap> | null = null;
  const sandbox = () => {
    probed ??= options.probe(options.env);
    return probed;
  };
  const prepare = (program: ActionProgram, waiting: Parameters<Executor["prepare"]>[1]) =>
    makeReady(program, waiting, { ...options, interpreters });

  return {
    id: "native",
    available: async () => ({ ok: true, reason: null }),
    async prepare(program, waiting) {
      await prepare(program, waiting);
    },
    argv: (program) => showEntry(findEntry(program)),
    async describe(program) {
      const { path, reason } = await sandbox();
      const entry = findEntry(program);
      const dependencies = findDependencies(program, entry);
      return {
        argv: showEntry(entry),
        sandbox: path === null ? "none" : "bubblewrap",
        packages: dependencies.more,
        notes: [
          ...(path === null
            ? [`It runs without a sandbox and may do whatever you may: ${reason}.`, ...showClaims(program)]
            : [SHUT_IN, ...showPowers(program)]),
          ...showDependencies(dependencies),
        ],
      };
    },
    async run(program, request) {
      const bwrap = await sandbox();
      requireApproved(request.sandbox, bwrap.path === null ? "none" : "bubblewrap");
      const progress = request.progress ?? (() => {});
      const ready = await prepare(program, { signal: request.signal, progress });
      return runProgram(options.runs, program, request, (directory) => {
        const execution = { program, request, ready, directory, bwrap: bwrap.path, env: options.env };
        return startOf(execution);
      });
    },
  };
}

const SHUT_IN =
  "It runs in a sandbox (bubblewrap): it sees the system's programs and its own files, and writes only to a private folder that is deleted afterwards.";

async function makeReady(
  program: ActionProgram,
  waiting: Parameters<Executor["prepare"]>[1],
  { cache, env, interpreters }: NativeOptions & { interpreters: Interpreters },
): Promise<Ready> {
  const entry = findEntry(program);
  const dependencies = findDependencies(program, entry);
  const interpreter = await interpreterFor(entry, interpreters);
  const isInstalled = dependencies.kind === "python" || dependencies.kind === "node";
  const packages = sha256(canonicalJson([...dependencies.more])).slice(0, 12);
  const kind = isInstalled ? `${interpreter?.kind}-${packages}` : "files";
  const build: Parameters<ProgramCache["get"]>[2] = (given) =>
    installDependencies(dependencies, { ...given, env, interpreters });
  const made = await cache.get(program, kind, build, waiting);
  return { ...made, entry, interpreter, hasVenv: dependencies.kind === "python" };
}

async function interpreterFor(entry: Entry, interpreters: Interpreters): Promise<Interpreter | null> {
  if (entry.interpreter === "python") return interpreters.python();
  return entry.interpreter === "node" ? interpreters.node() : null;
}

interface Execution {
  readonly program: ActionProgram;
  readonly request: ActionRequest;
  readonly ready: Ready;
  readonly directory: RunDirectory;
  readonly bwrap: string | null;
  readonly env: NodeJS.ProcessEnv;
}

function startOf(execution: Execution): Started {
  const { program, request, ready, bwrap } = execution;
  const argv = [...commandOf(ready), ...(request.args ?? [])];
  return {
    argv: bwrap === null ? argv : bubblewrapArgv(bwrap, rulesOf(execution), argv),
    cwd: ready.files,
    env: environmentOf(execution),
    seesTmpAs: bwrap === null ? null : "/tmp",
    sandbox: bwrap === null ? "none" : "bubblewrap",
    timeoutMs: program.timeoutMs,
  };
}

function commandOf({ entry, files, home, interpreter, hasVenv }: Ready): string[] {
  const file = join(files, entry.file);
  if (entry.interpreter === null) return [file];
  if (entry.interpreter === "sh") return ["/bin/sh", file];
  return [hasVenv ? join(venvPrograms(home), "python") : (interpreter?.path ?? ""), file];
}

function rulesOf({ program, ready, directory }: Execution): Parameters<typeof bubblewrapArgv>[1] {
  const powers = readFilePowers(program.powers);
  requireFiles(powers);
  const named = (writable: boolean) =>
    powers.filter((power) => power.writable === writable).map(({ path }) => path);
  return {
    readable: [ready.home, ...(ready.interpreter?.readable ?? []), ...named(false)],
    writable: [directory.path, ...named(true)],
    tmpDir: directory.tmp,
    cwd: ready.files,
    network: program.powers.hosts.length > 0,
  };
}

function environmentOf({
  program,
  request,
  ready,
  directory,
  bwrap,
  env,
}: Execution): Record<string, string> {
  const folders = [
    ...(ready.hasVenv ? [venvPrograms(ready.home)] : []),
    ...(ready.entry.interpreter === "node" ? [join(ready.files, "node_modules", ".bin")] : []),
    ...(ready.interpreter === null ? [] : [dirname(ready.interpreter.path)]),
    env.PATH ?? "/usr/local/bin:/usr/bin:/bin",
  ];
  return {
    PATH: folders.join(delimiter),
    HOME: directory.path,
    TMPDIR: bwrap === null ? directory.tmp : "/tmp",
    LANG: env.LANG ?? "C.UTF-8",
    // Its files are read-only in the sandbox, and must stay what was approved without one.
    PYTHONDONTWRITEBYTECODE: "1",
    ...(process.platform === "win32" ? windowsNeeds(env, directory) : {}),
    ...namedVariables(program.env, env),
    IDEMPOTENCY_KEY: request.idempotencyKey,
  };
}

/** Without these no program starts there. */
function windowsNeeds(env: NodeJS.ProcessEnv, { path, tmp }: RunDirectory): Record<string, string> {
  return {
    ...namedVariables(["SystemRoot", "ComSpec", "PATHEXT"], env),
    USERPROFILE: path,
    TEMP: tmp,
    TMP: tmp,
  };
}
