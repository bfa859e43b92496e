import { realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { SignalboxError } from "../../contract/errors.ts";
import { digestFolder, pathInside } from "./digest.ts";
import { checkOut, readGitSource } from "./git.ts";
import type { ResolvedSource, SourceRequest } from "./source.ts";

/**
 * Finds an action's files: a folder as it is now, or a commit of a git repository from the cache.
 * @throws SignalboxError `action_source`, `too_large`, `executor_missing` (no git), `action_cancelled`
 */
export async function resolveSource(request: SourceRequest): Promise<ResolvedSource> {
  const git = readGitSource(request.source);
  const found =
    git === null
      ? { dir: await folderOf(request), commit: null }
      : await checkOut(git, {
          cacheDir: request.cacheDir,
          pin: request.pin ?? null,
          update: request.update ?? false,
          ...{ signal: request.signal, env: request.env, progress: request.progress ?? (() => {}) },
        });
  const dir = pathInside(found.dir, request.subdir ?? ".", "subdir");
  await requireFolder(dir, request.subdir ?? request.source);
  return { dir, commit: found.commit, digest: await digestFolder(dir) };
}

async function folderOf({ source, base }: SourceRequest): Promise<string> {
  if (source.trim() === "" || source.includes("\0"))
    throw new SignalboxError("action_source", "`source` is blank; it names a folder or a git URL");
  const path = /^~(?=\/|$)/.test(source) ? homedir() + source.slice(1) : resolve(base, source);
  try {
    const dir = await realpath(path);
    await requireFolder(dir, source);
    return dir;
  } catch (error) {
    if (SignalboxError.is(error)) throw error;
    throw new SignalboxError("action_source", `there is no folder ${path}`, { cause: error });
  }
}

async function requireFolder(dir: string, name: string): Promise<void> {
  if ((await stat(dir)).isDirectory()) return;
  throw new SignalboxError("action_source", `${name} is a file`, {
    hint: "Name its folder as `source`, and the file as `entrypoint`.",
  });
}
