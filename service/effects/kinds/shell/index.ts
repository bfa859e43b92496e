import type { Json, JsonObject } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import { type Bubblewrap, bubblewrapArgv } from "../../../lib/bubblewrap.ts";
import { type GroupEnd, runProcessGroup } from "../../../lib/process-group.ts";
import { defineEffectKind, type EffectKind } from "../kind.ts";
import {
  digestOf,
  digestsOfWords,
  isInterpreter,
  isWrapper,
  locate,
  rootOf,
  workingFolder,
} from "./program.ts";
import { type ShellPayload, shellPayload, shellSummary } from "./schema.ts";

export interface ShellSettings {
  readonly enabled: boolean;
  readonly allow: readonly string[];
  /** Absolute. */
  readonly dir: string;
  readonly timeoutMs: number;
  readonly keepBytes: number;
  /** Names of variables that are handed on. */
  readonly env: readonly string[];
  readonly network: boolean;
  readonly runner: string | undefined;
  readonly runnerArgs: readonly string[];
  /** The service's own environment: its PATH is searched, and the named variables are taken from it. */
  readonly serviceEnv: Readonly<Record<string, string | undefined>>;
  /** Asked once, when it is first needed. */
  sandbox(): Promise<Bubblewrap>;
}

/** What an approval of a command binds to. */
interface Bound {
  /** Absolute path of what is started, and what it held. */
  program: string;
  digest: string;
  cwd: string;
  /** Words before the command's own, for a runner. */
  runner: string[];
  /** Files that the words name, for an interpreter. */
  files: Record<string, string>;
  env: string[];
  sandbox: "bubblewrap" | "none";
  /** Why there is none. */
  unprotected: string | null;
  network: boolean;
}

const PATH = "/usr/local/bin:/usr/bin:/bin";
const STDERR_CHARS = 2_000;

/**
 * A command on this machine (R58, R71, R72): allowlist and approval, a bare name, no shell, inside one folder, with a
 * minimal environment, in a sandbox where the machine has one.
 */
export function shellKind(settings: ShellSettings): EffectKind {
  return defineEffectKind<ShellPayload>({
    kind: "shell",
    title: "Run a command",
    aliases: ["run_command", "shell_command"],
    targetField: "command",
    schema: shellPayload,
    familiar: "never",
    target: ({ command }) => command,
    action: () => "run",
    summary: shellSummary,
    redact: (payload) => JSON.parse(JSON.stringify(payload)) as JsonObject,
    risks: ({ command }, bound) => risksOf(command, bound as unknown as Partial<Bound>),
    repeatable: () => false,
    bind: async (payload) => ({ ...(await bind(settings, payload)) }),
    async execute(payload, { bound, signal }) {
      const end = await run(settings, payload, bound as unknown as Bound, signal);
      return resultOf(payload.command, end);
    },
  });
}

/** @throws SignalboxError `forbidden` (denied without asking), `not_found` */
async function bind(settings: ShellSettings, { command, args, cwd }: ShellPayload): Promise<Bound> {
  if (!settings.enabled) throw new SignalboxError("forbidden", "commands are switched off (shell.enabled)");
  if (isWrapper(command))
    throw new SignalboxError("forbidden", `${command} runs whatever its words say, so it can't be allowed`);
  if (!settings.allow.includes(command))
    throw new SignalboxError(
      "forbidden",
      `${command} is not in shell.allow: ${settings.allow.join(", ") || "nothing is"}`,
    );
  const root = rootOf(settings.dir);
  const folder = workingFolder(root, cwd);
  const { runner, runnerArgs, serviceEnv } = settings;
  const program = locate(runner ?? command, serviceEnv.PATH, root);
  const { path, reason } = await settings.sandbox();
  return {
    program,
    digest: await digestOf(program),
    cwd: folder,
    runner: runner === undefined ? [] : [...runnerArgs, command],
    files: isInterpreter(command) ? await digestsOfWords(args, folder) : {},
    env: [...settings.env],
    sandbox: path === null ? "none" : "bubblewrap",
    unprotected: reason,
    network: path === null || settings.network,
  };
}

function risksOf(
  command: string,
  { sandbox, unprotected, network, env = [], cwd }: Partial<Bound>,
): string[] {
  const box =
    sandbox === "bubblewrap"
      ? `It runs in a sandbox: it writes below ${cwd} alone${network ? ", and reaches the network" : ", and reaches no network"}.`
      : `It is NOT in a sandbox (${unprotected}): it can read, write and send whatever you can.`;
  return [
    box,
    ...(isInterpreter(command) ? [`${command} runs what its words say: read them as a program.`] : []),
    ...(env.length > 0 ? [`It is given ${env.join(", ")}.`] : []),
  ];
}

async function run(
  settings: ShellSettings,
  { args, timeout_ms }: ShellPayload,
  bound: Bound,
  signal: AbortSignal,
): Promise<GroupEnd> {
  const root = rootOf(settings.dir);
  const plain = [bound.program, ...bound.runner, ...args];
  const { path } = await settings.sandbox();
  const rules = {
    ...{ readable: [bound.program], writable: [root], tmpDir: null, cwd: bound.cwd },
    network: bound.network,
  };
  const given = bound.env.flatMap((name) => {
    const value = settings.serviceEnv[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return runProcessGroup({
    argv: path === null ? plain : bubblewrapArgv(path, rules, plain),
    cwd: bound.cwd,
    env: { ...Object.fromEntries(given), PATH, HOME: root, LANG: "C.UTF-8" },
    stdin: null,
    timeoutMs: Math.min(timeout_ms ?? settings.timeoutMs, settings.timeoutMs),
    maxStdoutBytes: settings.keepBytes,
    overflow: "truncate",
    signal,
  });
}

/** @throws SignalboxError `action_failed`, `action_timeout`, `action_cancelled` */
function resultOf(command: string, end: GroupEnd): Json {
  const { ended, exitCode, signal, stdout, stdoutTruncated, stderrTail, durationMs, error } = end;
  const words = stderrTail.trim() === "" ? "" : `: ${stderrTail.trim().slice(-STDERR_CHARS)}`;
  if (ended === "not_started")
    throw new SignalboxError("action_failed", `${command} did not start: ${error?.message}`);
  if (ended === "timeout")
    throw new SignalboxError("action_timeout", `${command} took longer than it may and was ended${words}`, {
      hint: "Raise shell.timeout_ms, or give it less to do.",
    });
  if (ended === "cancelled")
    throw new SignalboxError("action_cancelled", `${command} was ended because the service stopped`);
  if (exitCode !== 0)
    throw new SignalboxError("action_failed", `${command} ended with ${exitCode ?? signal}${words}`);
  return {
    exit_code: exitCode,
    stdout: stdout.toString("utf8"),
    stderr: stderrTail,
    truncated: stdoutTruncated,
    duration_ms: Math.round(durationMs),
  };
}
