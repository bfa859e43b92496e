import { chmodSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import Database from "better-sqlite3";
import type { EffectState } from "../../contract/effects.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Finding } from "../../contract/system.ts";
import type { Store, StoreTotals } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { summedText } from "./sums.ts";

type MaintenanceMethods = Pick<Store, "totals" | "backup" | "check">;

export function maintenanceMethods(context: SqliteContext): MaintenanceMethods {
  const { db, file } = context;
  const writing = new Set<string>();
  return {
    totals: createTotals(context),
    async backup(target) {
      if (!existsSync(dirname(target))) {
        throw new SignalboxError("storage_failed", `${dirname(target)} does not exist`, {
          hint: "Make the folder for the backup first.",
        });
      }
      // Whoever finds the target finds it whole.
      const partial = `${target}.partial`;
      if (writing.has(partial))
        throw new SignalboxError("conflict", `a backup to ${target} is being written`);
      writing.add(partial);
      try {
        await db.backup(partial);
        chmodSync(partial, 0o600);
        const events = countEvents(partial);
        renameSync(partial, target);
        return { bytes: statSync(target).size, events };
      } catch (error) {
        throw backupError(error, target);
      } finally {
        for (const rest of ["", "-wal", "-shm", "-journal"]) rmSync(`${partial}${rest}`, { force: true });
        writing.delete(partial);
      }
    },
    async check() {
      const findings = [await checkIntegrity(db, file)];
      const permissions = checkPermissions(file);
      return permissions ? [...findings, permissions] : findings;
    },
  };
}

/** What keeps a copy from being written concerns its own place, not the database. */
function backupError(error: unknown, target: string): unknown {
  const code = (error as { code?: unknown }).code;
  if (!(error instanceof Error) || typeof code !== "string" || code.startsWith("SQLITE_CORRUPT"))
    return error;
  const isFull = code === "SQLITE_FULL" || code === "ENOSPC";
  return new SignalboxError(isFull ? "storage_full" : "storage_failed", `${target}: ${error.message}`, {
    cause: error,
    hint: isFull
      ? "Free some disk space there, or write the backup to another disk."
      : "Choose a file in a folder that this user can write to.",
  });
}

/** In the copy: events may have come in while it was made. */
function countEvents(copy: string): number {
  const db = new Database(copy, { readonly: true });
  try {
    const count = db
      .prepare<[], number>("SELECT n FROM counts WHERE topic = '' AND status = 'events'")
      .pluck();
    return count.get() ?? 0;
  } finally {
    db.close();
  }
}

/** Set where the build puts better-sqlite3 beside the service. */
declare const SIGNALBOX_SQLITE: string | undefined;

// A large file takes seconds, so it is read beside the event loop. As text, since a bundle has no file for it.
const checkSource = `
const { parentPort, workerData } = require("node:worker_threads");
const { crc32 } = require("node:zlib");
const Database = require(workerData.driver);
const db = new Database(workerData.file, { readonly: true });
try {
  const answer = String(db.pragma("quick_check(5)", { simple: true }));
  const changed = [];
  if (answer === "ok")
    for (const row of db.prepare(workerData.sums).iterate()) if (row.sum !== crc32(row.text)) changed.push(row.seq);
  const named = changed.slice(0, 5).join(", ");
  parentPort.postMessage(
    changed.length === 0 ? answer : changed.length + " events are not as they were written, such as " + named,
  );
} finally {
  db.close();
}`;

async function checkIntegrity(db: Database.Database, file: string): Promise<Finding> {
  const answer = await quickCheck(db, file).catch((error: Error) => error.message);
  const ok = answer === "ok";
  return {
    check: "database integrity",
    ok,
    message: ok ? `${file} is sound` : `${file}: ${answer}`,
    hint: ok ? null : "Stop the service, keep a copy of the file, then restore a backup.",
  };
}

function quickCheck(db: Database.Database, file: string): Promise<string> {
  if (file === ":memory:") return Promise.resolve(String(db.pragma("quick_check(5)", { simple: true })));
  const name = typeof SIGNALBOX_SQLITE === "undefined" ? "better-sqlite3" : SIGNALBOX_SQLITE;
  const driver = createRequire(import.meta.url).resolve(name);
  const sums = `SELECT seq, sum, ${summedText} AS text FROM events WHERE sum IS NOT NULL`;
  const worker = new Worker(checkSource, { eval: true, workerData: { driver, file, sums } });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  worker.once("message", resolve);
  worker.once("error", reject);
  worker.once("exit", () => reject(new Error("the check ended without an answer")));
  return promise;
}

function checkPermissions(file: string): Finding | null {
  if (file === ":memory:" || !existsSync(file) || process.platform === "win32") return null;
  const mode = statSync(file).mode & 0o777;
  const ok = (mode & 0o077) === 0;
  return {
    check: "database permissions",
    ok,
    message: `${file} has mode ${mode.toString(8)}`,
    hint: ok ? null : `Run chmod 600 on ${file}: others can read your events.`,
  };
}

function createTotals({ db, memory }: SqliteContext): () => StoreTotals {
  const counts = db.prepare<[], { status: string; n: number }>(
    "SELECT status, sum(n) AS n FROM counts GROUP BY status",
  );
  const topics = db.prepare<[], number>("SELECT count(*) FROM topics").pluck();
  const effects = db.prepare<[EffectState], number>("SELECT count(*) FROM effects WHERE state = ?").pluck();
  const unaddressed = db
    .prepare<[], number>(
      "SELECT count(*) FROM effects WHERE state = 'approved' AND kind = 'command' AND target NOT IN (SELECT name FROM agents)",
    )
    .pluck();
  return () => {
    const by = new Map(counts.all().map(({ status, n }) => [status, n]));
    const count = (status: string) => by.get(status) ?? 0;
    const effect = (state: EffectState) => effects.get(state) ?? 0;
    return {
      events: count("events"),
      last_seq: memory.lastSeq,
      topics: topics.get() ?? 0,
      deliveries: {
        pending: count("pending") + count("delayed"),
        processing: count("processing"),
        dead: count("dead"),
      },
      effects: {
        ...{ waiting: effect("waiting"), running: effect("running"), unknown: effect("unknown") },
        ...{ failed: effect("failed"), unaddressed: unaddressed.get() ?? 0 },
      },
    };
  };
}
