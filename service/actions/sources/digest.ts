import { createHash } from "node:crypto";
import { constants, type Dirent, realpathSync } from "node:fs";
import { chmod, mkdir, open, readdir, readlink, realpath, symlink, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { SignalboxError } from "../../contract/errors.ts";
import { isUnder } from "../../lib/bubblewrap.ts";

/** Neither hashed nor copied, so they never run: what tools make by themselves, and history. */
const LEFT_OUT = new Set([".git", "node_modules", ".venv", "__pycache__", ".envyr", ".DS_Store"]);
const MAX_FILES = 20_000;
const MAX_BYTES = 256 * 1024 * 1024;

interface Entry {
  /** Relative, with forward slashes. */
  readonly path: string;
  readonly kind: "file" | "link";
}

/**
 * Hex SHA-256 over the files under `dir`, in the order of their paths: kind and executable or not, path, bytes. Other
 * permission bits, times and owners don't count, so a fresh checkout has the digest of the old one. Links count by
 * their words and may lead inside only.
 * @throws SignalboxError `action_source` for links that lead outside and things that are no files; `too_large` over
 * 20,000 files or 256 MiB
 */
export async function digestFolder(dir: string): Promise<string> {
  return readFolder(dir, null);
}

/** Copies what `digestFolder` reads, in the same reading, to `target`, which must not exist. Answers with its digest. */
export async function copyFolder(dir: string, target: string): Promise<string> {
  await mkdir(target, { recursive: true });
  await chmod(target, 0o755);
  return readFolder(dir, target);
}

async function readFolder(dir: string, target: string | null): Promise<string> {
  const hash = createHash("sha256");
  let size = 0;
  for (const entry of await listFolder(dir)) {
    const from = join(dir, entry.path);
    const to = target === null ? null : join(target, entry.path);
    if (target !== null) await makeFolders(target, dirname(entry.path));
    const { mode, bytes } = entry.kind === "link" ? await readLink(dir, entry.path) : await readFileAt(from);
    size += bytes.length;
    if (size > MAX_BYTES) throw tooLarge(dir, "256 MiB");
    hash.update(`${mode} ${Buffer.byteLength(entry.path)} ${entry.path} ${bytes.length}\n`).update(bytes);
    if (to === null) continue;
    if (entry.kind === "link") await symlink(bytes.toString(), to);
    else {
      await writeFile(to, bytes, { flag: "wx" });
      await chmod(to, mode === "100755" ? 0o755 : 0o644);
    }
  }
  return hash.digest("hex");
}

/** Readable for all, whatever the umask: in a container the program is another user. The cache around it is shut. */
async function makeFolders(target: string, path: string): Promise<void> {
  const first = await mkdir(join(target, path), { recursive: true });
  if (first === undefined) return;
  for (let folder = join(target, path); folder !== dirname(first); folder = dirname(folder))
    await chmod(folder, 0o755);
}

async function listFolder(dir: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const found of await readdir(join(dir, folder), { withFileTypes: true })) {
      if (LEFT_OUT.has(found.name)) continue;
      const path = folder === "" ? found.name : `${folder}/${found.name}`;
      if (found.isDirectory()) folders.push(path);
      else entries.push({ path, kind: kindOf(found, path) });
    }
    if (entries.length > MAX_FILES) throw tooLarge(dir, "20,000 files");
  }
  // By code units: the same everywhere, which no locale is.
  return entries.sort((one, other) => (one.path < other.path ? -1 : 1));
}

function kindOf(found: Dirent, path: string): Entry["kind"] {
  if (found.isFile()) return "file";
  if (found.isSymbolicLink()) return "link";
  throw new SignalboxError("action_source", `${path} is neither a file nor a folder nor a link`);
}

async function readFileAt(file: string): Promise<{ mode: string; bytes: Buffer }> {
  // It was a plain file a moment ago; a link put in its place must not be followed.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, size } = await handle.stat();
    if (size > MAX_BYTES) throw tooLarge(file, "256 MiB");
    return { mode: (mode & 0o100) === 0 ? "100644" : "100755", bytes: await handle.readFile() };
  } finally {
    await handle.close();
  }
}

async function readLink(dir: string, path: string): Promise<{ mode: string; bytes: Buffer }> {
  const target = await readlink(join(dir, path));
  const words = resolve(dir, dirname(path), target);
  const inside = !isAbsolute(target) && isUnder(words, dir) && (await leadsInside(dir, words));
  if (!inside) {
    throw new SignalboxError("action_source", `the link ${path} leads outside (${target})`, {
      hint: "Put the file itself there; an action's files are what was approved, and no others.",
    });
  }
  return { mode: "120000", bytes: Buffer.from(target) };
}

/** Links on the way count too. One that leads nowhere leads nowhere in the copy as well. */
async function leadsInside(dir: string, path: string): Promise<boolean> {
  try {
    return isUnder(await realpath(path), await realpath(dir));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
    throw error;
  }
}

function tooLarge(what: string, limit: string): SignalboxError {
  return new SignalboxError("too_large", `${what} holds more than ${limit}`, {
    hint: "Name the folder of the program alone with `subdir`.",
  });
}

/**
 * Absolute path of `path` inside `dir`, all links resolved.
 * @throws SignalboxError `action_source` when it is absolute, leads outside or isn't there; `what` names it
 */
export function pathInside(dir: string, path: string, what: string): string {
  const outside = () =>
    new SignalboxError("action_source", `${what} ${JSON.stringify(path)} leads out of ${dir}`);
  if (isAbsolute(path) || path.includes("\0") || !isUnder(resolve(dir, path), dir)) throw outside();
  try {
    const real = realpathSync(resolve(dir, path));
    if (isUnder(real, realpathSync(dir))) return real;
  } catch (error) {
    const message = `${what} ${JSON.stringify(path)} is not there (in ${dir})`;
    throw new SignalboxError("action_source", message, { cause: error });
  }
  throw outside();
}
