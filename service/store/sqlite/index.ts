import type Database from "better-sqlite3";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Store } from "../store.ts";
import { agentMethods } from "./agents.ts";
import { Committer } from "./committer.ts";
import { Memory, type SqliteContext } from "./context.ts";
import { createPropose, effectMethods } from "./effects.ts";
import { createAppend, eventMethods, type TopicDefaults } from "./events.ts";
import { maintenanceMethods } from "./maintenance.ts";
import { openDatabase } from "./open.ts";
import { type DescribeDead, queueMethods } from "./queue.ts";
import { runMethods, workflowMethods } from "./runs.ts";
import { findMethods, Indexer } from "./search.ts";

export interface SqliteStoreOptions {
  file: string;
  durability: "normal" | "full";
  maxPending: number;
  clock: Clock;
  topicDefaults: TopicDefaults;
  subjectMatches(pattern: string, subject: string): boolean;
  describeDead: DescribeDead;
  log: Logger;
}

/** Events not yet in the full text at which indexing no longer waits for a quiet moment. */
const INDEX_AT = 512;

/** The embedded store: one SQLite file, written by this process alone. @throws as `openDatabase` */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const db = openDatabase(options);
  const memory = new Memory();
  restore(db, memory);
  db.function("subject_matches", { deterministic: true }, (pattern, subject) =>
    Number(options.subjectMatches(String(pattern), String(subject))),
  );
  const committer = new Committer(db, memory, options.maxPending);
  const context: SqliteContext = { db, file: options.file, committer, memory };
  const append = createAppend(context, options.topicDefaults, () => options.clock.nowMs());
  const propose = createPropose(context);
  const indexer = new Indexer(db);
  const stopIndexing = indexBehind(committer, indexer, memory, options.log);
  const events = eventMethods(context, append);
  return {
    onCommitted: (listener) => committer.subscribe(listener),
    ...events,
    ...findMethods(context, indexer, events.seqBefore),
    ...queueMethods(context, append, options.topicDefaults, options.describeDead),
    ...agentMethods(context, append),
    ...effectMethods(context, append, propose),
    ...runMethods(context, append, propose),
    ...workflowMethods(context),
    ...maintenanceMethods(context),
    close() {
      stopIndexing();
      committer.close();
      // Leaves one file behind, so that a copy of it is a backup.
      db.pragma("wal_checkpoint(TRUNCATE)");
      db.close();
    },
  };
}

function restore(db: Database.Database, memory: Memory): void {
  const last = db
    .prepare<[], { seq: number; recorded_ms: number }>(
      "SELECT seq, recorded_ms FROM events ORDER BY seq DESC LIMIT 1",
    )
    .get();
  const floor = db.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'seq_floor'").get();
  memory.lastSeq = Math.max(last?.seq ?? 0, Number(floor?.value ?? 0));
  memory.lastRecordedMs = last?.recorded_ms ?? 0;
}

/** Indexes in quiet moments, and at once when too much is behind. Returns how to stop. */
function indexBehind(committer: Committer, indexer: Indexer, memory: Memory, log: Logger): () => void {
  let stopped = false;
  let scheduled = false;
  // The events are committed and a search catches up by itself, so a full disk only delays this.
  const step = (): boolean => {
    try {
      return indexer.step();
    } catch (error) {
      log.warn({ err: error }, "full text indexing failed; it goes on with the next event");
      return false;
    }
  };
  const run = () => {
    scheduled = false;
    if (stopped || !committer.idle) return;
    if (step()) schedule();
  };
  const schedule = () => {
    if (scheduled || stopped) return;
    scheduled = true;
    setImmediate(run);
  };
  committer.onCommit = () => {
    if (memory.lastSeq - indexer.indexedSeq >= INDEX_AT) step();
  };
  committer.onIdle = schedule;
  schedule();
  return () => {
    stopped = true;
  };
}
