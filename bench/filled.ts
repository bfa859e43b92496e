import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeEvent, TOPICS } from "./events.ts";
import type { BareStore } from "./store.ts";
import { openStore } from "./store.ts";

/** Of the oldest events of each size, so many are finished and a few fail. */
const FINISHED = 4_000;
const FAILED = 100;

/** One database that grows: measured on its way, and shared by the lines that need a large one. */
export interface FilledDatabase {
  /** Folder of a service whose database holds that many events, at least. The service must be stopped. */
  reach(count: number): Promise<Filled>;
}

export interface Filled {
  home: string;
  file: string;
  /** Of what had to be added: milliseconds an event, full text included. Null when nothing had to be. */
  fillMs: number | null;
}

export function createFilled(home: string, progress: (text: string) => void): FilledDatabase {
  const file = join(home, "signalbox.db");
  return {
    async reach(count) {
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
  return [file, `${file}-wal`].reduce((sum, path) => sum + (existsSync(path) ? statSync(path).size : 0), 0);
}
