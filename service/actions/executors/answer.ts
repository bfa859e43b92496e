import type { Json } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import { showDuration } from "../../lib/duration.ts";
import { isDeeperThan } from "../../lib/json-depth.ts";
import type { GroupEnd } from "../../lib/process-group.ts";
import type { ActionOutput } from "./executor.ts";

/** What a program may write to stdout; more goes into a `_file`. */
export const MAX_STDOUT_BYTES = 8 * 1024 * 1024;
const MAX_DEPTH = 100;

interface Reading {
  readonly output: ActionOutput;
  readonly timeoutMs: number;
  /** Takes the bytes of a `_file`. */
  readonly takeFile: (path: string) => Promise<Buffer>;
}

/**
 * The value a program answered with: JSON, a text without its last line end, or its lines (K14, K26, B19).
 * @throws SignalboxError `action_failed` (its last words), `action_timeout`, `action_cancelled`, `action_output`
 */
export async function readAnswer(end: GroupEnd, { output, timeoutMs, takeFile }: Reading): Promise<Json> {
  requireSuccess(end, timeoutMs);
  const text = decode(end.stdout, "stdout");
  if (output === "text") return text.replace(/\r?\n$/, "");
  if (output === "lines") return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
  const value = parse(text, "stdout");
  const path = filePath(value);
  return path === null ? value : parse(decode(await takeFile(path), "_file"), "_file");
}

function requireSuccess(end: GroupEnd, timeoutMs: number): void {
  const details = { exit_code: end.exitCode, signal: end.signal, stderr: plain(end.stderrTail) };
  switch (end.ended) {
    case "timeout":
      throw new SignalboxError("action_timeout", `no end within ${showDuration(timeoutMs)}`, { details });
    case "cancelled":
      throw new SignalboxError("action_cancelled", "cancelled", { details });
    case "output":
      throw new SignalboxError("action_output", "wrote more than 8 MiB to stdout", {
        details,
        hint: 'Write large data to a file below $TMPDIR and answer with {"_file": "its path"}.',
      });
    case "not_started":
      throw new SignalboxError("action_failed", `could not be started: ${end.error?.message ?? "unknown"}`, {
        details,
        cause: end.error,
      });
    default:
      if (end.exitCode !== 0) throw new SignalboxError("action_failed", lastWords(end), { details });
  }
}

/** The last line of stderr is what went wrong, in most languages. */
function lastWords(end: GroupEnd): string {
  const line = plain(end.stderrTail)
    .split("\n")
    .findLast((text) => text.trim() !== "")
    ?.trim();
  if (line !== undefined) return line.slice(0, 500);
  return end.signal === null ? `exit code ${end.exitCode}, without a word` : `ended by ${end.signal}`;
}

/** Without colours and other commands to a terminal. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}

function decode(bytes: Buffer, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new SignalboxError("action_output", `${what} is not UTF-8`, { cause: error });
  }
}

function parse(text: string, what: string): Json {
  if (text.trim() === "") throw new SignalboxError("action_output", `${what} is empty`);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    const start = plain(text.trim()).slice(0, 80).replaceAll("\n", "⏎");
    throw new SignalboxError("action_output", `${what} is not JSON: ${start}`, { cause: error });
  }
  if (isDeeperThan(value, MAX_DEPTH))
    throw new SignalboxError("action_output", `${what} is nested more than ${MAX_DEPTH} levels deep`);
  return value;
}

function filePath(value: Json): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { _file: path, ...others } = value;
  if (path === undefined || Object.keys(others).length > 0) return null;
  if (typeof path === "string") return path;
  throw new SignalboxError("action_output", "_file is not a path");
}
