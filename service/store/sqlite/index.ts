import { SignalboxError } from "../../contract/errors.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Store } from "../store.ts";
import { agentMethods } from "./agents.ts";
import { createAppend } from "./append.ts";
import { auditMethods, createAudit } from "./audit.ts";
import { claimMethods } from "./claims.ts";
import { cleanupMethods } from "./cleanup.ts";
import { Committer } from "./committer.ts";
import { Memory, type SqliteContext } from "./context.ts";
import { createPropose, effectMethods } from "./effects.ts";
import { endMethods } from "./ends.ts";
import { storageError } from "./errors.ts";
import { cursorMethods, eventMethods } from "./events.ts";
import { statementCache } from "./filter.ts";
import { findMethods } from "./find.ts";
import { IndexFile } from "./index-file.ts";
import { startIndexer } from "./indexer.ts";
import { maintenanceMethods } from "./maintenance.ts";
import { type OpenOptions, openDatabase } from "./open.ts";
import { receiptMethods } from "./receipts.ts";
import type { Index } from "./routes.ts";
import { runMethods } from "./runs.ts";
import { scheduleMethods } from "./schedules.ts";
import { searchMethods } from "./search.ts";
import { settleMethods } from "./settle.ts";
import { createBury, createSweep, type DescribeDead, dueMethods, nextDelivery } from "./sweep.ts";
import { openTopics, type TopicDefaults } from "./topics.ts";
import { WaitingClaims } from "./waiting-claims.ts";
import { workflowMethods } from "./workflows.ts";

export interface SqliteStoreOptions extends OpenOptions {
  /** Writes that may wait for a commit; more are refused as `busy`. */
  maxPending: number;
  /** How long another program may hold the file before writes are refused as `busy`. Default: 10 s. */
  busyMs?: number;
  clock: Clock;
  topicDefaults: TopicDefaults;
  subjectMatches(pattern: string, subject: string): boolean;
  /** Makes the event that tells of a dead letter. */
  describeDead: DescribeDead;
  log: Logger;
}

/** The embedded store: one SQLite file and its index, written by this process alone. @throws as `openDatabase` */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { file, clock, maxPending, busyMs = 10_000, subjectMatches } = options;
  const db = openDatabase(options);
  try {
    db.function("subject_matches", { deterministic: true }, (pattern, subject) =>
      Number(subjectMatches(String(pattern), String(subject))),
    );
    const memory = new Memory();
    const committer = new Committer({ db, file, memory, maxPending, busyMs });
    const context: SqliteContext = { db, file, committer, memory, nowMs: () => clock.nowMs() };
    restore(context);
    return guarded(assemble(context, options), file, () => db.open);
  } catch (error) {
    db.close();
    throw storageError(error, file);
  }
}

function assemble(context: SqliteContext, options: SqliteStoreOptions): Store {
  const { committer, db } = context;
  const topics = openTopics(context, options.topicDefaults);
  const append = createAppend(context, topics);
  const audit = createAudit(context);
  const waiting = new WaitingClaims(committer);
  const propose = createPropose(context, append, audit);
  const bury = createBury(context, append, options.describeDead);
  const sweep = createSweep(context, topics, bury);
  const index = openIndex(context, options);
  const events = eventMethods(context, append);
  return {
    onCommitted: (listener) => committer.subscribe(listener),
    writeProblem: () => committer.problem,
    ...events,
    ...cursorMethods(context, append),
    ...findMethods(context, index),
    ...searchMethods(context, index),
    ...topics.methods,
    ...claimMethods(context, topics, sweep),
    ...settleMethods(context, append, topics, bury),
    ...receiptMethods(context),
    ...endMethods(context),
    ...dueMethods(context, sweep),
    ...agentMethods(context, append),
    ...effectMethods(context, append, propose, audit, waiting),
    ...auditMethods(context, audit),
    ...runMethods(context, append, propose),
    ...workflowMethods(context),
    ...scheduleMethods(context, append),
    ...cleanupMethods(context, index),
    ...maintenanceMethods(context),
    async close() {
      waiting.close();
      await committer.close();
      await index.indexer.close();
      if (!db.open) return;
      // Leaves one file behind, so that a copy of it is a backup.
      db.pragma("wal_checkpoint(TRUNCATE)");
      db.close();
    },
  };
}

function openIndex(context: SqliteContext, { log, subjectMatches }: SqliteStoreOptions): Index {
  const { db, file } = context;
  const index = new IndexFile(file === ":memory:" ? file : `${file}.index`);
  try {
    const indexer = startIndexer({ context, index, log });
    return { prepare: statementCache(db), file: index, indexer, subjectMatches };
  } catch (error) {
    index.close();
    throw error;
  }
}

function restore({ db, memory }: SqliteContext): void {
  const last = db
    .prepare<[], { seq: number; recorded_ms: number }>(
      "SELECT seq, recorded_ms FROM events ORDER BY seq DESC LIMIT 1",
    )
    .get();
  const floor = db.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'seq_floor'").get();
  memory.lastSeq = Math.max(last?.seq ?? 0, Number(floor?.value ?? 0));
  memory.lastRecordedMs = last?.recorded_ms ?? 0;
  memory.dueMs = nextDelivery({ db })();
}

/** Every error of SQLite, also of a read, becomes one of ours. */
function guarded(store: Store, file: string, isOpen: () => boolean): Store {
  const explain = (error: unknown): unknown =>
    isOpen() || SignalboxError.is(error)
      ? storageError(error, file)
      : new SignalboxError("unavailable", "the database is closed", { cause: error });
  const wrap =
    (method: (...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      try {
        const answer = method(...args);
        if (!(answer instanceof Promise)) return answer;
        return answer.catch((error: unknown) => {
          throw explain(error);
        });
      } catch (error) {
        throw explain(error);
      }
    };
  const wrapped = Object.entries(store).map(([name, method]) => [name, wrap(method)]);
  return Object.fromEntries(wrapped) as Store;
}
