import { createHash } from "node:crypto";
import { type FSWatcher, statSync, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import type { NewEvent } from "../contract/events.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";

/** Of one file at most one event in this time (B16). */
const DEDUPE_MS = 30_000;
/** Folders that programs write themselves: chat logs, tasks, reports. */
const ownFolders = new Set(["logs", "tasks", "ops"]);

interface WatcherOptions {
  /** Absolute. */
  dirs: readonly string[];
  /** Quiet time after a change before it is told. */
  debounceMs: number;
  clock: Clock;
  log: Logger;
  /** Records an event. */
  publish(event: NewEvent): Promise<unknown>;
}

export interface WorkspaceWatcher extends Closeable {
  /** Why a folder is not watched; it is tried again with each call. */
  check(): string[];
}

/**
 * Tells of changed Markdown files in folders of notes as `markdown.updated` events (R3, R50), whose scope is the
 * workspace: the name of the folder. Of a file that changes all the time one event comes every 30 s, the last of them
 * after the last change.
 */
export function watchWorkspaces(options: WatcherOptions): WorkspaceWatcher {
  const folders = workspaceNames(options.dirs).map(
    ([dir, workspace]) => new WatchedFolder(dir, workspace, options),
  );
  const check = () => folders.map((folder) => folder.open()).filter((problem) => problem !== null);
  for (const problem of check()) options.log.warn({ problem }, "a workspace is not watched");
  return {
    check,
    async close() {
      await Promise.all(folders.map((folder) => folder.close()));
    },
  };
}

/** The last name of each path; where two are the same, with as much in front of it as tells them apart. */
export function workspaceNames(dirs: readonly string[]): [dir: string, workspace: string][] {
  const unique = [...new Set(dirs.map((dir) => dir.replace(/[\\/]+$/, "")))];
  const tail = (dir: string, length: number) => dir.split(/[\\/]/).filter(Boolean).slice(-length).join("/");
  return unique.map((dir) => {
    let length = 1;
    while (length < 20 && unique.some((other) => other !== dir && tail(other, length) === tail(dir, length)))
      length++;
    return [dir, tail(dir, length)];
  });
}

interface ChangedFile {
  /** Since the last event of it. */
  firstChangeMs: number | null;
  publishedMs: number | null;
  /** Of the content that was told; null: it was gone; undefined: nothing was told yet. */
  digest: string | null | undefined;
  cancel: (() => void) | undefined;
}

class WatchedFolder {
  readonly #dir: string;
  readonly #workspace: string;
  readonly #options: WatcherOptions;
  readonly #files = new Map<string, ChangedFile>();
  readonly #working = new Set<Promise<void>>();
  #watcher: FSWatcher | null = null;
  #problem: string | null = null;
  #closed = false;

  constructor(dir: string, workspace: string, options: WatcherOptions) {
    this.#dir = dir;
    this.#workspace = workspace;
    this.#options = options;
  }

  /** What keeps it from being watched, if anything does. */
  open(): string | null {
    if (this.#watcher !== null && this.#isThere()) return null;
    this.#watcher?.close();
    this.#watcher = null;
    if (this.#closed) return this.#problem;
    if (!this.#isThere()) return `there is no folder ${this.#dir}`;
    try {
      this.#watcher = watch(
        this.#dir,
        { recursive: true, persistent: false, ignore: ["**/node_modules/**", "**/.*/**"] },
        (_kind, file) => this.#onChange(file),
      );
      this.#watcher.on("error", (error) => this.#onError(error));
      this.#problem = null;
    } catch (error) {
      this.#onError(error);
    }
    return this.#problem;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    for (const { cancel } of this.#files.values()) cancel?.();
    await Promise.all(this.#working);
  }

  #isThere(): boolean {
    return statSync(this.#dir, { throwIfNoEntry: false })?.isDirectory() === true;
  }

  #onError(error: unknown): void {
    this.#problem = `${this.#dir} is not watched: ${error instanceof Error ? error.message : String(error)}`;
    this.#options.log.warn({ err: error, dir: this.#dir }, "a workspace is no longer watched");
    this.#watcher?.close();
    this.#watcher = null;
  }

  #onChange(file: string | null): void {
    if (file === null || this.#closed) return;
    const path = file.split(sep).join("/");
    if (isWatched(path)) this.#plan(path);
  }

  #plan(path: string): void {
    const { clock, debounceMs } = this.#options;
    const now = clock.nowMs();
    const known = this.#files.get(path) ?? {
      firstChangeMs: null,
      publishedMs: null,
      digest: undefined,
      cancel: undefined,
    };
    this.#files.set(path, known);
    known.firstChangeMs ??= now;
    const quiet = Math.min(now + debounceMs, known.firstChangeMs + DEDUPE_MS);
    const next = known.publishedMs === null ? 0 : known.publishedMs + DEDUPE_MS;
    known.cancel?.();
    known.cancel = clock.after(Math.max(quiet, next) - now, () => {
      known.cancel = undefined;
      const work = this.#tell(path, known).finally(() => this.#working.delete(work));
      this.#working.add(work);
    });
  }

  async #tell(path: string, known: ChangedFile): Promise<void> {
    const { clock, log, publish } = this.#options;
    try {
      known.firstChangeMs = null;
      const digest = await digestOf(join(this.#dir, path));
      // Touched, or saved as it was; or it came and went between two looks.
      if (digest === known.digest) return;
      const change = digest === null ? "removed" : "updated";
      await publish({
        type: "markdown.updated",
        source: "workspaces",
        scope: this.#workspace,
        body: `${path} was ${change}`,
        payload: { path, workspace: this.#workspace, file: join(this.#dir, path), change },
        origin_kind: "system",
      });
      known.publishedMs = clock.nowMs();
      known.digest = digest;
    } catch (error) {
      log.warn({ err: error, path, workspace: this.#workspace }, "a change could not be told; trying again");
      known.publishedMs = clock.nowMs();
      if (!this.#closed) this.#plan(path);
    }
  }
}

function isWatched(path: string): boolean {
  const segments = path.split("/");
  if (!/\.md$/i.test(path) || segments.some((one) => one.startsWith(".") || one === "node_modules"))
    return false;
  return segments.length === 1 || !ownFolders.has(segments[0] ?? "");
}

/** Null when the file is gone. */
async function digestOf(file: string): Promise<string | null> {
  try {
    return createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}
