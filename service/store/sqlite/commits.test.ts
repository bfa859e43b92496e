import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { append, openSqlite, type SqliteOpened } from "../../../test/harness/store.ts";

/** Commits since the log was begun: frames that carry the size of the database. */
function commitsIn(file: string): number {
  const wal = readFileSync(`${file}-wal`);
  if (wal.length < 32) return 0;
  const pageSize = wal.readUInt32BE(8);
  const salt = wal.readBigUInt64BE(16);
  let commits = 0;
  for (let at = 32; at + 24 + pageSize <= wal.length; at += 24 + pageSize) {
    if (wal.readBigUInt64BE(at + 8) === salt && wal.readUInt32BE(at + 4) !== 0) commits += 1;
  }
  return commits;
}

describe("commits", () => {
  let opened: SqliteOpened;
  beforeEach(async () => {
    opened = await openSqlite();
  });
  afterEach(() => opened.close());

  it("the writes of one turn share one commit, also when one of them fails", async () => {
    await append(opened, { source: "cli", idempotency_key: "k", topic: "t", body: "first" });
    // Full text is written in commits of its own, so it is waited for before counting.
    await opened.store.searchEvents({ text: "first", order: "recent", limit: 1 });
    const before = commitsIn(opened.file);
    // Few enough to stay within the time that one group may take, also on a machine that does other things.
    const drafts = Array.from({ length: 20 }, (_, n) =>
      opened.events.draft({ topic: "t", body: `${n}` }, null),
    );
    const good = drafts.map((draft) => opened.store.append([draft]));
    expect(await Promise.all(good)).toHaveLength(20);
    expect(commitsIn(opened.file) - before).toBe(1);
    await opened.store.searchEvents({ text: "19", order: "recent", limit: 1 });
    const again = commitsIn(opened.file);
    const conflict = opened.events.draft({ source: "cli", idempotency_key: "k", body: "other" }, null);
    const mixed = await Promise.allSettled(
      [opened.events.draft({ body: "a" }, null), conflict, opened.events.draft({ body: "b" }, null)].map(
        (draft) => opened.store.append([draft]),
      ),
    );
    expect(mixed.map((one) => one.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(commitsIn(opened.file) - again).toBe(1);
  });

  it("M2 what a crash left out of the full text is found after the next start", async () => {
    for (let n = 0; n < 30; n++) await append(opened, { body: `needle number${n}` });
    // A copy of the files at this moment is what a crash leaves: committed, and not all of it indexed.
    const crashed = join(opened.folder, "crashed.db");
    for (const suffix of ["", "-wal", "-shm"]) {
      if (existsSync(`${opened.file}${suffix}`)) cpSync(`${opened.file}${suffix}`, `${crashed}${suffix}`);
    }
    const after = await openSqlite({ file: crashed });
    try {
      expect(await after.store.searchEvents({ text: "needle", order: "recent", limit: 100 })).toHaveLength(
        30,
      );
    } finally {
      await after.close();
    }
  });

  it("kill -9 in the middle of writes loses nothing that was acknowledged", async () => {
    await opened.store.close();
    const script = join(import.meta.dirname, "../../../test/harness/store-writer.ts");
    const child = spawn(process.execPath, [script, opened.file], { stdio: ["ignore", "pipe", "inherit"] });
    const pushed = new Set<string>();
    const completed = new Set<string>();
    for await (const line of createInterface({ input: child.stdout })) {
      const [kind, id = ""] = line.split(" ");
      (kind === "completed" ? completed : pushed).add(id);
      if (pushed.size >= 1_500 && completed.size >= 100 && !child.killed) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect(child.signalCode).toBe("SIGKILL");
    await opened.reopen();
    const { store } = opened;
    for (const id of pushed) expect(await store.getEvent(id)).not.toBeNull();
    for (const id of completed)
      expect(await store.getDeliveries(id)).toMatchObject([{ status: "completed" }]);
    const log = await store.readLog(0, 1_000_000);
    expect(log.map((event) => event.seq)).toEqual(log.map((_, index) => index + 1));
    expect(store.totals().events).toBe(log.length);
    expect(await store.check()).toMatchObject([{ ok: true }, { ok: true }]);
    const rows = await opened.countDeliveries();
    const counts = (await store.getTopic("t"))?.counts;
    for (const { status, n } of rows) expect(counts?.[status as "pending"], status).toBe(n);
    const found = await store.searchEvents({ text: "written", order: "recent", limit: 1_000 });
    expect(found).toHaveLength(Math.min(1_001, log.length));
  });

  it("a backup made while events come in is whole, private and opens as a store", async () => {
    for (let n = 0; n < 300; n++) await append(opened, { topic: "t", body: `before ${n}` });
    const target = join(opened.folder, "backup.db");
    let ended = false;
    const backup = opened.store.backup(target).finally(() => {
      ended = true;
    });
    let during = 0;
    do {
      await append(opened, { topic: "t", body: `during ${during++}` });
    } while (!ended && during < 500);
    const { events, bytes } = await backup;
    expect(bytes).toBe(readFileSync(target).length);
    const copy = await openSqlite({ file: target });
    try {
      expect(events).toBeGreaterThanOrEqual(300);
      expect(copy.store.totals()).toMatchObject({ events, deliveries: { pending: events } });
      expect(await copy.store.check()).toMatchObject([{ ok: true }, { ok: true }]);
    } finally {
      await copy.close();
    }
    expect(existsSync(`${target}.partial`)).toBe(false);
    await expect(opened.store.backup(join(opened.folder, "no", "such", "folder.db"))).rejects.toMatchObject({
      code: "storage_failed",
    });
  });

  it("a backup that can't be written names its own place, and two at once do not spoil each other", async () => {
    const { store, folder } = opened;
    await expect(store.backup(folder)).rejects.toMatchObject({
      code: "storage_failed",
      message: expect.stringContaining(folder),
    });
    const target = join(folder, "backup.db");
    const outcomes = await Promise.allSettled([store.backup(target), store.backup(target)]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(outcomes[1]).toMatchObject({ reason: { code: "conflict" } });
    expect(existsSync(target)).toBe(true);
  });
});
