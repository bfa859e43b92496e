import {
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventually } from "../../../test/harness/eventually.ts";
import { append, openSqlite, type SqliteOpened } from "../../../test/harness/store.ts";
import type { EventQuery, SearchQuery } from "../../contract/events.ts";
import { readMigrations } from "./migrate.ts";
import { openDatabase } from "./open.ts";

describe("the index", () => {
  let opened: SqliteOpened;
  beforeEach(async () => {
    opened = await openSqlite();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await opened.close();
  });
  const indexFile = () => `${opened.file}.index`;
  const search = async (text: string, more: Partial<SearchQuery> = {}) =>
    (await opened.store.searchEvents({ text, order: "recent", limit: 5_000, ...more })).map(({ seq }) => seq);
  const push = (count: number, words = "needle") => {
    const { store, events } = opened;
    return store.append(
      Array.from({ length: count }, (_, n) =>
        events.draft({ type: "a.b", source: n % 2 ? "odd" : "even", body: `${words} @bob ${n}` }, null),
      ),
    );
  };
  /** What the file itself says, without the store. */
  const indexedSeq = () => {
    const db = new Database(indexFile(), { readonly: true });
    try {
      return Number(db.prepare("SELECT value FROM state WHERE key = 'indexed_seq'").pluck().get() ?? 0);
    } finally {
      db.close();
    }
  };

  it("M7 few events and many are found alike, here or by a thread of its own, which ends with the store", async () => {
    await push(30);
    expect(await search("needle")).toHaveLength(30);
    await push(3_000, "straw");
    expect(await search("straw")).toHaveLength(3_000);
    expect(await opened.store.findEvents({ source: "odd", mention: "bob", limit: 5_000 })).toHaveLength(
      1_515,
    );
    await eventually(indexedSeq, (seq) => seq === 3_030);
    await opened.reopen();
    expect(await search("straw 2999")).toEqual([3_030]);
    expect(existsSync(`${indexFile()}-wal`) && statSync(`${indexFile()}-wal`).size > 0).toBe(false);
  });

  it("U12 only the owner can read it", async () => {
    if (process.platform === "win32") return;
    expect(statSync(indexFile()).mode & 0o777).toBe(0o600);
  });

  it("M2 one that is gone, damaged or of another kind is made anew", async () => {
    await push(200);
    const damages: (() => void)[] = [
      () => writeFileSync(indexFile(), ""),
      () => writeFileSync(indexFile(), "this is no database".repeat(1_000)),
      () => {
        const db = new Database(indexFile());
        db.pragma("user_version = 77");
        db.close();
      },
    ];
    for (const damage of damages) {
      await opened.store.close();
      damage();
      await opened.reopen();
      expect(await search("needle")).toHaveLength(200);
    }
  });

  it("M2 a page that breaks while it is in use is told of, and the next search is right again", async () => {
    await push(600, "needle ".repeat(40));
    await search("needle");
    await opened.store.close();
    const { size } = statSync(indexFile());
    const file = openSync(indexFile(), "r+");
    for (let page = 4; page * 4_096 < size; page++)
      writeSync(file, Buffer.alloc(64, 0xff), 0, 64, page * 4_096);
    await opened.reopen();
    const first = await search("needle").catch((error: unknown) => error);
    if (!Array.isArray(first)) expect(first).toMatchObject({ code: "unavailable", retryAfterS: 1 });
    await eventually(
      () => search("needle").catch(() => []),
      (found) => found.length === 600,
    );
  });

  it("M2 a log that was put back from a copy is not searched by the index of what came after", async () => {
    await push(100, "kept");
    const copy = join(opened.folder, "copy.db");
    await opened.store.backup(copy);
    await push(50, "lost");
    await search("lost");
    await opened.store.close();
    copyFileSync(copy, opened.file);
    await opened.reopen();
    expect([(await search("kept")).length, await search("lost")]).toEqual([100, []]);
    // The same places, other events.
    await push(50, "other");
    expect([(await search("other")).length, await search("lost")]).toEqual([50, []]);
    await opened.store.close();
    copyFileSync(copy, opened.file);
    const behind = new Database(opened.file);
    const rows =
      "SELECT 101, 'evt_x', schema_version, type, source, subject, topic, time_ms, recorded_ms, 'new'";
    behind.exec(`INSERT INTO events SELECT * FROM (${rows}, payload, meta, conversation_key, user_key, correlation_id,
      parent_id, external_id, scope, origin_kind, depth, parked, NULL FROM events WHERE seq = 100)`);
    behind.exec("UPDATE meta SET value = value WHERE key = 'log_id'");
    behind.close();
    const index = new Database(indexFile());
    index.exec("UPDATE state SET value = '101' WHERE key = 'indexed_seq'");
    index.close();
    await opened.reopen();
    expect([await search("new"), await search("other")]).toEqual([[101], []]);
  });

  it("M13 what is cleaned up leaves no words behind, and a table whose events are all gone goes", async () => {
    await push(10, "first");
    await opened.store.close();
    const db = openDatabase({ file: opened.file, durability: "normal" });
    db.exec("INSERT OR REPLACE INTO meta (key, value) VALUES ('seq_floor', '70000')");
    db.close();
    await opened.reopen();
    await push(10, "second");
    expect(await search("second")).toHaveLength(10);
    const tables = () => {
      const index = new Database(indexFile(), { readonly: true });
      const sql = "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%' ORDER BY name";
      const names = index.prepare<[], string>(sql).pluck().all();
      index.close();
      return names;
    };
    await eventually(tables, (names) => names.join() === "words_0,words_1");
    const now_ms = opened.clock.nowMs() + 10;
    const request = { completed_before_ms: now_ms, raw_before_ms: 0, pending_before_ms: 0, dry_run: false };
    await opened.store.cleanup({ ...request, now_ms, batch: 10 });
    await eventually(tables, (names) => names.join() === "words_1");
    expect([await search("first"), (await search("second")).length]).toEqual([[], 10]);
    expect(await opened.store.findEvents({ subject: "a.*", limit: 50 })).toHaveLength(10);
  });

  it("what it can't write on a full disk is looked through instead, by words and by filters", async () => {
    await push(5, "indexed");
    await eventually(indexedSeq, (seq) => seq === 5);
    const index = new Database(indexFile());
    index.exec("CREATE TRIGGER full BEFORE UPDATE ON subjects BEGIN SELECT RAISE(ABORT, 'full'); END");
    index.close();
    await push(300, "later");
    expect(await search("later")).toHaveLength(300);
    expect(await search("later", { source: "odd" })).toHaveLength(150);
    expect(await opened.store.findEvents({ source: "odd", limit: 500 })).toHaveLength(152);
    const oldest = await opened.store.findEvents({ source: "odd", oldest_first: true, limit: 500 });
    expect(oldest.map(({ seq }) => seq).slice(0, 4)).toEqual([2, 4, 7, 9]);
    expect(indexedSeq()).toBe(5);
  });

  it("a private character in a text or a search is no key", async () => {
    const key = "\ue1f4aabc";
    await append(opened, { body: `before ${key} after` });
    expect(await search("before abc")).toEqual([]);
    expect(await search("aabc")).toEqual([1]);
    expect(await search(`${key} before`)).toEqual([1]);
  });

  it("M18 values that share a key are told apart", async () => {
    // Both have the same CRC-32.
    const [one, other] = ["plumless", "buckeroo"];
    await append(opened, { source: one });
    await append(opened, { source: other });
    const found = await opened.store.findEvents({ source: one, limit: 10 });
    expect(found.map(({ seq }) => seq)).toEqual([1]);
  });

  it("M18 a page that takes too long says how far it came, and goes on from there", async () => {
    const { store, events } = opened;
    // So many subjects that a pattern without a beginning is looked for in the log itself.
    for (let part = 0; part < 5; part++) {
      const drafts = Array.from({ length: 1_000 }, (_, n) => {
        const seq = part * 1_000 + n + 1;
        return events.draft({ subject: `s${seq}.${seq === 700 || seq === 701 ? "hit" : "miss"}` }, null);
      });
      await store.append(drafts);
    }
    await eventually(indexedSeq, (seq) => seq === 5_000);
    const follow = async (order: Partial<EventQuery>) => {
      const seen: number[] = [];
      const cuts: number[] = [];
      for (let before: number | undefined; ; ) {
        const more = before === undefined ? {} : { before };
        const page = await store.findWithin({ subject: "*.hit", limit: 10, ...order, ...more }, 0);
        seen.push(...page.events.map(({ seq }) => seq));
        if (page.cut === null) return { seen, cuts };
        cuts.push(page.cut);
        before = page.cut;
      }
    };
    expect(await follow({})).toEqual({ seen: [701, 700], cuts: [4_001, 3_001, 2_001, 1_001] });
    expect(await follow({ oldest_first: true })).toEqual({
      seen: [700, 701],
      cuts: [1_000, 2_000, 3_000, 4_000],
    });
    expect((await store.findEvents({ subject: "*.hit", limit: 10 })).map(({ seq }) => seq)).toEqual([
      701, 700,
    ]);
  });

  it('M2 with durability "full" it waits for no disk, and what it loses is indexed again', async () => {
    await opened.store.close();
    opened = await openSqlite({ durability: "full" });
    await push(50, "first");
    await search("first");
    const before = readFileSync(indexFile());
    const wal = existsSync(`${indexFile()}-wal`) ? readFileSync(`${indexFile()}-wal`) : null;
    const pragma = (file: string) => {
      const db = new Database(file, { readonly: true });
      const mode = db.pragma("journal_mode", { simple: true });
      db.close();
      return mode;
    };
    expect([pragma(opened.file), pragma(indexFile())]).toEqual(["wal", "wal"]);
    await push(50, "second");
    expect(await search("second")).toHaveLength(50);
    await opened.store.close();
    // As a power cut leaves it: the log whole, of the index what was on the disk some time before.
    writeFileSync(indexFile(), before);
    if (wal) writeFileSync(`${indexFile()}-wal`, wal);
    await opened.reopen();
    expect([(await search("first")).length, (await search("second")).length]).toEqual([50, 50]);
  });

  it("M2 U11 a database from before it has all its events found by words, references and filters", async () => {
    await opened.store.close();
    const known = readMigrations();
    const file = join(opened.folder, "old.db");
    const old = openDatabase({ file, durability: "normal", migrations: known.slice(0, 8) });
    const insert =
      old.prepare(`INSERT INTO events (seq, id, schema_version, type, source, subject, time_ms, recorded_ms,
      body, payload, meta, origin_kind, depth, parked) VALUES (?, ?, 1, 'a.b', 'cli', 'a.b', 1, 1, ?, '{}', '{}', 'human', 0, 0)`);
    for (let seq = 1; seq <= 5; seq++) insert.run(seq, `evt_${seq}`, `old words ${seq}`);
    old.exec(
      "INSERT INTO refs (kind, value, seq) VALUES ('mention', 'ann', 3), ('tool', 'bash', 3), ('tool', 'bash', 4)",
    );
    old.exec(
      "INSERT INTO events_text (rowid, text) VALUES (1, 'old words'); INSERT INTO meta VALUES ('indexed_seq', '1')",
    );
    old.close();
    opened = await openSqlite({ file });
    expect(await search("old words")).toEqual([5, 4, 3, 2, 1]);
    const { store } = opened;
    expect((await store.findEvents({ tool: "bash", limit: 9 })).map(({ seq }) => seq)).toEqual([4, 3]);
    expect(
      (await store.findEvents({ tool: "bash", mention: "ann", limit: 9 })).map(({ seq }) => seq),
    ).toEqual([3]);
    expect((await store.findEvents({ subject: "a.*", source: "cli", limit: 9 })).length).toBe(5);
  });
});
