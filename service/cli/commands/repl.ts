import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Command } from "commander";
import type { Client } from "../../client/call.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Context } from "../context.ts";
import { completeLua } from "../repl-completion.ts";
import { followScript } from "../script-run.ts";
import { printEnd } from "../script-view.ts";
import { styled } from "../text.ts";
import { printRaw, type RunOptions, scriptSettings, withActions } from "./run.ts";

const MAX_HISTORY = 1_000;
const HELP = `An expression shows its value; statements run. Globals stay, locals end with their line.
  actions.ns.name{…}   run an action         actions.all{ {a, params}, … }   run several at once
  pp(v)  inspect(v)  keys(t)  pluck(list, field)  count(t)  jq(v, filter)
  readfile(path)  writefile(path, v)  json.encode  json.pretty  json.decode
  .actions  list them      .help  this      .exit  leave (or Ctrl-D)
Ctrl-C ends what runs (a computation takes the globals along), or drops the line. Tab completes names.`;

export function register(program: Command, context: Context): void {
  withActions(program.command("repl").description("run Lua line by line, over actions")).action(
    (options: RunOptions) => repl(context, options),
  );
}

async function repl(context: Context, options: RunOptions): Promise<void> {
  const client = await context.client();
  const settings = { file: "repl", args: [], ...scriptSettings(context, options) };
  const { session } = await client.openSession(settings);
  const { actions } = await client.listActions(
    settings.repository === undefined ? {} : { repository: settings.repository },
  );
  const terminal = new Terminal(
    context,
    actions.map(({ name }) => name),
  );
  try {
    if (terminal.isTerminal)
      context.out.remark(styled("dim", "Lua over your actions. .help tells more, .exit leaves."));
    await new Repl(context, client, session, terminal, options.yes ?? false).run();
  } finally {
    terminal.close();
    await client.closeSession({ session });
  }
}

class Repl {
  #block = "";
  readonly #context: Context;
  readonly #client: Client;
  readonly #session: string;
  readonly #terminal: Terminal;
  readonly #yes: boolean;

  constructor(context: Context, client: Client, session: string, terminal: Terminal, yes: boolean) {
    this.#context = context;
    this.#client = client;
    this.#session = session;
    this.#terminal = terminal;
    this.#yes = yes;
  }

  async run(): Promise<void> {
    for (;;) {
      const line = await this.#terminal.read(this.#block === "" ? "> " : "… ");
      if (line === null) return this.#atEnd();
      if (line === INTERRUPT) this.#block = "";
      else if (this.#block === "" && line.trim().startsWith(".")) {
        if (this.#command(line.trim())) return;
      } else if (this.#block !== "" || line.trim() !== "") await this.#take(line);
    }
  }

  /** What is left open when there is no more to come. */
  #atEnd(): void {
    if (this.#block.trim() === "") return;
    this.#context.out.remark(styled("red", "Error: the last block has no end"));
    this.#context.exit(1);
  }

  /** @returns whether to leave */
  #command(word: string): boolean {
    const { out } = this.#context;
    if (word === ".exit" || word === ".quit") return true;
    if (word === ".actions") for (const name of this.#terminal.names) out.line(name);
    else if (word === ".help") out.line(HELP);
    else out.remark(`There is no ${word}; .help lists what there is.`);
    return false;
  }

  async #take(line: string): Promise<void> {
    const code = this.#block === "" ? line : `${this.#block}\n${line}`;
    // Before it has begun, so that a quick Ctrl-C counts as well.
    const interrupt = this.#terminal.interruption();
    const context = this.#context;
    try {
      const { incomplete, run_id } = await this.#client.runLine({ session: this.#session, code });
      this.#block = incomplete ? code : "";
      if (run_id === null) return;
      this.#terminal.remember(code);
      const ask = this.#terminal.isTerminal ? (question: string) => this.#terminal.ask(question) : null;
      const onPrint = (text: string) => printRaw(context, text);
      const run = await followScript(context, run_id, {
        yes: this.#yes,
        signal: interrupt.signal,
        ask,
        onPrint,
      });
      if (!context.out.isJson()) printEnd(context.out, run);
      if (run.status === "failed" && !this.#terminal.isTerminal) context.exit(1);
    } catch (error) {
      if (!SignalboxError.is(error, "approval_required")) throw error;
      context.out.fail(error);
      context.exit(1);
    } finally {
      interrupt.close();
    }
  }
}

const INTERRUPT = Symbol("interrupt");

/** Lines of a person, with history and completion, or of a pipe. */
class Terminal {
  readonly isTerminal: boolean;
  readonly names: readonly string[];
  readonly #context: Context;
  readonly #lines: Interface;
  readonly #waiting: string[] = [];
  readonly #historyFile: string;
  #give: ((line: string | typeof INTERRUPT | null) => void) | null = null;
  #isClosed = false;
  #onInterrupt: (() => void) | null = null;
  #isAsking = false;

  constructor(context: Context, names: readonly string[]) {
    const { io, paths } = context;
    this.#context = context;
    this.names = names;
    this.isTerminal = io.stdin.isTTY === true && io.stderr.isTTY === true;
    this.#historyFile = join(dirname(paths.lockFile), "repl-history");
    this.#lines = createInterface({
      input: io.stdin,
      ...(this.isTerminal ? { output: io.stderr as NodeJS.WritableStream, terminal: true } : {}),
      history: this.isTerminal ? this.#readHistory() : [],
      historySize: MAX_HISTORY,
      removeHistoryDuplicates: true,
      completer: (line: string) => completeLua(line, names),
    });
    // Answers to questions are no lines to call back.
    this.#lines.on("history", (history: string[]) => {
      if (this.#isAsking) history.shift();
    });
    this.#lines.on("line", (line) => this.#hear(line));
    this.#lines.on("SIGINT", () => (this.#onInterrupt ? this.#onInterrupt() : this.#dropLine()));
    this.#lines.on("close", () => {
      this.#isClosed = true;
      this.#hear(null);
    });
    if (io.signal) io.signal.addEventListener("abort", () => this.#lines.close(), { once: true });
  }

  read(prompt: string): Promise<string | typeof INTERRUPT | null> {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return Promise.resolve(waiting);
    if (this.#isClosed) return Promise.resolve(null);
    if (this.isTerminal) {
      this.#lines.setPrompt(prompt);
      this.#lines.prompt();
    }
    return new Promise((resolve) => {
      this.#give = resolve;
    });
  }

  async ask(question: string): Promise<string> {
    this.#isAsking = true;
    const answer = await this.read(question).finally(() => {
      this.#isAsking = false;
    });
    return typeof answer === "string" ? answer : "";
  }

  /** Aborts on Ctrl-C until it is closed. */
  interruption(): { signal: AbortSignal; close(): void } {
    const controller = new AbortController();
    this.#onInterrupt = () => controller.abort();
    return {
      signal: controller.signal,
      close: () => {
        this.#onInterrupt = null;
      },
    };
  }

  /** Blocks are kept as one line, as a person would call them back. */
  remember(code: string): void {
    if (!this.isTerminal) return;
    const line = code.replaceAll("\n", " ");
    const kept = [line, ...this.#readHistory().filter((one) => one !== line)].slice(0, MAX_HISTORY);
    mkdirSync(dirname(this.#historyFile), { recursive: true });
    writeFileSync(this.#historyFile, `${kept.join("\n")}\n`, { mode: 0o600 });
  }

  close(): void {
    this.#lines.close();
    if (this.isTerminal) this.#context.out.remark("");
  }

  #dropLine(): void {
    this.#lines.write(null, { ctrl: true, name: "e" });
    this.#lines.write(null, { ctrl: true, name: "u" });
    this.#context.out.rawError("\n");
    this.#hear(INTERRUPT);
  }

  #hear(line: string | typeof INTERRUPT | null): void {
    const give = this.#give;
    this.#give = null;
    if (give) give(line);
    else if (typeof line === "string") this.#waiting.push(line);
  }

  #readHistory(): string[] {
    if (!existsSync(this.#historyFile)) return [];
    return readFileSync(this.#historyFile, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  }
}
