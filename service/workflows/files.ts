import { createHash } from "node:crypto";
import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";

export interface WorkflowFile {
  /** The file's name without `.lua` (S26). */
  name: string;
  file: string;
  source: string;
  /** Hex SHA-256 of the text. */
  digest: string;
}

export function digestOf(source: string): string {
  return createHash("sha256").update(source).digest("hex");
}

/** All `.lua` files of a folder, by name; folders in it (annotations, modules) are left alone. */
export async function readWorkflowFiles(dir: string): Promise<WorkflowFile[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const names = entries
    .filter((entry) => !entry.isDirectory() && /^[^.].*\.lua$/.test(entry.name))
    .map((entry) => entry.name);
  const files = await Promise.all(
    names.sort().map((name) => readWorkflowFile(join(dir, name), name.slice(0, -4))),
  );
  return files.filter((file) => file !== null);
}

async function readWorkflowFile(file: string, name: string): Promise<WorkflowFile | null> {
  try {
    const source = await readFile(file, "utf8");
    return { name, file, source, digest: digestOf(source) };
  } catch (error) {
    // It went away between listing and reading, as editors do when they save.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Calls `onChange` once the folder has been quiet for `debounceMs` after a change. */
export function watchWorkflowFiles(options: {
  dir: string;
  debounceMs: number;
  clock: Clock;
  log: Logger;
  onChange(): Promise<void>;
}): Closeable {
  const { dir, debounceMs, clock, log } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  let cancel: (() => void) | undefined;
  let watcher: FSWatcher | undefined;
  const onEvent = () => {
    cancel?.();
    cancel = clock.after(debounceMs, () => {
      options
        .onChange()
        .catch((error: unknown) => log.error({ err: error, dir }, "workflows could not be loaded again"));
    });
  };
  try {
    watcher = watch(dir, { persistent: false }, onEvent);
    watcher.on("error", (error) =>
      log.warn(
        { err: error, dir },
        "the workflow folder is no longer watched; use `signalbox workflow reload`",
      ),
    );
  } catch (error) {
    log.warn({ err: error, dir }, "the workflow folder can't be watched; use `signalbox workflow reload`");
  }
  return {
    close() {
      cancel?.();
      watcher?.close();
    },
  };
}
