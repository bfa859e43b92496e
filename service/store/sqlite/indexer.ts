import { SignalboxError } from "../../contract/errors.ts";
import type { Event } from "../../contract/events.ts";
import type { Logger } from "../../lib/log.ts";
import { searchText } from "../search-text.ts";
import type { SqliteContext } from "./context.ts";
import { type EventSql, eventColumns, toEvent } from "./rows.ts";

/** One batch ends after so many events or characters: a few milliseconds, and larger is cheaper by the event. */
const BATCH = 256;
const BATCH_CHARS = 200_000;
/** Events not yet in the full text at which indexing no longer waits for a quiet moment. */
const INDEX_AT = 512;
/** How long a quiet moment is waited for: many small batches cost more than one. */
const QUIET_MS = 15;

export interface Indexer {
  /** Resolves when every event up to `seq` is found by a search. @throws as the store's writes */
  reach(seq: number): Promise<void>;
  stop(): void;
}

/**
 * Fills the full text behind the commits, in larger transactions than theirs: that is several times cheaper. A
 * search first waits for it, so nobody sees the difference; after a crash it goes on where it was.
 */
export function startIndexer(context: SqliteContext, log: Logger): Indexer {
  const { committer, memory } = context;
  const recent = new RecentTexts();
  const batch = createBatch(context, recent);
  let indexed = batch.begin;
  let stopped = false;
  let running: Promise<void> | null = null;

  const run = async (): Promise<void> => {
    try {
      while (!stopped && indexed < memory.lastSeq) {
        indexed = await committer.writeAlone(() => batch.run(indexed));
      }
    } finally {
      running = null;
    }
  };
  const start = (): Promise<void> => {
    running ??= run();
    return running;
  };
  const behind = () => {
    if (stopped || running || indexed >= memory.lastSeq) return;
    // The events are safe and the next search or commit tries again, so a full disk only delays this.
    start().catch((error: unknown) => {
      if (!stopped) log.warn({ err: error }, "full text indexing failed; it goes on with the next event");
    });
  };
  let timer: NodeJS.Timeout | undefined;
  const later = () => {
    timer = undefined;
    behind();
  };
  committer.onCommit = (events) => {
    for (const event of events) recent.add(event);
    if (memory.lastSeq - indexed >= INDEX_AT) behind();
    else if (memory.lastSeq > indexed) timer ??= setTimeout(later, QUIET_MS).unref();
  };
  behind();
  return {
    async reach(seq) {
      while (indexed < seq) {
        if (stopped) throw new SignalboxError("unavailable", "the database is closed");
        await start();
      }
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

interface IndexedText {
  seq: number;
  text: string;
}

/** Texts of the newest events, so that they need not be read back. What is missing here is read from the file. */
class RecentTexts {
  readonly #texts: IndexedText[] = [];

  add(event: Event): void {
    if (this.#texts.length < 2 * INDEX_AT) this.#texts.push({ seq: event.seq, text: searchText(event) });
  }

  /** The text of the event that follows `seq`, if it is here. */
  after(seq: number): IndexedText | null {
    for (let first = this.#texts[0]; first; first = this.#texts[0]) {
      if (first.seq > seq + 1) return null;
      this.#texts.shift();
      if (first.seq === seq + 1) return first;
    }
    return null;
  }
}

/** Indexes what comes after a `seq` and answers how far it came. */
function createBatch({ db, memory }: SqliteContext, recent: RecentTexts) {
  const next = db.prepare<[number], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE seq > ? ORDER BY seq LIMIT 1`,
  );
  const insert = db.prepare("INSERT INTO events_text (rowid, text) VALUES (?, ?)");
  const save = db.prepare(
    "INSERT INTO meta (key, value) VALUES ('indexed_seq', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );
  const saved = db.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'indexed_seq'").get();
  const readNext = (seq: number): IndexedText | null => {
    const row = next.get(seq);
    return row ? { seq: row.seq, text: searchText(toEvent(row)) } : null;
  };
  return {
    begin: Number(saved?.value ?? 0),
    run(after: number): number {
      let last = after;
      let chars = 0;
      for (let count = 0; count < BATCH && chars < BATCH_CHARS; count++) {
        const row = recent.after(last) ?? readNext(last);
        // Cleaned-up events leave gaps, also at the end.
        if (!row) {
          last = memory.lastSeq;
          break;
        }
        insert.run(row.seq, row.text);
        last = row.seq;
        chars += row.text.length;
      }
      save.run(String(last));
      return last;
    },
  };
}
