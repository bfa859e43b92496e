import { SignalboxError } from "../../contract/errors.ts";
import type { Topic, TopicSettings } from "../../contract/topics.ts";
import type { Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import type { StoredStatus, TopicSql } from "./rows.ts";

export interface TopicDefaults {
  lease_ms: number;
  max_attempts: number;
}

export interface Topics {
  methods: Pick<Store, "listTopics" | "getTopic" | "saveTopic" | "deleteTopic">;
  /** @throws SignalboxError `not_found` */
  require(name: string): TopicSql;
  /** Inside a write: creates it where it does not exist. */
  ensure(name: string, now_ms: number): void;
}

/** Topics' settings and counts. */
export function openTopics(context: SqliteContext, defaults: TopicDefaults): Topics {
  const { committer, memory } = context;
  const statements = prepare(context);
  const { one, all, insert } = statements;
  const counted = (row: TopicSql): Topic => toTopic(row, statements.counts.all(row.name));
  const require = (name: string): TopicSql => {
    const known = memory.topics.get(name);
    if (known) return known;
    const row = one.get(name);
    if (!row) throw new SignalboxError("not_found", `there is no topic ${name}`);
    memory.topics.set(name, row);
    return row;
  };
  const ensure = (name: string, now_ms: number): void => {
    if (memory.topics.has(name)) return;
    insert.run(name, defaults.lease_ms, defaults.max_attempts, now_ms);
    require(name);
  };
  const methods: Topics["methods"] = {
    listTopics: async () => all.all().map(counted),
    async getTopic(name) {
      const row = one.get(name);
      return row ? counted(row) : null;
    },
    saveTopic: (name, patch, now_ms) =>
      committer.write((changes) => {
        ensure(name, now_ms);
        const next = { ...require(name), ...toColumns(patch) };
        statements.update.run(next);
        memory.topics.delete(name);
        // It may have been paused before.
        changes.topics.add(name);
        return counted(next);
      }),
    deleteTopic: (name) =>
      committer.write(() => {
        require(name);
        if (statements.delivery.get(name))
          throw new SignalboxError("conflict", `${name} still has events`, { hint: "Purge it first." });
        statements.remove.run(name);
        memory.topics.delete(name);
      }),
  };
  return { methods, require, ensure };
}

function prepare({ db }: SqliteContext) {
  return {
    one: db.prepare<[string], TopicSql>("SELECT * FROM topics WHERE name = ?"),
    all: db.prepare<[], TopicSql>("SELECT * FROM topics ORDER BY name"),
    insert: db.prepare<[string, number, number, number]>(
      "INSERT OR IGNORE INTO topics (name, lease_ms, max_attempts, created_ms) VALUES (?, ?, ?, ?)",
    ),
    counts: db.prepare<[string], { status: StoredStatus; n: number }>(
      "SELECT status, n FROM counts WHERE topic = ?",
    ),
    delivery: db.prepare<[string], { seq: number }>(
      `SELECT seq FROM deliveries
       WHERE status IN ('pending', 'delayed', 'processing', 'completed', 'failed', 'dead') AND topic = ? LIMIT 1`,
    ),
    remove: db.prepare<[string]>("DELETE FROM topics WHERE name = ?"),
    update: db.prepare<[TopicSql]>(
      `UPDATE topics SET prompt = @prompt, lease_ms = @lease_ms, max_attempts = @max_attempts, retention_ms = @retention_ms,
         pending_ttl_ms = @pending_ttl_ms, paused = @paused, allow = @allow WHERE name = @name`,
    ),
  };
}

function toColumns({ paused, allow, ...rest }: Partial<TopicSettings>): Partial<TopicSql> {
  return {
    ...rest,
    ...(paused === undefined ? {} : { paused: Number(paused) }),
    ...(allow === undefined ? {} : { allow: JSON.stringify(allow) }),
  };
}

function toTopic(row: TopicSql, counts: { status: StoredStatus; n: number }[]): Topic {
  const n = { pending: 0, delayed: 0, processing: 0, completed: 0, failed: 0, dead: 0 };
  for (const count of counts) n[count.status] = count.n;
  n.pending += n.delayed;
  return { ...row, paused: row.paused === 1, allow: JSON.parse(row.allow) as string[], counts: n };
}
