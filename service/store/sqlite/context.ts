import type Database from "better-sqlite3";
import type { Changes, Committer, Rewindable } from "./committer.ts";
import type { TopicSql } from "./rows.ts";

/** What the files of this adapter share. */
export interface SqliteContext {
  readonly db: Database.Database;
  readonly file: string;
  readonly committer: Committer;
  readonly memory: Memory;
  nowMs(): number;
}

/** One write of a port method, inside a transaction of the committer. */
export type Step<Request, Result> = (request: Request, changes: Changes) => Result;

/** What is cheaper to know than to ask for. It follows every rollback. */
export class Memory implements Rewindable {
  lastSeq = 0;
  lastRecordedMs = 0;
  /** No lease ends and no delayed delivery is due before this; null: there is none of either. */
  dueMs: number | null = null;
  /** Topics that surely exist, with their settings. */
  readonly topics = new Map<string, TopicSql>();

  dueAt(ms: number): void {
    if (this.dueMs === null || ms < this.dueMs) this.dueMs = ms;
  }

  mark(): () => void {
    const { lastSeq, lastRecordedMs, dueMs } = this;
    return () => {
      this.lastSeq = lastSeq;
      this.lastRecordedMs = lastRecordedMs;
      this.dueMs = dueMs;
      this.topics.clear();
    };
  }
}
