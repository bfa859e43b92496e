import { SignalboxError } from "../../contract/errors.ts";
import { findProgram } from "../../lib/bubblewrap.ts";
import type { ActionProgram, Executor } from "./executor.ts";
import { showClaims } from "./powers.ts";
import type { ProgramCache } from "./program-cache.ts";
import type { RunDirectories } from "./run-directory.ts";
import { definedOf, requireApproved, runProgram } from "./run-program.ts";

interface EnvyrOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cache: ProgramCache;
  readonly runs: RunDirectories;
}

/** envyr ends the program at the deadline itself; this is for the case that it doesn't. */
const MARGIN_MS = 5_000;

/**
 * Hands programs to the `envyr` program on PATH, which builds and runs them in a container (K15). It gets the copy of
 * the files that were approved, never the address they came from.
 */
export function createEnvyrExecutor({ env, cache, runs }: EnvyrOptions): Executor {
  const find = () => findProgram("envyr", env.PATH);
  const prepare = (program: ActionProgram, waiting: Parameters<Executor["prepare"]>[1]) =>
    cache.get(program, "envyr", async () => {}, waiting);

  return {
    id: "envyr",
    available: async () =>
      find() === null ? { ok: false, reason: "envyr is not on PATH" } : { ok: true, reason: null },
    async prepare(program, waiting) {
      await prepare(program, waiting);
    },
    argv: (program) => envyrArgv("envyr", program, program.source, []),
    async describe(program) {
      return {
        argv: this.argv(program),
        sandbox: "container",
        packages: [],
        notes: ["envyr runs it in a container of its making.", ...showClaims(program)],
      };
    },
    async run(program, request) {
      requireApproved(request.sandbox, "container");
      const path = find();
      if (path === null) throw new SignalboxError("executor_missing", "envyr is not on PATH");
      const progress = request.progress ?? (() => {});
      const { files } = await prepare(program, { signal: request.signal, progress });
      return runProgram(runs, program, request, (directory) => ({
        argv: envyrArgv(path, program, files, request.args ?? []),
        cwd: directory.path,
        env: { ...definedOf(env), IDEMPOTENCY_KEY: request.idempotencyKey },
        ...{ seesTmpAs: null, sandbox: "container", timeoutMs: program.timeoutMs + MARGIN_MS },
      }));
    },
  };
}

function envyrArgv(envyr: string, program: ActionProgram, source: string, args: readonly string[]): string[] {
  return [
    ...[envyr, "run", "--executor", "docker", "--autogen"],
    ...["--timeout", String(Math.ceil(program.timeoutMs / 1_000))],
    ...program.env.flatMap((name) => ["--env-map", name]),
    ...(program.entrypoint === null ? [] : ["--entrypoint", program.entrypoint]),
    ...[source, ...(args.length === 0 ? [] : ["--", ...args])],
  ];
}
