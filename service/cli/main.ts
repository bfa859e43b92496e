import { fstatSync } from "node:fs";
import { translateVerb } from "../compat/verbs.ts";
import { type Context, createContext } from "./context.ts";
import { createOutput, type Io, toSignalboxError } from "./output.ts";
import { UsageError } from "./usage.ts";

/** Runs one command. @returns the exit code: 0, 1 for an error, 2 for wrong usage */
export async function main(argv: readonly string[], io: Io, name = "signalbox"): Promise<number> {
  const options = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  const out = createOutput(io, () => options.includes("--json"));
  let context: Context | undefined;
  try {
    const args = translateVerb(argv);
    context = createContext(io, out);
    if (args.length === 0) {
      const { welcome } = await import("./welcome.ts");
      if (welcome(context)) return 0;
    }
    if (args[0] === "push") {
      const { pushQuickly } = await import("./commands/push.ts");
      if (await pushQuickly(context, args.slice(1))) return context.exitCode;
    }
    const { createProgram } = await import("./program.ts");
    const program = await createProgram(args, context, name);
    await program.parseAsync(args.length === 0 ? ["--help"] : args, { from: "user" });
    return context.exitCode;
  } catch (error) {
    if (isCommanderError(error)) return error.exitCode === 0 ? 0 : 2;
    out.fail(toSignalboxError(error, io.env));
    return error instanceof UsageError ? 2 : 1;
  } finally {
    context?.close();
  }
}

/** commander has shown its message already. It is told by its code, since it may not even be loaded. */
function isCommanderError(error: unknown): error is { exitCode: number } {
  return (
    error instanceof Error &&
    "exitCode" in error &&
    String((error as { code?: string }).code).startsWith("commander.")
  );
}

/** Runs the command of this process. Called by the shims in bin/. */
export function run(name: string): void {
  // Each costs a millisecond to open, so only those that are used.
  const io: Io = {
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    get stdin() {
      return process.stdin;
    },
    hasPipedInput,
    env: process.env,
    cwd: process.cwd(),
  };
  // Whoever reads our output may have seen enough, as in `signalbox query | head`.
  process.on("uncaughtException", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  void main(process.argv.slice(2), io, name).then((exitCode) => {
    process.exitCode = exitCode;
  });
}

/** A pipe or a file, not a terminal and not /dev/null. */
function hasPipedInput(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false; // Standard input is closed.
  }
}
