import type { Json, JsonObject } from "../../contract/common.ts";

/** A program as an action file names it, resolved: what runs and what it may do. */
export interface ActionProgram {
  /** `prometheus.query` */
  readonly name: string;
  /** Path or git URL as written. */
  readonly source: string;
  /** Of a git source: the pinned commit id. */
  readonly commit: string | null;
  /** Absolute path of its files now: checkout or local folder, with `subdir`. */
  readonly dir: string;
  /** Hex SHA-256 of the files under `dir` (path, kind, executable or not, bytes), lock files among them. */
  readonly digest: string;
  readonly executor: ExecutorId;
  /** A file under `dir`; null: found by its usual name. */
  readonly entrypoint: string | null;
  readonly timeoutMs: number;
  /** Names of variables that are handed through. */
  readonly env: readonly string[];
  readonly powers: ActionPowers;
  /** For `docker`: the image to build on where the source has no Dockerfile. Null or absent: one that fits the language. */
  readonly image?: string | null;
  /** What the entrypoint is written in; null or absent: told by its name and first line. */
  readonly language?: ActionLanguage | null;
  /** Packages it needs besides those its own files name: of pip, of npm, or of the system for shell. */
  readonly deps?: readonly string[];
}

export type ActionLanguage = "python" | "node" | "shell" | "other";

export type ExecutorId = "native" | "docker" | "envyr";

/** What a program says it needs beyond its own folder. None where it says nothing. */
export interface ActionPowers {
  /** Host names it calls. Where the sandbox can't tell hosts apart, one name opens all; `describe` says so. */
  readonly hosts: readonly string[];
  /** Paths it reads (`/etc/hosts`, `~/notes`), or reads and writes (`~/notes:rw`). */
  readonly files: readonly string[];
}

export interface ActionRequest {
  readonly params: JsonObject;
  /** Aborting it ends the program and rejects the run with `action_cancelled`. */
  readonly signal: AbortSignal;
  /** Each line the program writes to stderr, as it comes. */
  readonly log: (line: string) => void;
  /** What goes on, for people: `building python environment`. */
  readonly progress?: (text: string) => void;
  /** The program finds it in `IDEMPOTENCY_KEY`. */
  readonly idempotencyKey: string;
  /** Words after the entrypoint. Default: none. */
  readonly args?: readonly string[];
  /** What the program reads. Default: `params` as one line of JSON; null: nothing. */
  readonly stdin?: string | null;
  /** How stdout is read. Default `json`; `text` is a string without its last line end, `lines` a list of strings. */
  readonly output?: ActionOutput;
  /** The sandbox that the approval named. Where the machine has another one by now, the run is refused. */
  readonly sandbox?: SandboxId;
}

export type ActionOutput = "json" | "text" | "lines";

export interface ActionOutcome {
  readonly result: Json;
  readonly exitCode: 0;
  /** The end of stderr, at most 4 KiB. */
  readonly stderrTail: string;
  readonly durationMs: number;
  readonly sandbox: SandboxId;
}

export type SandboxId = "bubblewrap" | "container" | "none";

/** What an approval shows of a program before it runs. */
export interface ProgramDescription {
  readonly argv: readonly string[];
  readonly sandbox: SandboxId;
  /** `deps` as they are installed. What is approved has to hold them too: its files do not name them. */
  readonly packages: readonly string[];
  /** One sentence each: what is shut, what is open, what is not enforced here. */
  readonly notes: readonly string[];
}

export interface Executor {
  readonly id: ExecutorId;
  /** Whether it can work on this machine, and if not, why. Asked once, then remembered. */
  available(): Promise<{ ok: boolean; reason: string | null }>;
  /**
   * Copies the files, checks them against `digest`, and installs what they depend on; at once where that was done
   * before. Programs run from this copy, so what was approved is what runs.
   * @throws SignalboxError `action_changed`, `action_setup_failed`, `executor_missing`, `action_cancelled`
   */
  prepare(
    program: ActionProgram,
    options: { signal: AbortSignal; progress: (text: string) => void },
  ): Promise<void>;
  /**
   * The command for an approval and `--dry-run`: without the sandbox's own words, with paths relative to the program.
   * @throws SignalboxError `action_source` when there is no entrypoint or it lies outside
   */
  argv(program: ActionProgram): string[];
  describe(program: ActionProgram): Promise<ProgramDescription>;
  /**
   * Prepares, runs, and reads the answer.
   * @throws SignalboxError `action_failed` (message: the last line of stderr; details: exit_code, stderr),
   * `action_timeout`, `action_cancelled`, `action_output`, and those of `prepare`
   */
  run(program: ActionProgram, request: ActionRequest): Promise<ActionOutcome>;
}

/** Every executor there is. Made by `createExecutors` in executors.ts. */
export interface Executors {
  /** The one that the program names. */
  of(program: ActionProgram): Executor;
  readonly all: readonly Executor[];
}
