import { Readable } from "node:stream";
import { main } from "../../service/cli/main.ts";
import type { Io, Sink } from "../../service/cli/output.ts";

export interface CliOptions {
  readonly home: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** What is piped into standard input. */
  readonly stdin?: string;
  /** Columns of the terminal that the output goes to; without it the output is no terminal. */
  readonly columns?: number;
  /** Whether a person sits before the keyboard, and what they type. */
  readonly typed?: string;
  readonly signal?: AbortSignal;
  /** Told of everything printed so far. */
  readonly onOutput?: (stdout: string) => void;
  readonly name?: string;
}

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command as a process would, inside this one. Never starts a service. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  const terminal = options.columns === undefined ? {} : { isTTY: true, columns: options.columns };
  const out: Sink = {
    ...terminal,
    write: (text) => {
      stdout += text;
      options.onOutput?.(stdout);
    },
  };
  const err: Sink = {
    ...(options.typed === undefined ? {} : { isTTY: true }),
    write: (text) => {
      stderr += text;
    },
  };
  const stdin = Readable.from([options.typed ?? options.stdin ?? ""]);
  const io: Io = {
    stdout: out,
    stderr: err,
    stdin: Object.assign(stdin, options.typed === undefined ? {} : { isTTY: true }) as Io["stdin"],
    hasPipedInput: () => options.stdin !== undefined,
    env: { SIGNALBOX_HOME: options.home, SIGNALBOX_NO_AUTOSTART: "1", ...options.env },
    cwd: options.cwd ?? options.home,
    ...(options.signal ? { signal: options.signal } : {}),
  };
  const code = await main(args, io, options.name);
  return { code, stdout, stderr };
}
