import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { homedir } from "node:os";
import { dirname } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { SignalboxError } from "../contract/errors.ts";
import type { Info } from "../contract/system.ts";
import { checkProtocol, type FindOptions, type StartOptions, serviceEntry } from "./discover.ts";
import { isNotListening, type Transport } from "./transport.ts";

const RETRY_MS = 15;
const START_TIMEOUT_MS = 10_000;
/** The service's exit code when another one holds the lock (EX_TEMPFAIL). */
const ALREADY_RUNNING = 75;

/**
 * For the C library, which reads them when a process begins: it gives what is free at the end of its heap back to the
 * system, and keeps two heaps instead of one a thread. An idle service is 6 MB smaller so; other platforms ignore it.
 */
export const allocation = { MALLOC_ARENA_MAX: "2", MALLOC_TRIM_THRESHOLD_: "131072" } as const;

interface Started {
  readonly child: ChildProcess;
  /** Set when it ended by itself. */
  ended: { code: number | null; signal: string | null; error?: Error } | null;
  readonly logFile: string;
  /** Where its own lines begin. */
  readonly logStart: number;
}

/** Starts the service in the background and waits until it answers. */
export async function startService(
  transport: Transport,
  options: FindOptions & { start: StartOptions },
): Promise<Info> {
  const started = spawnService(options);
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await checkProtocol(transport, options.signal);
    } catch (error) {
      const isComing = isNotListening(error) || SignalboxError.is(error, "unavailable");
      // The first service writes its token a moment before or after it listens.
      if (!isComing && !SignalboxError.is(error, "unauthorized")) throw error;
      if (hasFailed(started) || Date.now() > deadline) throw notStarted(started, error);
    }
    options.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function spawnService({ paths, env = process.env, start }: FindOptions & { start: StartOptions }): Started {
  mkdirSync(dirname(paths.logFile), { recursive: true, mode: 0o700 });
  const log = openSync(paths.logFile, "a", 0o600);
  const logStart = fstatSync(log).size;
  try {
    const child = spawn(
      start.node ?? process.execPath,
      [start.entry ?? serviceEntry(), "--background", ...(start.args ?? [])],
      {
        detached: true,
        windowsHide: true,
        stdio: ["ignore", log, log],
        // One service serves all folders: it must neither keep one in use nor take settings from where it was first needed.
        cwd: homedir(),
        env: { ...compiledCode(), ...allocation, ...env },
      },
    );
    const started: Started = { child, ended: null, logFile: paths.logFile, logStart };
    child.on("error", (error) => {
      started.ended = { code: null, signal: null, error };
    });
    child.on("exit", (code, signal) => {
      started.ended = { code, signal };
    });
    child.unref();
    return started;
  } finally {
    closeSync(log);
  }
}

/** Where this program keeps its compiled code, if it does: the service starts a fifth sooner with it. */
function compiledCode(): { NODE_COMPILE_CACHE?: string } {
  const folder = getCompileCacheDir();
  // That is the folder of this version of Node, in the one that was asked for.
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}

function hasFailed({ ended }: Started): boolean {
  return ended !== null && ended.code !== ALREADY_RUNNING;
}

function notStarted(started: Started, cause: unknown): SignalboxError {
  const { ended, logFile } = started;
  const end =
    ended === null
      ? `did not answer within ${START_TIMEOUT_MS / 1000} s`
      : `ended at once (${ended.error?.message ?? ended.signal ?? `exit code ${ended.code}`})`;
  const lines = lastLines(started);
  return new SignalboxError("service_unreachable", [`The service ${end}`, ...lines].join("\n  "), {
    cause,
    hint: `Its log is ${logFile}; \`signalbox up\` runs it in the foreground.`,
  });
}

/** Why it ended is said in plain text, among the records of what it did before; where it is not, these have to do. */
function lastLines({ logFile, logStart }: Started): string[] {
  const text = stripVTControlCharacters(readFileSync(logFile).toString("utf8", logStart));
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const plain = lines.filter((line) => !line.startsWith("{"));
  return (plain.length > 0 ? plain : lines).slice(-8);
}
