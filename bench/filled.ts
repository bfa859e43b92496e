import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeEvent, TOPICS } from "./events.ts";
import { type BareStore, openStore } from "./store.ts";

/** Of the oldest events of each size, so many are finished and a few fail. */
const FINISHED = 4_000;
const FAILED = 100;

/** Databases of several sizes, each grown from the one before, shared by the lines that need a large one. */
export interface FilledDatabases {
  /** A database of that many events, or a few more. Its service must be stopped. */
  reach(count: number): Promise<Filled>;
}

export interface Filled {
  /** Folder of a service. */
  home: string;
  file: string;
  /** Of what had to be added: milliseconds an event, full text included. Null when nothing had to be. */
  fillMs: number | null;
}

export function createFilled(folder: string, progress: (text: string) => void): FilledDatabases {
  return {
    async reach(count) {
      const home = join(folder, String(count));
      const file = join(home, "signalbox.db");
      mkdirSync(home, { recursive: true, mode: 0o700 });
      const before = largestBelow(folder, count);
      if (!existsSync(file) && before !== null) {
        for (const suffix of ["", ".index"]) copyFileSync(`${before}${suffix}`, `${file}${suffix}`);
      }
      const bare = await openStore(file);
      try {
        const { events } = bare.store.totals();
        if (events >= count) return { home, file, fillMs: null };
        progress(`filling a database from ${events} to ${count.toLocaleString("en-US")} events`);
        const begun = performance.now();
        await bare.fill(count - events, makeEvent, events);
        const fillMs = (performance.now() - begun) / (count - events);
        await finishSome(bare);
        return { home, file, fillMs };
      } finally {
        await bare.close();
      }
    },
  };
}

/** The database to begin with. Closed stores leave it and its index behind, and no more. */
function largestBelow(folder: string, count: number): string | null {
  const sizes = readdirSync(folder)
    .map(Number)
    .filter((size) => size < count && existsSync(join(folder, String(size), "signalbox.db")));
  return sizes.length === 0 ? null : join(folder, String(Math.max(...sizes)), "signalbox.db");
}

/** So that every state has events. */
async function finishSome({ store }: BareStore): Promise<void> {
  const take = (topic: string, limit: number) =>
    store.claim({ topic, agent: "@worker", limit, lease_ms: undefined, now_ms: Date.now() });
  for (let done = 0; done < FINISHED + FAILED; ) {
    const claimed = await take(`topic-${done % TOPICS}`, 100);
    if (claimed.length === 0) return;
    const settlement =
      done < FINISHED ? ({ kind: "complete" } as const) : ({ kind: "reject", error: "no" } as const);
    await Promise.all(
      claimed.map(({ event, lease }) =>
        store.settle({ event_id: event.id, holder: { lease }, settlement, now_ms: Date.now(), events: [] }),
      ),
    );
    done += claimed.length;
  }
}

/** Of a database that nobody has open. */
export function sizeOfDatabase(file: string): number {
  return [file, `${file}-wal`, `${file}.index`, `${file}.index-wal`].reduce(
    (sum, path) => sum + (existsSync(path) ? statSync(path).size : 0),
    0,
  );
}
