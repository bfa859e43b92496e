import { type ChildProcess, spawn } from "node:child_process";
import { StringDecoder } from "node:string_decoder";

/** A program to run to its end, with everything it starts. */
export interface GroupCommand {
  /** Program and words, never read by a shell. */
  readonly argv: readonly string[];
  readonly cwd: string;
  /** All of its environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** What it reads; null: nothing. */
  readonly stdin: string | Uint8Array | null;
  readonly timeoutMs: number;
  /** Between the polite signal and the other one. Default 2000. */
  readonly graceMs?: number;
  readonly maxStdoutBytes: number;
  /** What becomes of a program that writes more: it is ended, or the rest is dropped. */
  readonly overflow: "end" | "truncate";
  /** How much of the end of stderr is kept. Default 4096. */
  readonly stderrTailBytes?: number;
  readonly signal?: AbortSignal;
  /** Each line of stderr as it comes, in parts of at most 16 KiB; after a mebibyte one last line says that more was left out. */
  readonly onStderr?: (line: string) => void;
}

export interface GroupEnd {
  /** `output`: it wrote more than it may. `not_started`: see `error`. */
  readonly ended: "exit" | "timeout" | "cancelled" | "output" | "not_started";
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stdoutTruncated: boolean;
  readonly stderrTail: string;
  readonly durationMs: number;
  readonly error: NodeJS.ErrnoException | null;
}

const GRACE_MS = 2_000;
const STDERR_TAIL_BYTES = 4_096;
const MAX_LINE = 16_384;
const MAX_STDERR = 1_048_576;
/** How long pipes may stay open after the program's end, for one that left its group. */
const DRAIN_MS = 1_000;

/**
 * Runs a program in a process group of its own and resolves when it, and all it left behind in that group, have
 * ended; never rejects. At the deadline and on abort the group gets SIGTERM, then SIGKILL after `graceMs`. What leaves
 * the group by a session of its own is out of reach; a process namespace holds that too (see bubblewrap.ts).
 */
export async function runProcessGroup(command: GroupCommand): Promise<GroupEnd> {
  const startedMs = performance.now();
  if (command.signal?.aborted) return notStarted("cancelled", null);
  let child: ChildProcess;
  try {
    const [program = "", ...words] = command.argv;
    const options = { cwd: command.cwd, env: { ...command.env }, detached: true, windowsHide: true } as const;
    child = spawn(program, words, { ...options, stdio: ["pipe", "pipe", "pipe"] });
  } catch (error) {
    return notStarted("not_started", error as NodeJS.ErrnoException);
  }
  const group = watchGroup(child, command);
  const output = readOutput(child, command, () => group.end("output"));
  giveInput(child, command.stdin);
  const { exitCode, signal, error } = await group.closed;
  if (error !== null && child.pid === undefined) return notStarted("not_started", error);
  const durationMs = performance.now() - startedMs;
  return { ended: group.reason() ?? "exit", exitCode, signal, error, durationMs, ...output() };
}

function notStarted(ended: "cancelled" | "not_started", error: NodeJS.ErrnoException | null): GroupEnd {
  const nothing = { exitCode: null, signal: null, stdout: Buffer.alloc(0), stdoutTruncated: false };
  return { ended, error, ...nothing, stderrTail: "", durationMs: 0 };
}

type Reason = "timeout" | "cancelled" | "output";

interface Watched {
  end(reason: Reason): void;
  reason(): Reason | null;
  readonly closed: Promise<Pick<GroupEnd, "exitCode" | "signal" | "error">>;
}

function watchGroup(child: ChildProcess, command: GroupCommand): Watched {
  let reason: Reason | null = null;
  const timers: NodeJS.Timeout[] = [];
  const end = (why: Reason) => {
    if (reason !== null) return;
    reason = why;
    signalGroup(child, "SIGTERM");
    timers.push(setTimeout(() => signalGroup(child, "SIGKILL"), command.graceMs ?? GRACE_MS));
  };
  const cancel = () => end("cancelled");
  timers.push(setTimeout(() => end("timeout"), Math.min(command.timeoutMs, 2 ** 31 - 1)));
  command.signal?.addEventListener("abort", cancel, { once: true });

  const closed = Promise.withResolvers<Pick<GroupEnd, "exitCode" | "signal" | "error">>();
  let failure: NodeJS.ErrnoException | null = null;
  child.on("error", (error) => {
    failure = error;
    if (child.pid === undefined) closed.resolve({ exitCode: null, signal: null, error });
  });
  child.on("exit", (exitCode, signal) => {
    // What it left running in its group is not for anyone any more, and would hold the pipes open.
    signalGroup(child, "SIGKILL");
    timers.push(
      setTimeout(() => {
        for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
        closed.resolve({ exitCode, signal, error: failure });
      }, DRAIN_MS),
    );
  });
  child.on("close", (exitCode, signal) => closed.resolve({ exitCode, signal, error: failure }));
  const tidied = closed.promise.finally(() => {
    for (const timer of timers) clearTimeout(timer);
    command.signal?.removeEventListener("abort", cancel);
  });
  return { end, reason: () => reason, closed: tidied };
}

function signalGroup(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (child.pid === undefined) return;
  if (process.platform === "win32") {
    // Windows has no groups and no polite signal; this ends the tree.
    spawn("taskkill", ["/pid", String(child.pid), "/t", "/f"], { stdio: "ignore", windowsHide: true }).on(
      "error",
      () => child.kill(),
    );
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // Nobody is left in the group, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") child.kill(signal);
  }
}

function giveInput(child: ChildProcess, input: GroupCommand["stdin"]): void {
  // A program need not read what it is given.
  child.stdin?.on("error", () => {});
  if (input === null) child.stdin?.end();
  else child.stdin?.end(input);
}

type Output = Pick<GroupEnd, "stdout" | "stdoutTruncated" | "stderrTail">;

function readOutput(child: ChildProcess, command: GroupCommand, onTooMuch: () => void): () => Output {
  const chunks: Buffer[] = [];
  let size = 0;
  let truncated = false;
  child.stdout?.on("data", (chunk: Buffer) => {
    const room = command.maxStdoutBytes - size;
    const kept = chunk.length > room ? chunk.subarray(0, room) : chunk;
    if (kept.length > 0) chunks.push(kept);
    size += kept.length;
    if (chunk.length <= room) return;
    truncated = true;
    if (command.overflow === "end") onTooMuch();
  });
  const lines = splitLines(limitLines(command.onStderr ?? (() => {})));
  const keep = command.stderrTailBytes ?? STDERR_TAIL_BYTES;
  let tail = Buffer.alloc(0);
  child.stderr?.on("data", (chunk: Buffer) => {
    lines.write(chunk);
    tail = Buffer.concat([tail, chunk]).subarray(-keep);
  });
  return () => {
    lines.end();
    return { stdout: Buffer.concat(chunks), stdoutTruncated: truncated, stderrTail: textOf(tail) };
  };
}

/** A cut may have gone through a character: what is left of it is dropped. */
function textOf(tail: Buffer): string {
  let start = 0;
  while (start < Math.min(3, tail.length) && ((tail[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return tail.subarray(start).toString("utf8");
}

/** A program that complains without end must not fill whatever keeps its words. */
function limitLines(onLine: (line: string) => void): (line: string) => void {
  let room = MAX_STDERR;
  return (line) => {
    if (room <= 0) return;
    room -= line.length + 1;
    onLine(room > 0 ? line : "… more of its stderr is left out");
  };
}

/** Whole lines out of pieces; a line longer than MAX_LINE comes in parts. */
function splitLines(onLine: (line: string) => void): { write(chunk: Buffer): void; end(): void } {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  const give = (text: string) => {
    const parts = (rest + text).split(/\r?\n/);
    rest = parts.pop() ?? "";
    for (const line of parts) onLine(line);
    while (rest.length > MAX_LINE) {
      onLine(rest.slice(0, MAX_LINE));
      rest = rest.slice(MAX_LINE);
    }
  };
  return {
    write: (chunk) => give(decoder.write(chunk)),
    end() {
      give(decoder.end());
      if (rest !== "") onLine(rest);
      rest = "";
    },
  };
}
