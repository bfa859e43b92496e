import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Logger, multistream, pino, type StreamEntry } from "pino";

export type { Logger } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields that never reach a log, wherever they stand in an object of up to three levels. */
const secretFields = ["token", "secret", "password", "authorization", "api_key", "cookie"];
const redactPaths = secretFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`, `*["${field}"]`]);

/** A logger that says nothing, for tests and for tools that print by themselves. */
export const silentLog: Logger = pino({ level: "silent" });

interface LogTargets {
  level: LogLevel;
  /** Where people look: standard error, if wanted. */
  stream?: NodeJS.WritableStream;
  /** Any further stream, such as the rotating file. */
  file?: NodeJS.WritableStream;
}

/** Structured log lines, quiet below `level`, with secrets replaced by `[secret]`. */
export function createLog(targets: LogTargets): Logger {
  const streams: StreamEntry[] = [];
  if (targets.stream) streams.push({ level: targets.level, stream: targets.stream });
  if (targets.file) streams.push({ level: targets.level, stream: targets.file });
  return pino(
    {
      level: targets.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: redactPaths, censor: "[secret]" },
    },
    multistream(streams),
  );
}

export function openLogFile(path: string): NodeJS.WritableStream {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return createWriteStream(path, { flags: "a", mode: 0o600 });
}
