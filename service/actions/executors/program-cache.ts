import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readlink, rename, rm, symlink, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { ulid } from "ulid";
import { SignalboxError } from "../../contract/errors.ts";
import { copyFolder, digestFolder } from "../sources/digest.ts";
import type { ActionProgram } from "./executor.ts";

/** A program's files as they were approved, and what was installed for them. */
export interface PreparedProgram {
  /** Holds `files` and what the build added. */
  readonly home: string;
  /** The copy that runs. */
  readonly files: string;
}

export interface Build {
  readonly home: string;
  readonly files: string;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

export interface ProgramCache {
  /**
   * The copy of the program with what `build` installs, from before or new. `kind` names what the build depends on
   * besides the files, such as an interpreter's version. Those who wait for the same one share it; it is given up
   * when the last of them is. A copy that was changed since is made anew.
   * @throws SignalboxError `action_changed` when the program's files are not those of its digest, `action_cancelled`,
   * and what `build` throws
   */
  get(
    program: ActionProgram,
    kind: string,
    build: (given: Build) => Promise<void>,
    waiting: Waiting,
  ): Promise<PreparedProgram>;
}

/** What a stopped process left half made is cleared away after this time, what nobody used after that one. */
const LEFTOVER_MS = 3_600_000;
const UNUSED_MS = 30 * 86_400_000;

interface Making {
  readonly done: Promise<PreparedProgram>;
  readonly controller: AbortController;
  /** Everybody who waits for it, each with an entry of their own. */
  readonly waiting: Set<Waiting>;
}

export function createProgramCache(dir: string): ProgramCache {
  const making = new Map<string, Making>();
  let cleared: Promise<void> | null = null;

  function begin(key: string, program: ActionProgram, build: (given: Build) => Promise<void>): Making {
    const controller = new AbortController();
    const waiting = new Set<Waiting>();
    const progress = (text: string) => {
      for (const one of waiting) one.progress(text);
    };
    const done = make(dir, key, program, (home) => build({ ...home, signal: controller.signal, progress }));
    const entry = { done, controller, waiting };
    making.set(key, entry);
    const forget = () => {
      if (making.get(key) === entry) making.delete(key);
    };
    done.then(forget, forget);
    return entry;
  }

  return {
    async get(program, kind, build, { signal, progress }) {
      const key = `${program.digest.slice(0, 32)}-${kind}`;
      cleared ??= clearUnused(dir);
      await cleared;
      if (signal.aborted) throw cancelled();
      const entry = making.get(key) ?? begin(key, program, build);
      const own = { signal, progress };
      entry.waiting.add(own);
      const gone = Promise.withResolvers<never>();
      const leave = () => gone.reject(cancelled());
      signal.addEventListener("abort", leave, { once: true });
      try {
        return await Promise.race([entry.done, gone.promise]);
      } finally {
        signal.removeEventListener("abort", leave);
        entry.waiting.delete(own);
        if (entry.waiting.size === 0) {
          // Nobody can join what is being given up.
          if (making.get(key) === entry) making.delete(key);
          entry.controller.abort();
        }
      }
    },
  };
}

const cancelled = () => new SignalboxError("action_cancelled", "preparing the program was cancelled");

async function make(
  dir: string,
  key: string,
  program: ActionProgram,
  build: (prepared: PreparedProgram) => Promise<void>,
): Promise<PreparedProgram> {
  const link = join(dir, key);
  const found = await findMade(link, program.digest);
  if (found !== null) return found;
  // Never moved once it is built: environments hold absolute paths. It counts from the moment the link names it.
  const home = join(dir, `${key}.${ulid()}`);
  const files = join(home, "files");
  try {
    if ((await copyFolder(program.dir, files)) !== program.digest) throw changed(program);
    await build({ home, files });
    await publish(link, home);
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
  return { home, files };
}

function changed(program: ActionProgram): SignalboxError {
  const message = `the files of ${program.name} are not those of digest ${program.digest.slice(0, 12)}`;
  return new SignalboxError("action_changed", message);
}

async function findMade(link: string, digest: string): Promise<PreparedProgram | null> {
  let home: string;
  try {
    home = await readlink(link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const files = join(home, "files");
  if (!existsSync(files) || (await digestFolder(files)) !== digest) return null;
  const now = new Date();
  await utimes(home, now, now);
  return { home, files };
}

/** In one step, so that others see the old one or the new one, and nothing half. */
async function publish(link: string, home: string): Promise<void> {
  const half = `${link}.${ulid()}`;
  await symlink(home, half, "junction");
  await rename(half, link);
}

/** Done once, before anything is made or used. Each use renews the time of a home. */
async function clearUnused(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const names = await readdir(dir);
  const used = new Map<string, string>();
  for (const name of names.filter((one) => !one.includes(".")))
    used.set(basename(await readlink(join(dir, name))), name);
  for (const name of names.filter((one) => one.includes("."))) {
    const path = join(dir, name);
    const link = used.get(name);
    const found = await lstat(path);
    if (Date.now() - found.mtimeMs < (link === undefined ? LEFTOVER_MS : UNUSED_MS)) continue;
    if (link !== undefined) await rm(join(dir, link), { force: true });
    await rm(path, { recursive: true, force: true });
  }
}
