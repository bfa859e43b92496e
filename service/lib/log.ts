import { mkdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type Logger, multistream, pino, type StreamEntry } from "pino";
import { createStream } from "rotating-file-stream";

export type { Logger } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields that never reach a log, wherever they stand in an object of up to three levels. */
const secretFields = ["token", "secret", "password", "authorization", "api_key", "cookie"];
const redactPaths = secretFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);

/** A logger that says nothing, for tests and for tools that print by themselves. */
export const silentLog: Logger = pino({ level: "silent" });

/** Structured log lines, quiet below `level`, with secrets replaced by `[secret]`. */
export function createLog(level: LogLevel, streams: NodeJS.WritableStream[]): Logger {
  const entries = streams.map((stream): StreamEntry => ({ level, stream }));
  const redact = { paths: redactPaths, censor: "[secret]" };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact }, multistream(entries));
}

/**
 * A file that begins anew at `maxMb` and keeps the last `keep` as `name.1`, `name.2`, … When it can't be written,
 * `onError` hears of it and the lines are lost; nothing else depends on them.
 */
export function openLogFile(
  path: string,
  maxMb: number,
  keep: number,
  onError: (error: Error) => void = tellTerminal,
): NodeJS.WritableStream {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const options = { path: dirname(path), size: `${maxMb}M`, rotate: keep, mode: 0o600 } as const;
  const stream = createStream(basename(path), options);
  stream.on("error", onError);
  return stream;
}

function tellTerminal(error: Error): void {
  process.stderr.write(`the log can't be written: ${error.message}\n`);
}
