import type { Committed } from "../store.ts";

/** What a write changes, besides rows: handed out when the write is known to stand. */
export class Changes implements Committed {
  events: Committed["events"] = [];
  topics = new Set<string>();
  targets = new Set<string>();
  changed: string[] = [];
  proposed: string[] = [];
  ended: Committed["ended"] = [];
  dueMs: number | null = null;
  /** `topic\0status` → how many more or fewer. */
  readonly #counts = new Map<string, number>();

  count(topic: string, status: string, by: number): void {
    const key = `${topic}\0${status}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
  }

  /** Topic, status and difference, where there is one. */
  *counted(): Iterable<[topic: string, status: string, by: number]> {
    for (const [key, by] of this.#counts) {
      if (by === 0) continue;
      const at = key.indexOf("\0");
      yield [key.slice(0, at), key.slice(at + 1), by];
    }
  }

  dueAt(ms: number): void {
    this.dueMs = this.dueMs === null ? ms : Math.min(this.dueMs, ms);
  }

  add(other: Changes): void {
    for (const event of other.events) this.events.push(event);
    for (const topic of other.topics) this.topics.add(topic);
    for (const target of other.targets) this.targets.add(target);
    for (const id of other.changed) this.changed.push(id);
    for (const id of other.proposed) this.proposed.push(id);
    for (const effect of other.ended) this.ended.push(effect);
    if (other.dueMs !== null) this.dueAt(other.dueMs);
    for (const [key, by] of other.#counts) this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
  }
}
