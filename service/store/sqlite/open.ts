import { chmodSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { SignalboxError } from "../../contract/errors.ts";
import { storageError } from "./errors.ts";
import { type Migration, migrate, readMigrations } from "./migrate.ts";

export interface OpenOptions {
  /** Path, or `:memory:`. */
  file: string;
  durability: "normal" | "full";
  migrations?: Migration[];
}

/** "SIGB", set by the first migration. */
const APPLICATION_ID = 0x53494742;
/** Another process may be closing the file just now. Afterwards nothing waits inside SQLite: the committer does. */
const OPEN_WAIT_MS = 2_000;

/**
 * Opens the database, creating or migrating it. What is not ours, is newer or is broken is refused before a byte of
 * it changes; an older schema is copied beside itself first.
 * @throws SignalboxError `schema_newer`, `storage_corrupt`, `storage_failed`, `storage_full`, `busy`
 */
export function openDatabase({
  file,
  durability,
  migrations = readMigrations(),
}: OpenOptions): Database.Database {
  let db: Database.Database | undefined;
  try {
    if (file !== ":memory:") {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      if (sizeOf(file) > 0) inspect(file, migrations);
    }
    db = new Database(file, { timeout: OPEN_WAIT_MS });
    const from = Number(db.pragma("user_version", { simple: true }));
    db.pragma("journal_mode = WAL");
    db.pragma(`synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
    db.pragma("foreign_keys = ON");
    db.pragma("cache_size = -32000");
    db.pragma("temp_store = MEMORY");
    // In pages. A page that changes often is then written back once instead of many times.
    db.pragma("wal_autocheckpoint = 4000");
    db.pragma("journal_size_limit = 67108864");
    if (file !== ":memory:") chmodSync(file, 0o600);
    migrate(db, file, from, migrations);
    db.pragma("busy_timeout = 0");
    return db;
  } catch (error) {
    db?.close();
    throw openError(error, file);
  }
}

function sizeOf(file: string): number {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat && !stat.isFile()) {
    throw new SignalboxError("storage_failed", `${file} is not a file`, {
      hint: "Set store.file to a file of its own.",
    });
  }
  return stat?.size ?? 0;
}

/** Looks without writing: opening a database for writing already changes it, or the log beside it. */
function inspect(file: string, migrations: Migration[]): void {
  const db = new Database(file, { readonly: true, timeout: OPEN_WAIT_MS });
  try {
    const tables = Number(db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get());
    if (tables > 0 && Number(db.pragma("application_id", { simple: true })) !== APPLICATION_ID) {
      throw new SignalboxError("storage_failed", `${file} is a SQLite database of another program`, {
        hint: "Set store.file to a file of its own.",
      });
    }
    const version = Number(db.pragma("user_version", { simple: true }));
    const newest = migrations.at(-1)?.version ?? 0;
    if (version > newest) {
      throw new SignalboxError(
        "schema_newer",
        `${file} has schema ${version}; this Signalbox knows up to ${newest}`,
      );
    }
  } finally {
    db.close();
  }
}

const UNWRITABLE = ["EACCES", "EROFS", "EPERM", "ENOTDIR", "EEXIST"];

function openError(error: unknown, file: string): unknown {
  const code = (error as { code?: unknown }).code;
  if (!(error instanceof Error) || SignalboxError.is(error) || typeof code !== "string") return error;
  const message = `${file}: ${error.message}`;
  if (code === "ENOSPC") return new SignalboxError("storage_full", message, { cause: error });
  if (UNWRITABLE.includes(code)) {
    return new SignalboxError("storage_failed", message, {
      cause: error,
      hint: `Make ${file} and its folder writable for this user.`,
    });
  }
  return storageError(error, file);
}
