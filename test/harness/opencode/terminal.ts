/** A program in a pseudo-terminal, and what stands on its screen. */
import { spawn } from "@lydell/node-pty";
import headless from "@xterm/headless";
import { eventually } from "../eventually.ts";

export interface Terminal {
  /** What stands on the screen, line by line. */
  screen(): string;
  /** The buffer itself, with colours. */
  readonly buffer: headless.Terminal;
  type(text: string): void;
  /** Waits until the screen shows this. */
  until(shows: string | RegExp): Promise<string>;
  /** Waits until the program has ended, and tells its exit code. Its last words may come to the screen after that. */
  readonly ended: Promise<number>;
  kill(): void;
}

interface TerminalOptions {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly columns?: number;
  readonly rows?: number;
}

export function openTerminal(file: string, args: string[], options: TerminalOptions): Terminal {
  const { cwd, env, columns: cols = 110, rows = 36 } = options;
  const pty = spawn(file, args, {
    ...{ cwd, cols, rows, name: "xterm-256color" },
    env: { ...env, TERM: "xterm-256color", COLORTERM: "truecolor" },
  });
  const buffer = new headless.Terminal({ cols, rows, allowProposedApi: true, scrollback: 0 });
  // Answers to what the program asks the terminal about itself.
  buffer.onData((data) => pty.write(data));
  pty.onData((data) => buffer.write(data));
  const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
  const screen = () => {
    const { active } = buffer.buffer;
    return Array.from(
      { length: rows },
      (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? "",
    ).join("\n");
  };
  return {
    screen,
    buffer,
    type: (text) => pty.write(text),
    until: (shows) =>
      eventually(
        screen,
        (text) => (typeof shows === "string" ? text.includes(shows) : shows.test(text)),
        60_000,
      ),
    ended,
    kill: () => pty.kill("SIGKILL"),
  };
}
