import { type FSWatcher, mkdirSync, statSync, watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "../lib/canonical.ts";
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
  /** Why it can't be read; its text is then empty. */
  unreadable: string | null;
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
    names.sort().map((name) => readWorkflowFile(join(dir, name), name.slice(0, -".lua".length))),
  );
  return files.filter((file) => file !== null);
}

async function readWorkflowFile(file: string, name: string): Promise<WorkflowFile | null> {
  try {
    const source = await readFile(file, "utf8");
    return { name, file, source, digest: sha256(source), unreadable: null };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // It went away between listing and reading, as editors do when they save.
    if (code === "ENOENT") return null;
    // One file that can't be read must not keep the others from loading.
    return { name, file, source: "", digest: `unreadable: ${message}`, unreadable: message };
  }
}

/**
 * Calls `onChange` once the folder has been quiet for `debounceMs` after a change, also when the folder itself was
 * replaced by another. It is created when it is missing.
 */
export function watchWorkflowFiles(options: {
  dir: string;
  debounceMs: number;
  clock: Clock;
  log: Logger;
  onChange(): Promise<void>;
}): Closeable {
  const { dir, debounceMs, clock, log } = options;
  let cancel: (() => void) | undefined;
  let watcher: FSWatcher | undefined;
  let watched: number | undefined;
  const unwatched = (error: unknown) =>
    log.warn(
      { err: error, dir },
      "the workflow folder can't be watched; after a change run `signalbox workflow reload`",
    );
  const open = () => {
    watcher?.close();
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      watcher = watch(dir, { persistent: false }, onEvent);
      watcher.on("error", unwatched);
      watched = inodeOf(dir);
    } catch (error) {
      unwatched(error);
    }
  };
  const onQuiet = () => {
    if (inodeOf(dir) !== watched) open();
    options
      .onChange()
      .catch((error: unknown) => log.error({ err: error, dir }, "workflows could not be loaded again"));
  };
  function onEvent(): void {
    cancel?.();
    cancel = clock.after(debounceMs, onQuiet);
  }
  open();
  return {
    close() {
      cancel?.();
      watcher?.close();
    },
  };
}

function inodeOf(dir: string): number | undefined {
  return statSync(dir, { throwIfNoEntry: false })?.ino;
}
