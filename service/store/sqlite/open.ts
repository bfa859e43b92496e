import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { SignalboxError } from "../../contract/errors.ts";
import { storageError } from "./errors.ts";

/** Beside this file in the sources and in the bundle. */
const migrationsFolder = fileURLToPath(new URL("./migrations/", import.meta.url));

export interface OpenOptions {
  /** Path, or `:memory:`. */
  file: string;
  durability: "normal" | "full";
}

/**
 * Opens the database, creating or migrating it. A newer schema is refused and left untouched; an older one is
 * copied beside itself first.
 * @throws SignalboxError `schema_newer`, `storage_corrupt`, `storage_failed`, `storage_full`
 */
export function openDatabase(options: OpenOptions): Database.Database {
  const { file } = options;
  let db: Database.Database | undefined;
  try {
    if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    db = new Database(file);
    // Foreign writers are waited for without blocking the event loop (Committer), so SQLite itself need not wait long.
    db.pragma("busy_timeout = 20");
    const version = schemaVersion(db, file);
    db.pragma("journal_mode = WAL");
    db.pragma(`synchronous = ${options.durability === "full" ? "FULL" : "NORMAL"}`);
    db.pragma("foreign_keys = ON");
    db.pragma("cache_size = -32000");
    db.pragma("temp_store = MEMORY");
    db.pragma("journal_size_limit = 67108864");
    if (file !== ":memory:") chmodSync(file, 0o600);
    migrate(db, file, version);
    return db;
  } catch (error) {
    db?.close();
    if (
      error instanceof Error &&
      "code" in error &&
      ["EACCES", "EROFS", "ENOSPC", "EPERM"].includes(String(error.code))
    ) {
      throw new SignalboxError("storage_failed", `${file}: ${error.message}`, {
        cause: error,
        hint: `Make the folder of ${file} writable for this user.`,
      });
    }
    throw storageError(error, file);
  }
}

function migrations(): { version: number; name: string; sql: string }[] {
  return readdirSync(migrationsFolder)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort()
    .map((name) => ({
      version: Number(name.slice(0, 4)),
      name,
      sql: readFileSync(`${migrationsFolder}/${name}`, "utf8"),
    }));
}

function schemaVersion(db: Database.Database, file: string): number {
  const version = Number(db.pragma("user_version", { simple: true }));
  const newest = migrations().at(-1)?.version ?? 0;
  if (version > newest) {
    throw new SignalboxError(
      "schema_newer",
      `${file} has schema ${version}; this Signalbox knows up to ${newest}`,
    );
  }
  const tables = Number(db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get());
  if (version === 0 && tables > 0) {
    throw new SignalboxError("storage_failed", `${file} is a SQLite database of another program`, {
      hint: "Set store.file to a file of its own.",
    });
  }
  return version;
}

function migrate(db: Database.Database, file: string, from: number): void {
  const open = migrations().filter((migration) => migration.version > from);
  if (open.length === 0) return;
  if (from > 0 && file !== ":memory:") copyBefore(db, file, from);
  db.transaction(() => {
    for (const migration of open) {
      db.exec(migration.sql);
      db.pragma(`user_version = ${migration.version}`);
    }
  }).immediate();
}

/** A copy of the file as it was, named after its schema, so that a failed or unwanted migration can be undone. */
function copyBefore(db: Database.Database, file: string, from: number): void {
  db.pragma("wal_checkpoint(TRUNCATE)");
  const copy = `${file}.schema-${from}.bak`;
  if (existsSync(copy)) return;
  copyFileSync(file, copy);
  chmodSync(copy, 0o600);
}
