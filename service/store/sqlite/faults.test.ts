import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { append, openSqlite, type SqliteOpened } from "../../../test/harness/store.ts";
import { readMigrations } from "./migrate.ts";

function run(command: string, args: string[]): void {
  execFileSync(command, args, { stdio: "ignore" });
}

/** Only root can mount; elsewhere the same errors are provoked by other means. */
const canMount = process.platform === "linux" && process.getuid?.() === 0 && tryMount();

function tryMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-mount-"));
  try {
    run("mount", ["-t", "tmpfs", "tmpfs", folder]);
    run("umount", [folder]);
    return true;
  } catch {
    // A container without that right.
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Fills it until something is refused; answers with what was acknowledged and with the refusal. */
async function fill(opened: SqliteOpened) {
  const acknowledged: string[] = [];
  for (let n = 0; n < 5_000; n++) {
    const several = Array.from({ length: 8 }, () => append(opened, { topic: "t", body: "x".repeat(2_000) }));
    const outcomes = await Promise.allSettled(several);
    for (const one of outcomes) if (one.status === "fulfilled") acknowledged.push(one.value.event.id);
    const failed = outcomes.find((one) => one.status === "rejected");
    if (failed) return { acknowledged, error: failed.reason as unknown };
  }
  throw new Error("the disk never got full");
}

describe("faults", () => {
  let mount: string | undefined;
  let opened: SqliteOpened | undefined;
  beforeEach(() => {
    mount = undefined;
    opened = undefined;
  });
  afterEach(async () => {
    await opened?.close();
    if (mount) {
      run("umount", [mount]);
      rmSync(mount, { recursive: true, force: true });
    }
  });
  const mountSmall = () => {
    mount = mkdtempSync(join(tmpdir(), "signalbox-small-"));
    run("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount]);
    return mount;
  };

  it("R53 a full disk refuses by name, says so to whoever asks, keeps what was acknowledged, and goes on when there is room", async () => {
    // Where nothing can be mounted, SQLite itself counts the pages.
    const limited = readMigrations().map(({ version, sql }) => ({
      version,
      sql: `${sql}; PRAGMA max_page_count = 200;`,
    }));
    opened = await openSqlite(
      canMount ? { file: join(mountSmall(), "signalbox.db") } : { migrations: limited },
    );
    const { acknowledged, error } = await fill(opened);
    expect(error).toMatchObject({ code: "storage_full", message: expect.stringContaining(opened.file) });
    expect(opened.store.writeProblem()).toMatchObject({ code: "storage_full" });
    const log = await opened.store.readLog(0, 5_000);
    expect(log.map((event) => event.id)).toEqual(acknowledged);
    expect(opened.store.lastSeq()).toBe(acknowledged.length);
    expect((await opened.store.getTopic("t"))?.counts.pending).toBe(acknowledged.length);
    if (mount) run("mount", ["-o", "remount,size=16m", mount]);
    else await opened.reopen();
    expect((await append(opened, { topic: "t", body: "room again" })).event.seq).toBe(
      acknowledged.length + 1,
    );
    expect(opened.store.writeProblem()).toBeNull();
    expect(await opened.store.searchEvents({ text: "room", order: "recent", limit: 5 })).toHaveLength(1);
  });

  it("a read-only disk is refused with the file and what to do, and nothing is changed", async () => {
    if (canMount) {
      const file = join(mountSmall(), "signalbox.db");
      await (await openSqlite({ file })).close();
      run("mount", ["-o", "remount,ro", mount ?? ""]);
      await expect(openSqlite({ file })).rejects.toMatchObject({
        code: "storage_failed",
        message: expect.stringContaining(file),
        hint: expect.stringContaining("writable"),
      });
      return;
    }
    // A folder that nobody can write to on any system: a file in its place.
    await expect(openSqlite({ file: join(process.execPath, "signalbox.db") })).rejects.toMatchObject({
      code: "storage_failed",
      hint: expect.stringContaining("writable"),
    });
  });

  it("a foreign writer is waited for without blocking the event loop", async () => {
    opened = await openSqlite();
    const foreign = new Database(opened.file);
    foreign.exec("BEGIN IMMEDIATE");
    let done = 0;
    const writes = Promise.all(
      [1, 2, 3].map((n) => append(opened as SqliteOpened, { body: `${n}` }).then(() => done++)),
    );
    // Were it waited for inside SQLite, the event loop would stand still for all of that time.
    let longestMs = 0;
    for (let turn = 0; turn < 5_000; turn++) {
      const begun = performance.now();
      await nextTurn();
      longestMs = Math.max(longestMs, performance.now() - begun);
    }
    expect(done).toBe(0);
    expect(await opened.store.findEvents({ limit: 5 })).toEqual([]);
    foreign.exec("COMMIT");
    foreign.close();
    await writes;
    expect(done).toBe(3);
    expect(longestMs).toBeLessThan(1_000);
  });

  it("a foreign writer that stays makes writes refuse as busy, and they succeed later", async () => {
    opened = await openSqlite({ busyMs: 60 });
    const foreign = new Database(opened.file);
    foreign.exec("BEGIN IMMEDIATE");
    await expect(append(opened, { body: "a" })).rejects.toMatchObject({
      code: "busy",
      message: expect.stringContaining(opened.file),
    });
    foreign.exec("ROLLBACK");
    foreign.close();
    expect((await append(opened, { body: "b" })).event.seq).toBe(1);
  });

  it("more writes than may wait are refused as busy, and the others stand", async () => {
    opened = await openSqlite({ maxPending: 10 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 15 }, (_, n) => append(opened as SqliteOpened, { body: `${n}` })),
    );
    const refused = outcomes.filter((one) => one.status === "rejected");
    expect(refused.map((one) => (one.reason as { code: string }).code)).toEqual(Array(5).fill("busy"));
    expect(opened.store.totals().events).toBe(10);
  });

  it("closing commits what was asked for before", async () => {
    opened = await openSqlite();
    const writes = Promise.all([1, 2, 3].map((n) => append(opened as SqliteOpened, { body: `${n}` })));
    // The first await inside `append` has passed, so all three wait for their commit.
    await Promise.resolve();
    await opened.reopen();
    expect(await writes).toHaveLength(3);
    expect(opened.store.totals().events).toBe(3);
  });
});
