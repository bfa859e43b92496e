import { SignalboxError } from "../../contract/errors.ts";
import { type GroupEnd, runProcessGroup } from "../../lib/process-group.ts";
import { MAX_STDOUT_BYTES, readAnswer } from "./answer.ts";
import type { ActionOutcome, ActionProgram, ActionRequest, SandboxId } from "./executor.ts";
import { type RunDirectories, type RunDirectory, takeFile } from "./run-directory.ts";

/** The command that an executor has made of a program. */
export interface Started {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** The name by which the program knows the run's `tmp`, where it has another one. */
  readonly seesTmpAs: string | null;
  readonly sandbox: SandboxId;
  readonly timeoutMs: number;
  /** Looks after what the command left elsewhere. Called when it has ended, however that was. */
  readonly onEnd?: (end: GroupEnd) => Promise<void>;
}

/**
 * One run in a private directory: params in, answer out, the directory gone.
 * @throws SignalboxError as `Executor.run` says, but for those of `prepare`
 */
export async function runProgram(
  runs: RunDirectories,
  program: ActionProgram,
  request: ActionRequest,
  start: (directory: RunDirectory) => Started | Promise<Started>,
): Promise<ActionOutcome> {
  const directory = await runs.open();
  try {
    const { argv, cwd, env, seesTmpAs, sandbox, timeoutMs, onEnd } = await start(directory);
    const end = await runProcessGroup({
      ...{ argv, cwd, env, timeoutMs, signal: request.signal, onStderr: request.log },
      stdin: request.stdin === undefined ? `${JSON.stringify(request.params)}\n` : request.stdin,
      ...{ maxStdoutBytes: MAX_STDOUT_BYTES, overflow: "end" },
    });
    await onEnd?.(end);
    const result = await readAnswer(end, {
      ...{ output: request.output ?? "json", timeoutMs: program.timeoutMs },
      takeFile: (path) => takeFile(directory, path, seesTmpAs),
    });
    return { result, exitCode: 0, stderrTail: end.stderrTail, durationMs: end.durationMs, sandbox };
  } finally {
    await directory.close();
  }
}

/** @throws SignalboxError `action_changed` when this machine offers another sandbox than was approved */
export function requireApproved(approved: SandboxId | undefined, found: SandboxId): void {
  if (approved === undefined || approved === found) return;
  const name = (id: SandboxId) => (id === "none" ? "without a sandbox" : `in a sandbox (${id})`);
  const message = `it was approved to run ${name(approved)}, and would run ${name(found)}`;
  throw new SignalboxError("action_changed", message);
}

/** Without the names that are not set. */
export function definedOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
