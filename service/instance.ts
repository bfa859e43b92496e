import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import type { Paths } from "./client/paths.ts";
import { SignalboxError } from "./contract/errors.ts";
import type { Closeable } from "./lib/scope.ts";
import { Secret } from "./lib/secret.ts";

/**
 * Holds the lock of this installation: an exclusive transaction on a small SQLite file, which the system takes
 * back at once when the process ends, however it ends.
 * @throws SignalboxError `already_running`
 */
export function acquireInstanceLock(lockFile: string): Closeable {
  mkdirSync(dirname(lockFile), { recursive: true, mode: 0o700 });
  const db = new Database(lockFile, { timeout: 0 });
  try {
    chmodSync(lockFile, 0o600);
    db.pragma("locking_mode = EXCLUSIVE");
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (!String((error as { code?: string }).code).startsWith("SQLITE_BUSY")) throw error;
    throw new SignalboxError("already_running", "another service of this user is running", { cause: error });
  }
  return { close: () => void db.close() };
}

/**
 * Makes the folder of the socket and the token one that only this user can enter.
 * @throws SignalboxError `forbidden` for a link, a stranger's folder, or one that others may enter
 */
export function securePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (process.platform === "win32") return;
  const stat = lstatSync(folder);
  const own = stat.isDirectory() && stat.uid === process.getuid?.();
  if (!own || (stat.mode & 0o077) !== 0) {
    throw new SignalboxError("forbidden", `${folder} is not a folder that only you can enter`, {
      hint: `Remove it, or make it yours: chown and chmod 700 ${folder}`,
    });
  }
}

/** A new token for this start, in a file that only this user can read. */
export function writeToken(tokenFile: string): Secret {
  const token = randomBytes(32).toString("base64url");
  writePrivate(tokenFile, token);
  return new Secret(token);
}

/** Tells clients where the service listens. */
export function writeAddress(paths: Paths): void {
  writePrivate(paths.addressFile, paths.socket);
}

export function removeRuntimeFiles(paths: Paths): void {
  for (const file of [paths.tokenFile, paths.addressFile]) rmSync(file, { force: true });
}

/** All or nothing: a reader never sees half of it. */
function writePrivate(file: string, text: string): void {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${text}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}
