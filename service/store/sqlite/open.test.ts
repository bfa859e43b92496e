import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { scheduleRow } from "../../../test/conformance/store-drafts.ts";
import { append, openSqlite } from "../../../test/harness/store.ts";
import { readMigrations } from "./migrate.ts";
import { openDatabase } from "./open.ts";

const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");

describe("opening the database", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "signalbox-open-"));
    file = join(folder, "signalbox.db");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const open = (migrations = readMigrations()) => openDatabase({ file, durability: "normal", migrations });
  /** What it holds, and that refusing it changed nothing. */
  const refused = (code: string, message: RegExp) => {
    const before = readdirSync(folder).map((name) => [name, digest(join(folder, name))]);
    expect(() => open()).toThrowError(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
    expect(readdirSync(folder).map((name) => [name, digest(join(folder, name))])).toEqual(before);
  };

  it("M2 M16 makes one file, only for this user, with full text and side tables", () => {
    file = join(folder, "new", "folder", "signalbox.db");
    const db = open();
    const tables = db
      .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .pluck()
      .all();
    expect(tables).toEqual(expect.arrayContaining(["events", "refs", "deliveries", "topics"]));
    expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
    db.close();
    expect(readdirSync(join(folder, "new", "folder"))).toEqual(["signalbox.db"]);
    if (process.platform !== "win32") {
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(join(folder, "new")).mode & 0o777).toBe(0o700);
    }
  });

  it("M2 an older schema is migrated in one transaction, after a copy of the file as it was", async () => {
    const known = readMigrations();
    const newest = known.at(-1)!.version;
    const store = await openSqlite({ file });
    const { event } = await append(store, { topic: "t", body: "kept" });
    await store.close();
    const second = {
      version: newest + 1,
      sql: "ALTER TABLE events ADD COLUMN mood TEXT; UPDATE events SET mood = 'good';",
    };
    const third = { version: newest + 2, sql: "CREATE TABLE extra (x INTEGER);" };
    open([...known, second, third]).close();
    const db = new Database(file, { readonly: true });
    expect(db.pragma("user_version", { simple: true })).toBe(newest + 2);
    expect(db.prepare("SELECT id, mood FROM events").all()).toEqual([{ id: event.id, mood: "good" }]);
    db.close();
    const copy = new Database(`${file}.schema-${newest}.bak`, { readonly: true });
    expect(copy.pragma("user_version", { simple: true })).toBe(newest);
    expect(copy.prepare("SELECT id FROM events").pluck().all()).toEqual([event.id]);
    expect(copy.pragma("integrity_check", { simple: true })).toBe("ok");
    copy.close();
    expect(statSync(`${file}.schema-${newest}.bak`).mode & 0o777).toBe(0o600);
  });

  it("M2 U11 a database of schema 1 with data opens after a copy, takes schedules, and keeps its data", async () => {
    const core = readMigrations().filter(({ version }) => version === 1);
    const before = open(core);
    const rows: Record<string, string> = {
      events: `INSERT INTO events VALUES (7, 'evt_1', 1, 'a.b', 'cli', 'topics.t', 't', 1, 1, 'kept', '{"n":1}', '{}',
        NULL, NULL, NULL, NULL, NULL, NULL, 'human', 0, 0)`,
      topics: "INSERT INTO topics VALUES ('t', 'prompt', 1000, 3, NULL, NULL, 0, '[]', 1)",
      deliveries: "INSERT INTO deliveries (seq, grp, topic, status) VALUES (7, 'default', 't', 'pending')",
      counts: "INSERT INTO counts VALUES ('t', 'pending', 1), ('', 'events', 1)",
      workflow_state: `INSERT INTO workflow_state VALUES ('labeller', 'count', '42')`,
      meta: "INSERT INTO meta VALUES ('kept', 'yes')",
    };
    for (const sql of Object.values(rows)) before.exec(sql);
    const contents = (db: Database.Database) =>
      Object.keys(rows).map((table) => db.prepare(`SELECT * FROM ${table}`).all());
    const data = contents(before);
    before.close();

    const store = await openSqlite({ file });
    expect(await store.store.getEvent("evt_1")).toMatchObject({ seq: 7, body: "kept", payload: { n: 1 } });
    expect(
      await store.store.claim({ topic: "t", agent: "@a", limit: 1, lease_ms: 50, now_ms: 2 }),
    ).toHaveLength(1);
    expect(await store.store.insertSchedule(scheduleRow())).toMatchObject({ name: "nightly" });
    await store.close();
    const copy = new Database(`${file}.schema-1.bak`, { readonly: true });
    expect(copy.pragma("user_version", { simple: true })).toBe(1);
    expect(contents(copy)).toEqual(data);
    copy.close();
  });

  it("M2 a migration that fails leaves the schema and the data as they were", async () => {
    const known = readMigrations();
    const newest = known.at(-1)!.version;
    open().close();
    const half = "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);";
    const broken = [...known, { version: newest + 1, sql: half }];
    expect(() => open(broken)).toThrowError(/nowhere/);
    const db = open();
    expect(db.pragma("user_version", { simple: true })).toBe(newest);
    expect(db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'half'").get()).toBeUndefined();
    db.close();
  });

  it("M2 a newer schema is refused by name and the file is untouched, its log too", async () => {
    open().close();
    const db = new Database(file);
    db.pragma("user_version = 99");
    // As after a crash of the newer program: its log was never written back.
    db.pragma("wal_autocheckpoint = 0");
    db.exec("CREATE TABLE newer (x)");
    const frozen = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const);
    db.close();
    for (const [name, bytes] of frozen) writeFileSync(join(folder, name), bytes);
    rmSync(`${file}-shm`, { force: true });
    const [before, log] = [digest(file), digest(`${file}-wal`)];
    expect(() => open()).toThrowError(
      expect.objectContaining({ code: "schema_newer", message: expect.stringContaining(file) }),
    );
    expect([digest(file), digest(`${file}-wal`)]).toEqual([before, log]);
  });

  it("a database of another program is refused and untouched", () => {
    const db = new Database(file);
    db.exec("CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1;");
    db.close();
    refused("storage_failed", /is a SQLite database of another program/);
  });

  it.each([
    ["garbage", Buffer.from("this is not a database at all, ".repeat(300))],
    ["a torn header", Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(8_192, 0xff)])],
  ])("a file of %s is refused as corrupt by name and untouched", (_name, bytes) => {
    writeFileSync(file, bytes);
    refused("storage_corrupt", new RegExp(`^${file}: `));
  });

  it("a corrupt page is found by the check and named by the read that meets it", async () => {
    const store = await openSqlite({ file });
    for (let n = 0; n < 200; n++) await append(store, { topic: "t", body: "x".repeat(500) });
    await store.close();
    const bytes = readFileSync(file);
    bytes.fill(0xa5, 8 * 4_096);
    writeFileSync(file, bytes);
    const attempt = async () => {
      const opened = await openSqlite({ file });
      try {
        await expect(opened.store.check()).resolves.toContainEqual(
          expect.objectContaining({ check: "database integrity", ok: false }),
        );
        for (let seq = 0; seq < 200; seq++) await opened.store.readLog(seq, 1);
      } finally {
        await opened.close().catch(() => undefined);
      }
    };
    await expect(attempt()).rejects.toMatchObject({
      code: "storage_corrupt",
      message: expect.stringContaining(file),
    });
  });

  it("a folder in place of the file, and a file in place of its folder, are named with what to do", () => {
    mkdirSync(file);
    expect(() => open()).toThrowError(
      expect.objectContaining({ code: "storage_failed", hint: expect.stringContaining("store.file") }),
    );
    file = join(folder, "plain", "signalbox.db");
    writeFileSync(join(folder, "plain"), "");
    expect(() => open()).toThrowError(
      expect.objectContaining({ code: "storage_failed", message: expect.stringContaining(file) }),
    );
  });

  it("an empty file becomes a database", () => {
    writeFileSync(file, "");
    open().close();
    expect(existsSync(file)).toBe(true);
    expect(statSync(file).size).toBeGreaterThan(0);
  });
});
