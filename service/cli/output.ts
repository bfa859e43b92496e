import { styleText } from "node:util";
import { SignalboxError } from "../contract/errors.ts";
import { neutralise, type Part, styled, textOf, toJson } from "./text.ts";

/** What the command line reads and writes, so that tests can hand in their own. */
export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  /** Whether standard input is a pipe or a file, so that reading it makes sense. */
  readonly hasPipedInput: () => boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Ends commands that run for ever; a person presses Ctrl-C instead. */
  readonly signal?: AbortSignal;
}
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(count?: number, env?: object): boolean;
}

export type Output = ReturnType<typeof createOutput>;

/** The only place that prints. Data goes to standard output; remarks and errors to standard error. */
export function createOutput(io: Pick<Io, "stdout" | "stderr" | "env">, isJson: () => boolean) {
  const paint = (sink: Sink) => {
    const isColoured = sink.isTTY === true && (sink.hasColors?.(8, io.env) ?? false);
    return (part: Part) => {
      const text = neutralise(textOf(part));
      return isColoured && typeof part !== "string"
        ? styleText(part.style, text, { validateStream: false })
        : text;
    };
  };
  const print = (sink: Sink, parts: readonly Part[]) => sink.write(`${parts.map(paint(sink)).join("")}\n`);

  const json = (value: unknown) => io.stdout.write(`${toJson(value, io.stdout.isTTY ? 2 : undefined)}\n`);

  return {
    isJson,
    /** One JSON document, asked for or not. */
    json,
    /** Columns that a table may take; without limit where nobody looks at it. */
    width: () => (io.stdout.isTTY ? (io.stdout.columns ?? 80) : Number.POSITIVE_INFINITY),
    /** One JSON document with --json; else what `human` prints. */
    result(value: unknown, human: () => void): void {
      if (isJson()) json(value);
      else human();
    },
    /** One line of NDJSON with --json; else what `human` prints. For streams. */
    item(value: unknown, human: () => void): void {
      if (isJson()) io.stdout.write(`${toJson(value)}\n`);
      else human();
    },
    line: (...parts: Part[]) => print(io.stdout, parts),
    /** For people only, never mixed with data. */
    remark: (...parts: Part[]) => print(io.stderr, parts),
    /** Text of our own as it is, such as help or a script. */
    raw: (text: string) => io.stdout.write(text),
    rawError: (text: string) => io.stderr.write(text),
    /** Replaces the last such line, on a terminal only. Empty text removes it. */
    progress(text: string): void {
      if (io.stderr.isTTY) io.stderr.write(`\r\u001b[2K${neutralise(text)}`);
    },
    rows(rows: readonly (readonly Part[])[]): void {
      const painted = paint(io.stdout);
      for (const row of rows) io.stdout.write(`${row.map(painted).join("").trimEnd()}\n`);
    },
    fields(fields: readonly (readonly [string, Part | null])[]): void {
      const shown = fields.filter(([, value]) => value !== null && textOf(value) !== "");
      const width = Math.max(...shown.map(([name]) => name.length)) + 2;
      for (const [name, value] of shown) print(io.stdout, [styled("dim", name.padEnd(width)), value ?? ""]);
    },
    fail(error: SignalboxError): void {
      if (isJson()) io.stderr.write(`${toJson(error.toBody())}\n`);
      else print(io.stderr, [styled("red", error.message), "\n", error.hint]);
    },
  };
}

/** An error as it is shown. What is not one of ours is a bug, whose stack DEBUG=1 shows. */
export function toSignalboxError(error: unknown, env: Io["env"]): SignalboxError {
  if (SignalboxError.is(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  return new SignalboxError("internal", env.DEBUG && stack ? stack : text, { cause: error });
}
