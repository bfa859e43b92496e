import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { append, openSqlite, type SqliteOpened } from "../../../test/harness/store.ts";
import type { EventQuery, SearchQuery } from "../../contract/events.ts";

const finds: Partial<EventQuery>[] = [
  {},
  { oldest_first: true },
  { topic: "t" },
  { source: "github" },
  { type: "a.b" },
  { status: "pending" },
  { status: "failed", topic: "t" },
  { mention: "bob" },
  { tool: "bash" },
  { agent: "@ann" },
  { correlation_id: "c" },
  { conversation_key: "k" },
  { parent_id: "evt_1" },
  { scope: "s" },
  { subject: "a.b" },
  { subject: "a.*" },
  { subject: "*.b.>" },
  { subject: ">" },
  { since_ms: 1, type: "a.b" },
  { topic: "t", type: "a.b", source: "github" },
];
const searches: Partial<SearchQuery>[] = [{}, { topic: "t" }, { type: "a.b" }, { status: "pending" }];

async function useAll(opened: SqliteOpened): Promise<void> {
  const { store, clock } = opened;
  const now_ms = clock.nowMs();
  const { event } = await append(opened, {
    topic: "t",
    body: "word @bob bash(ls)",
    raw: 1,
    external_id: "x",
  });
  await append(opened, { topic: "t", external_id: "x", source: "api" });
  for (const query of finds) await store.findEvents({ limit: 10, ...query });
  for (const query of searches)
    await store.searchEvents({ text: "word", order: "recent", limit: 10, ...query });
  await store.saveTopic("t", { pending_ttl_ms: 1_000_000 }, now_ms);
  await store.peek("t", 1, now_ms);
  const [claimed] = await store.claim({ topic: "t", agent: "@a", limit: 1, lease_ms: 1, now_ms });
  clock.advance(5);
  await store.promoteDue(clock.nowMs());
  const settlement = { kind: "answer", status: "failed" } as const;
  await store.settle({ event_id: claimed?.event.id ?? "", holder: {}, settlement, now_ms, events: [] });
  await store.redrive("t", [event.id], true);
  await store.redrive("t", undefined, true);
  await store.purge("t", "completed");
  for (const read of [
    store.getEvent,
    store.getRaw,
    store.getDeliveries,
    store.getCaused,
    store.runsOfEvent,
  ]) {
    await read(event.id);
  }
  await store.seqBefore(now_ms);
  await store.readLog(0, 10);
  await store.listEffects({ limit: 5, event_id: event.id });
  await store.listRuns({ limit: 5, workflow: "w" });
  const request = { completed_before_ms: 1, raw_before_ms: 1, pending_before_ms: 0, now_ms, batch: 10 };
  await store.cleanup({ ...request, dry_run: false });
}

describe("query plans", () => {
  let opened: SqliteOpened | undefined;
  beforeEach(() => {
    opened = undefined;
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await opened?.close();
  });

  it("M18 no statement walks through all events, deliveries or references, or sorts them", async () => {
    const seen = new Set<string>();
    const prepare = Database.prototype.prepare;
    vi.spyOn(Database.prototype, "prepare").mockImplementation(function (
      this: Database.Database,
      sql: string,
    ) {
      // The index is a database of its own.
      if (!this.name.endsWith(".index")) seen.add(sql);
      return prepare.call(this, sql);
    });
    opened = await openSqlite();
    await useAll(opened);
    vi.restoreAllMocks();
    const db = new Database(opened.file);
    db.function("subject_matches", { varargs: true }, () => 1);
    const plans = [...seen]
      .filter((sql) => /^\s*(SELECT|UPDATE|DELETE|INSERT)/.test(sql) && !/scratch|sqlite_schema/.test(sql))
      .map((sql) => {
        const named = Object.fromEntries([...sql.matchAll(/@(\w+)/g)].map((match) => [match[1], 1]));
        const values = Array.from(sql.match(/\?/g) ?? [], () => 1);
        const rows = db
          .prepare(`EXPLAIN QUERY PLAN ${sql}`)
          .all(...(Object.keys(named).length > 0 ? [named] : values)) as { detail: string }[];
        return { sql, plan: rows.map((row) => row.detail) };
      });
    db.close();
    expect(plans.length).toBeGreaterThan(60);
    const large = /^SCAN (events|e|deliveries|d|refs|r|raws|x|p)\b/;
    for (const { sql, plan } of plans) {
      // The newest or oldest events with no condition: the log itself, read from its end.
      const log = /FROM events( e)? (WHERE e\.seq BETWEEN|ORDER BY seq DESC LIMIT 1)/.test(sql);
      const scans = plan.filter((step) => large.test(step));
      expect(log ? [] : scans, sql).toEqual([]);
      if (/JOIN events|FROM events/.test(sql)) {
        const sorts = plan.filter((step) => step.includes("TEMP B-TREE"));
        // Only the few candidates of one stretch are put in order, or the receipts of one event.
        expect(/json_each|FROM receipts/.test(sql) ? [] : sorts, sql).toEqual([]);
      }
    }
  });

  it("M18 what is ready is taken without a look at all that its target ever had", async () => {
    const takes = new Set<string>();
    const prepare = Database.prototype.prepare;
    vi.spyOn(Database.prototype, "prepare").mockImplementation(function (
      this: Database.Database,
      sql: string,
    ) {
      if (sql.startsWith("UPDATE effects SET state = 'running'")) takes.add(sql);
      return prepare.call(this, sql);
    });
    opened = await openSqlite();
    vi.restoreAllMocks();
    const db = new Database(opened.file, { readonly: true });
    const used = [...takes].map((sql) => {
      const values = Array.from(sql.match(/\?/g) ?? [], () => 1);
      const rows = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[];
      return rows.map(({ detail }) => detail).find((detail) => detail.includes("INDEX effects_"));
    });
    db.close();
    expect(used.sort()).toEqual([
      "SEARCH effects USING INDEX effects_ready (target=?)",
      "SEARCH effects USING INDEX effects_ready_kind (kind=?)",
    ]);
  });

  it("M18 at 100,000 events an indexed query takes a small part of what reading them all takes", async () => {
    opened = await openSqlite();
    const { store, events, clock } = opened;
    for (let batch = 0; batch < 100; batch++) {
      clock.advance(1_000);
      const drafts = Array.from({ length: 1_000 }, (_, index) => {
        const n = batch * 1_000 + index;
        return events.draft(
          {
            type: n % 30_000 === 5 ? "rare.type" : `type.t${n % 5}`,
            source: n % 3 === 0 ? "github" : "mail",
            topic: n % 20_000 === 7 ? "rare" : `t${n % 10}`,
            body: `common word${n % 1_000} ${n % 40_000 === 9 ? "needle" : "hay"} ${n % 50 === 0 ? "@bob bash(x)" : ""}`,
            correlation_id: `c${n % 7_000}`,
          },
          null,
        );
      });
      await store.append(drafts);
    }
    const now_ms = clock.nowMs();
    for (let n = 0; n < 5; n++)
      await store.claim({ topic: "t3", agent: "@ann", limit: 100, lease_ms: 1e9, now_ms });
    await store.searchEvents({ text: "common", order: "recent", limit: 1 });
    const median = async (run: () => Promise<unknown>) => {
      const times: number[] = [];
      for (let round = 0; round < 9; round++) {
        const begun = performance.now();
        await run();
        times.push(performance.now() - begun);
      }
      return times.sort((a, b) => a - b)[4] ?? 0;
    };
    const raw = new Database(opened.file, { readonly: true });
    const scan = raw.prepare(
      "SELECT count(*) FROM events WHERE body LIKE '%nothing%' OR payload LIKE '%nothing%'",
    );
    const wholeMs = await median(async () => scan.get());
    const since_ms = now_ms - 50_000;
    const queries: Partial<EventQuery>[] = [
      ...finds,
      { type: "type.t1" },
      { type: "rare.type" },
      { topic: "rare", status: "pending" },
      { status: "processing" },
      { topic: "t3", type: "type.t3" },
      { agent: "ann", topic: "t3" },
      { since_ms, type: "rare.type" },
      { since_ms, until_ms: since_ms + 2_000, topic: "t4" },
      { correlation_id: "c77" },
    ];
    for (const query of queries) {
      const ms = await median(() => store.findEvents({ limit: 50, ...query }));
      expect(ms, JSON.stringify(query)).toBeLessThan(wholeMs / 4);
    }
    for (const text of ["common", "needle", "common needle", "word77", "absent", "nee*"]) {
      for (const more of [{}, { topic: "rare" }, { topic: "t4" }, { order: "ranked" as const }]) {
        const ms = await median(() => store.searchEvents({ text, order: "recent", limit: 50, ...more }));
        expect(ms, JSON.stringify({ text, ...more })).toBeLessThan(wholeMs / 4);
      }
    }
    raw.close();
  });

  it("a query without an index lets others have their turn while it reads", async () => {
    opened = await openSqlite();
    const { store, events } = opened;
    for (let batch = 0; batch < 20; batch++) {
      await store.append(
        Array.from({ length: 1_000 }, (_, index) =>
          events.draft({ type: "a.b", subject: `s${batch * 1_000 + index}.b` }, null),
        ),
      );
    }
    let turns = 0;
    let done = false;
    const query = store.findEvents({ subject: "*.none", limit: 10 }).finally(() => {
      done = true;
    });
    while (!done) {
      turns += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await query).toEqual([]);
    expect(turns).toBeGreaterThanOrEqual(8);
  });
});
