import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { ActionDefinition } from "./definition.ts";
import { schemaFailure } from "./failure.ts";

/** How one call reaches the program: the words after its entrypoint, and what it reads from stdin. */
export interface AdaptedInput {
  readonly args: string[];
  readonly stdin: string | null;
}

type Adapter = Pick<ActionDefinition, "input_adapter" | "args_order" | "stdin_fields">;

/**
 * `json`: all of it on stdin. `args`: `--name value`, a true flag alone, a list as the flag repeated.
 * `positional_args`: the fields of `args_order` bare and in that order, the others as flags. `mixed`: `stdin_fields`
 * as JSON on stdin, the others as flags (B19). Flags are sorted by name, so that the same parameters are the same call.
 */
export function adaptInput(adapter: Adapter, params: JsonObject): AdaptedInput {
  const { input_adapter, args_order, stdin_fields } = adapter;
  switch (input_adapter) {
    case "json":
      return { args: [], stdin: `${JSON.stringify(params)}\n` };
    case "args":
      return { args: flagsOf(params, []), stdin: null };
    case "positional_args":
      return {
        args: [
          ...args_order.flatMap((name) => (isGiven(params[name]) ? [bare(name, params[name])] : [])),
          ...flagsOf(params, args_order),
        ],
        stdin: null,
      };
    case "mixed": {
      const piped = Object.fromEntries(
        stdin_fields.flatMap((name) => (isGiven(params[name]) ? [[name, params[name]]] : [])),
      );
      return { args: flagsOf(params, stdin_fields), stdin: `${JSON.stringify(piped)}\n` };
    }
  }
}

/** What a script gets: `text` is `{ output = … }`, `lines` is `{ lines = … }`, as Kael has it. */
export function adaptOutput(adapter: ActionDefinition["output_adapter"], result: Json): Json {
  if (adapter === "text") return { output: result };
  return adapter === "lines" ? { lines: result } : result;
}

function flagsOf(params: JsonObject, without: readonly string[]): string[] {
  return Object.keys(params)
    .filter((name) => !without.includes(name))
    .sort()
    .flatMap((name) => flagOf(`--${name}`, params[name] ?? null));
}

function flagOf(flag: string, value: Json): string[] {
  if (value === null || value === false) return [];
  if (value === true) return [flag];
  if (Array.isArray(value)) return value.flatMap((item) => [flag, word(item)]);
  return [flag, word(value)];
}

/** A text from elsewhere must not become an option of the program. A number may begin with a minus. */
function bare(name: string, value: Json): string {
  const text = word(value);
  if (!text.startsWith("-") || /^-\d/.test(text)) return text;
  throw new SignalboxError(
    "action_failed",
    schemaFailure(`field "${name}" begins with "-", which its program would read as an option`),
  );
}

function isGiven(value: Json | undefined): value is Json {
  return value !== undefined && value !== null;
}

function word(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
