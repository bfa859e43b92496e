import { SignalboxError } from "../../contract/errors.ts";
import type { Event } from "../../contract/events.ts";
import type { Logger } from "../../lib/log.ts";
import { searchText } from "../search-text.ts";
import type { EventDraft } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { type EventSql, eventColumns, toEvent } from "./rows.ts";
import { indexedText, type Stretches } from "./words.ts";

/** One batch ends after so many events or characters: a few milliseconds, and larger is cheaper by the event. */
const BATCH = 512;
const BATCH_CHARS = 400_000;
/** Events not yet in the index at which indexing no longer waits for a quiet moment. */
const INDEX_AT = 1_024;
/** How long a quiet moment is waited for: many small batches cost more than one. */
const QUIET_MS = 15;
/** Events behind the index that a query looks through itself. */
const LOOK_THROUGH = 64;

export interface Indexer {
  /**
   * Up to which `seq` the index may be asked. Events up to `seq` that lie beyond are few: a query looks through them.
   * They are more when the index can't be written, such as on a full disk: then queries are slower, and still right.
   */
  upTo(seq: number): Promise<number>;
  /** The same without waiting. */
  indexed(): number;
  stop(): void;
}

/**
 * Fills the index behind the commits, in larger transactions than theirs: that is several times cheaper than filling
 * it with each event. A query first looks how far it is, so nobody sees the difference; after a crash it goes on where
 * it was.
 */
export function startIndexer(context: SqliteContext, stretches: Stretches, log: Logger): Indexer {
  const { committer, memory } = context;
  const recent = new RecentEvents();
  const batch = createBatch(context, stretches, recent);
  let indexed = batch.begin;
  let stopped = false;
  let running: Promise<void> | null = null;

  const step = (): Promise<void> => {
    running ??= committer
      .writeDerived(() => batch.run(indexed))
      .then(
        (reached) => {
          indexed = reached;
        },
        (error: unknown) => {
          stretches.forget();
          throw error;
        },
      )
      .finally(() => {
        running = null;
      });
    return running;
  };
  // The events are safe and the next query or commit tries again, so a full disk only delays this.
  const warn = (error: unknown) => {
    if (!stopped) log.warn({ err: error }, "events could not be indexed; it goes on with the next one");
  };
  let catchingUp = false;
  const behind = async (): Promise<void> => {
    if (catchingUp) return;
    catchingUp = true;
    try {
      while (!stopped && indexed < memory.lastSeq) await step();
    } catch (error) {
      warn(error);
    } finally {
      catchingUp = false;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const later = () => {
    timer = undefined;
    void behind();
  };
  committer.onCommit = ({ events, refs }) => {
    for (const event of events) recent.add({ event, refs: refs.get(event.seq) ?? [] });
    if (memory.lastSeq - indexed >= INDEX_AT) void behind();
    else if (memory.lastSeq > indexed) timer ??= setTimeout(later, QUIET_MS).unref();
  };
  void behind();
  return {
    async upTo(seq) {
      while (indexed < seq - LOOK_THROUGH) {
        if (stopped) throw new SignalboxError("unavailable", "the database is closed");
        try {
          await step();
        } catch (error) {
          warn(error);
          break;
        }
      }
      return Math.min(indexed, seq);
    },
    indexed: () => indexed,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

interface RecentEvent {
  event: Event;
  refs: EventDraft["refs"];
}

/** The newest events, so that they need not be read back. What is missing here is read from the file. */
class RecentEvents {
  #events: RecentEvent[] = [];
  #first = 0;

  add(event: RecentEvent): void {
    if (this.#events.length - this.#first < 2 * INDEX_AT) this.#events.push(event);
  }

  /** The event that follows `seq`, if it is here. */
  after(seq: number): RecentEvent | null {
    for (;;) {
      const next = this.#events[this.#first];
      if (!next) {
        this.#events = [];
        this.#first = 0;
        return null;
      }
      if (next.event.seq > seq + 1) return null;
      this.#first += 1;
      if (next.event.seq === seq + 1) return next;
    }
  }
}

/** Indexes what comes after a `seq` and answers how far it came. */
function createBatch({ db, memory }: SqliteContext, stretches: Stretches, recent: RecentEvents) {
  const next = db.prepare<[number], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE seq > ? ORDER BY seq LIMIT 1`,
  );
  const refsOf = db.prepare<[number], RecentEvent["refs"][number]>(
    "SELECT kind, value FROM refs WHERE seq = ?",
  );
  const addSubject = db.prepare<[string, number]>(
    "INSERT INTO subjects (subject, n) VALUES (?, ?) ON CONFLICT (subject) DO UPDATE SET n = n + excluded.n",
  );
  const save = db.prepare(
    "INSERT INTO meta (key, value) VALUES ('indexed_seq', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );
  const saved = db.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'indexed_seq'").get();
  const readNext = (seq: number): RecentEvent | null => {
    const row = next.get(seq);
    return row ? { event: toEvent(row), refs: refsOf.all(row.seq) } : null;
  };
  return {
    begin: Number(saved?.value ?? 0),
    run(after: number): number {
      let last = after;
      let chars = 0;
      const subjects = new Map<string, number>();
      for (let count = 0; count < BATCH && chars < BATCH_CHARS; count++) {
        const found = recent.after(last) ?? readNext(last);
        // Cleaned-up events leave gaps, also at the end.
        if (!found) {
          last = memory.lastSeq;
          break;
        }
        const { event, refs } = found;
        const text = indexedText(searchText(event), event, refs);
        stretches.insert(event.seq, text);
        subjects.set(event.subject, (subjects.get(event.subject) ?? 0) + 1);
        last = event.seq;
        chars += text.length;
      }
      for (const [subject, n] of subjects) addSubject.run(subject, n);
      save.run(String(last));
      return last;
    },
  };
}
