import { constants } from "node:fs";
import { mkdir, open, readdir, realpath, rm, unlink } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { ulid } from "ulid";
import { SignalboxError } from "../../contract/errors.ts";
import { isUnder } from "../../lib/bubblewrap.ts";
import type { Logger } from "../../lib/log.ts";

/** The one place a run may write to: its home, with its `/tmp` inside. Gone after the run. */
export interface RunDirectory {
  readonly path: string;
  readonly tmp: string;
  close(): Promise<void>;
}

export interface RunDirectories {
  open(): Promise<RunDirectory>;
}

/** Folders under `dir`. What earlier processes left behind is cleared away before the first one is made. */
export function createRunDirectories(dir: string, log: Logger): RunDirectories {
  let cleared: Promise<void> | null = null;
  return {
    async open() {
      cleared ??= clearLeftovers(dir, log);
      await cleared;
      const path = join(dir, `${process.pid}-${ulid()}`);
      const tmp = join(path, "tmp");
      await mkdir(tmp, { recursive: true, mode: 0o700 });
      return { path, tmp, close: () => remove(path, log) };
    },
  };
}

async function clearLeftovers(dir: string, log: Logger): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const name of await readdir(dir)) {
    if (!isRunning(Number.parseInt(name, 10))) await remove(join(dir, name), log);
  }
}

function isRunning(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function remove(path: string, log: Logger): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 2 });
  } catch (error) {
    log.warn({ err: error, path }, "a run's private folder could not be deleted");
  }
}

const MAX_FILE_BYTES = 64 * 1024 * 1024;

/**
 * Takes what a program left in a file of its run directory, and deletes the file. `seesTmpAs` is the name the program
 * knows its `tmp` by. Nothing else is ever read: the path is the program's, the file must be the run's (K26).
 * @throws SignalboxError `action_output`
 */
export async function takeFile(run: RunDirectory, path: string, seesTmpAs: string | null): Promise<Buffer> {
  const refused = (why: string, cause?: unknown) =>
    new SignalboxError("action_output", `_file ${JSON.stringify(path)} ${why}`, {
      hint: "Write it below $HOME or $TMPDIR, which are the run's own, as a plain file of at most 64 MiB.",
      cause,
    });
  if (path === "" || path.includes("\0")) throw refused("is no path");
  const named = isAbsolute(path) ? resolve(path) : resolve(run.path, path);
  const isTmp = seesTmpAs !== null && isUnder(named, seesTmpAs) && !isUnder(named, run.path);
  const host = isTmp ? join(run.tmp, named.slice(seesTmpAs.length)) : named;
  if (!isUnder(host, run.path)) throw refused("is outside of the run's private folder");
  let real: string;
  try {
    real = await realpath(host);
  } catch (error) {
    throw refused("is not there", error);
  }
  if (!isUnder(real, await realpath(run.path))) throw refused("leads out of the run's private folder");
  const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw refused("is not a plain file");
    // A second name would be somebody else's file, linked here.
    if (found.nlink !== 1) throw refused("has another name elsewhere");
    if (found.size > MAX_FILE_BYTES) throw refused("is larger than 64 MiB");
    const bytes = await handle.readFile();
    await unlink(real);
    return bytes;
  } finally {
    await handle.close();
  }
}
