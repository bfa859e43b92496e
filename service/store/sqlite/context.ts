import type Database from "better-sqlite3";
import type { Changes, Committer, Rewindable } from "./committer.ts";

/** What the files of this adapter share. */
export interface SqliteContext {
  readonly db: Database.Database;
  readonly file: string;
  readonly committer: Committer;
  readonly memory: Memory;
}

export type Write = <T>(run: (changes: Changes) => T) => Promise<T>;

/** What is cheaper to know than to ask for. It follows every rollback. */
export class Memory implements Rewindable {
  lastSeq = 0;
  lastRecordedMs = 0;
  /** Topics that surely exist. */
  topics = new Set<string>();

  mark(): () => void {
    const { lastSeq, lastRecordedMs } = this;
    const known = this.topics.size;
    return () => {
      this.lastSeq = lastSeq;
      this.lastRecordedMs = lastRecordedMs;
      if (this.topics.size !== known) this.topics.clear();
    };
  }
}
