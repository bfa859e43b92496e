import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import { SignalboxError } from "./contract/errors.ts";

export interface ConfigFile {
  readonly file: string;
  readonly content: Readonly<Record<string, unknown>>;
  /** Line of a key, or of the nearest table around it; from 1. */
  lineOf(path: readonly PropertyKey[]): number;
}

/**
 * Null when there is no such file.
 * @throws SignalboxError `invalid_config` with file, line and column of the first thing that is no TOML
 */
export function readConfigFile(file: string): ConfigFile | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new SignalboxError("invalid_config", `${file} can't be read: ${(error as Error).message}`, {
      cause: error,
      hint: "Make it a file that you may read.",
    });
  }
  return parseConfigText(file, text);
}

/** The same for text that is at hand. @throws SignalboxError `invalid_config` */
export function parseConfigText(file: string, text: string): ConfigFile {
  const content = parseToml(file, text);
  let lines: Map<string, number> | undefined;
  return {
    file,
    content,
    lineOf(path) {
      lines ??= findLines(text);
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(path.slice(0, length).join("\0"));
        if (line !== undefined) return line;
      }
      return 1;
    },
  };
}

function parseToml(file: string, text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const problem = error.message.split("\n")[0]?.replace("Invalid TOML document: ", "");
    throw new SignalboxError("invalid_config", `${file}:${error.line}:${error.column}: ${problem}`, {
      hint: "Correct this line; the file is TOML (https://toml.io).",
      details: { file, line: error.line, column: error.column },
    });
  }
}

/**
 * The parser keeps no places, so this hands it one statement after the other: as many lines as it takes until they
 * parse, below the table header that they stand under.
 */
function findLines(text: string): Map<string, number> {
  const found = new Map<string, number>();
  const entries = new Map<string, number>();
  let header = "";
  let statement = "";
  let start = 1;
  text.split("\n").forEach((line, index) => {
    if (statement === "") start = index + 1;
    statement += `${line}\n`;
    const parsed = tryParse(header + statement);
    if (parsed === null) return;
    if (line.trimStart().startsWith("[") && statement === `${line}\n`) {
      header = statement;
      const array = /^\s*\[\[(.*?)\]\]/.exec(line)?.[1];
      if (array !== undefined) entries.set(array, (entries.get(array) ?? -1) + 1);
    }
    const array = /^\s*\[\[(.*?)\]\]/.exec(header)?.[1] ?? "";
    remember(parsed, [], start, entries.get(array) ?? 0, found);
    statement = "";
  });
  return found;
}

function tryParse(text: string): Record<string, unknown> | null {
  try {
    return parse(text);
  } catch {
    return null; // Not the end of the statement yet: the whole text is known to parse.
  }
}

function remember(
  value: unknown,
  path: readonly PropertyKey[],
  line: number,
  entry: number,
  found: Map<string, number>,
): void {
  const key = path.join("\0");
  if (path.length > 0 && !found.has(key)) found.set(key, line);
  if (Array.isArray(value)) {
    // The entry of `[[table]]` that is being read parses as the first, as do the entries of a list on its own.
    for (const [index, item] of value.entries()) {
      remember(item, [...path, value.length > 1 ? index : entry], line, entry, found);
    }
  } else if (typeof value === "object" && value !== null && !(value instanceof Date)) {
    for (const [name, child] of Object.entries(value)) remember(child, [...path, name], line, entry, found);
  }
}
