import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Io } from "./output.ts";
import { UsageError } from "./usage.ts";

/** All of standard input. */
export async function readAll(io: Io): Promise<string> {
  let text = "";
  for await (const piece of io.stdin.setEncoding("utf8")) text += piece;
  return text;
}

/** The text of a file, or of standard input for `-`. */
export async function readInput(io: Io, file: string): Promise<string> {
  if (file === "-") return await readAll(io);
  try {
    return readFileSync(resolve(io.cwd, file), "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): UsageError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? message : (reasons[code] ?? message);
  return new UsageError(`${file} can't be read: ${reason}`, "Check the path, or use - for standard input.");
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "it is not yours to read",
};

/** Each line that is not empty, with its number, without holding the whole file. */
export async function* readLines(io: Io, file: string): AsyncGenerator<{ line: number; text: string }> {
  const { createReadStream } = await import("node:fs");
  const stream = file === "-" ? io.stdin : createReadStream(resolve(io.cwd, file));
  let line = 0;
  let rest = "";
  try {
    for await (const piece of stream.setEncoding("utf8")) {
      const texts = (rest + piece).split("\n");
      rest = texts.pop() ?? "";
      for (const text of texts) {
        line += 1;
        if (text.trim() !== "") yield { line, text };
      }
    }
  } catch (error) {
    throw unreadable(file, error);
  }
  if (rest.trim() !== "") yield { line: line + 1, text: rest };
}
