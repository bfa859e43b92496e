import Database from "better-sqlite3";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { append, openSqlite, type SqliteOpened } from "../../../test/harness/store.ts";

describe("checksums of events", () => {
  let opened: SqliteOpened;
  beforeEach(async () => {
    opened = await openSqlite();
  });
  afterEach(() => opened.close());

  /** As a disk does it: without anybody's knowledge. */
  async function change(sql: string): Promise<void> {
    const db = new Database(opened.file);
    db.exec(sql);
    db.close();
    await opened.reopen();
  }

  it("a changed character is never served: the read, the listing and the claim name the file", async () => {
    const { event } = await append(opened, { topic: "t", body: "deploy to staging" });
    await change("UPDATE events SET body = 'deploy to stagimg'");
    const damaged = { code: "storage_corrupt", message: expect.stringContaining(opened.file) };
    await expect(opened.store.getEvent(event.id)).rejects.toMatchObject(damaged);
    await expect(opened.store.findEvents({ limit: 5 })).rejects.toMatchObject(damaged);
    await expect(opened.store.readLog(0, 5)).rejects.toMatchObject(damaged);
    const claim = { topic: "t", agent: "@a", limit: 1, lease_ms: 1_000, now_ms: opened.clock.nowMs() };
    await expect(opened.store.claim(claim)).rejects.toMatchObject(damaged);
  });

  it("the check finds what SQLite's own can't see, and says which events", async () => {
    await append(opened, { body: "one" });
    await append(opened, { body: "two", payload: { n: 2 } });
    await change("UPDATE events SET payload = '{\"n\":3}' WHERE seq = 2");
    const [integrity] = await opened.store.check();
    expect(integrity).toMatchObject({ ok: false, message: expect.stringMatching(/1 events .* such as 2/) });
  });

  it("whatever an event says, reading and the check agree with writing", async () => {
    const text = fc
      .string({ unit: "binary", maxLength: 40 })
      .filter((one) => one.isWellFormed() && !one.includes("\0"));
    const drafts = fc.record(
      {
        body: text,
        payload: fc.dictionary(text, fc.jsonValue()),
        time_ms: fc.nat(8.64e15),
        scope: text,
        user_key: text,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(drafts, async (draft) => {
        const { event } = await append(opened, draft as never);
        expect(await opened.store.getEvent(event.id)).toEqual({
          ...event,
          payload: JSON.parse(JSON.stringify(event.payload)),
        });
      }),
      { numRuns: 200 },
    );
    const [integrity] = await opened.store.check();
    expect(integrity).toMatchObject({ ok: true });
  });

  it("an event from before there were checksums is read as it is", async () => {
    const { event } = await append(opened, { body: "old" });
    await change("UPDATE events SET sum = NULL");
    expect(await opened.store.getEvent(event.id)).toMatchObject({ body: "old" });
  });
});
