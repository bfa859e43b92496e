import { chmodSync, copyFileSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type Database from "better-sqlite3";

export interface Migration {
  /** The schema that it leads to: 1, 2, 3, … */
  version: number;
  sql: string;
}

/** Those of `NNNN-name.sql`, in order. They lie beside this file in the sources and in the bundle. */
export function readMigrations(
  folder = fileURLToPath(new URL("./migrations/", import.meta.url)),
): Migration[] {
  return readdirSync(folder)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), sql: readFileSync(`${folder}/${name}`, "utf8") }));
}

/** Brings the schema up to date in one transaction; a database that already holds something is copied before. */
export function migrate(db: Database.Database, file: string, from: number, migrations: Migration[]): void {
  const open = migrations.filter((migration) => migration.version > from);
  if (open.length === 0) return;
  if (from > 0 && file !== ":memory:") copyBefore(db, file, from);
  db.transaction(() => {
    for (const { sql, version } of open) {
      db.exec(sql);
      db.pragma(`user_version = ${version}`);
    }
  }).immediate();
}

/** The file as it was, beside it, named after its schema: an unwanted migration can be undone. */
function copyBefore(db: Database.Database, file: string, from: number): void {
  db.pragma("wal_checkpoint(TRUNCATE)");
  const copy = `${file}.schema-${from}.bak`;
  copyFileSync(file, `${copy}.partial`);
  chmodSync(`${copy}.partial`, 0o600);
  renameSync(`${copy}.partial`, copy);
}
