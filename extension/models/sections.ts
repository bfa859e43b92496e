import type { ListedEvent } from "../../service/contract/events.ts";

/** A stretch of older events: where it is and how many they are. What they say is read when it is opened. */
export interface Section {
  readonly id: string;
  /** Largest and smallest `seq` of its events. */
  readonly newestSeq: number;
  readonly oldestSeq: number;
  readonly newestMs: number;
  readonly oldestMs: number;
  readonly count: number;
  /** Sections of its own, newest first; empty: it holds events. */
  readonly parts: readonly Section[];
}

/** So many sections become one of the next size. */
const BOUND = 20;

/**
 * The sections of a list, newest first, without a gap between them. Those in the middle are bound together, so that a
 * hundred thousand events are some dozens of rows; at both ends, where people look, they stand alone.
 */
export class Sections {
  #sections: Section[] = [];

  get all(): readonly Section[] {
    return this.#sections;
  }

  get isEmpty(): boolean {
    return this.#sections.length === 0;
  }

  /** Zero: there is none. */
  get newestSeq(): number {
    return this.#sections[0]?.newestSeq ?? 0;
  }

  get oldestSeq(): number | null {
    return this.#sections.at(-1)?.oldestSeq ?? null;
  }

  /** @param events newest first, all newer than what is here */
  addNewer(events: readonly ListedEvent[]): void {
    this.#sections.unshift(...sectionOf(events));
    const firstBound = this.#sections.findIndex(isBound);
    const loose = firstBound < 0 ? this.#sections.length : firstBound;
    if (loose > 2 * BOUND) this.#bind(loose - BOUND);
  }

  /** @param events newest first, all older than what is here */
  addOlder(events: readonly ListedEvent[]): void {
    this.#sections.push(...sectionOf(events));
    const firstLoose = this.#sections.findLastIndex(isBound) + 1;
    if (this.#sections.length - firstLoose > 2 * BOUND) this.#bind(firstLoose);
  }

  clear(): void {
    this.#sections = [];
  }

  #bind(from: number): void {
    const parts = this.#sections.slice(from, from + BOUND);
    const [newest] = parts;
    const oldest = parts.at(-1);
    if (newest === undefined || oldest === undefined) return;
    this.#sections.splice(from, BOUND, {
      id: `sections:${newest.id}`,
      newestSeq: newest.newestSeq,
      newestMs: newest.newestMs,
      oldestSeq: oldest.oldestSeq,
      oldestMs: oldest.oldestMs,
      count: parts.reduce((sum, { count }) => sum + count, 0),
      parts,
    });
  }
}

function isBound({ parts }: Section): boolean {
  return parts.length > 0;
}

function sectionOf(events: readonly ListedEvent[]): Section[] {
  const [newest] = events;
  const oldest = events.at(-1);
  if (newest === undefined || oldest === undefined) return [];
  const { id, seq, recorded_ms } = newest;
  return [
    {
      id: `page:${id}`,
      newestSeq: seq,
      newestMs: recorded_ms,
      oldestSeq: oldest.seq,
      oldestMs: oldest.recorded_ms,
      count: events.length,
      parts: [],
    },
  ];
}
