import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { matchesSubject } from "../service/bus/subject.ts";
import type { Event } from "../service/contract/events.ts";
import { createEventLog, type EventLog } from "../service/events/log.ts";
import { systemClock } from "../service/lib/clock.ts";
import { newId } from "../service/lib/ids.ts";
import { silentLog } from "../service/lib/log.ts";
import { searchText } from "../service/store/search-text.ts";
import { openSqliteStore } from "../service/store/sqlite/index.ts";
import { openDatabase } from "../service/store/sqlite/open.ts";
import type { Store } from "../service/store/store.ts";

/**
 * Compares the store with the statements that a program without it would run on the same schema: `node
 * scripts/bench-store.ts [events a round] [rounds]`. Rounds alternate, so that both sides meet the same machine.
 */
const [count = 6_000, rounds = 5] = process.argv.slice(2).map(Number);
const durability = process.env.DURABILITY === "full" ? "full" : "normal";
const folder = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
const topic = { lease_ms: 600_000, max_attempts: 5 };
const body = "The labeller saw a new issue: the flux capacitor overheats when the train is late";
const payload = { number: 42, title: "Flux capacitor overheats", labels: ["bug", "triage"], owner: "acme" };

interface Side {
  name: string;
  push(): Promise<void>;
  claim(): Promise<void>;
}

async function openOurs(): Promise<Side & { close(): Promise<void> }> {
  let log: EventLog;
  const store: Store = await openSqliteStore({
    file: join(folder, "ours.db"),
    durability,
    maxPending: 10_000,
    clock: systemClock,
    topicDefaults: topic,
    subjectMatches: matchesSubject,
    describeDead: (event) => log.draft({ type: "delivery.dead" }, event),
    log: silentLog,
  });
  log = createEventLog({ store, clock: systemClock, maxDepth: 16 });
  let left = 0;
  const pushSome = async () => {
    while (left-- > 0) await store.append([log.draft({ topic: "t", source: "bench", body, payload }, null)]);
  };
  const claimSome = async () => {
    while (left-- > 0) {
      const now_ms = Date.now();
      const [one] = await store.claim({ topic: "t", agent: "@a", limit: 1, lease_ms: undefined, now_ms });
      if (!one) throw new Error("nothing to claim");
      const settlement = { kind: "complete" } as const;
      await store.settle({
        event_id: one.event.id,
        holder: { lease: one.lease },
        settlement,
        now_ms,
        events: [],
      });
    }
  };
  return {
    name: "ours",
    async push() {
      left = count;
      await Promise.all(Array.from({ length: 32 }, pushSome));
      // Full text included, as on the other side.
      await store.searchEvents({ text: "nothing", order: "recent", limit: 1 });
    },
    async claim() {
      left = count;
      await Promise.all(Array.from({ length: Number(process.env.CLAIMERS ?? 1) }, claimSome));
    },
    close: async () => store.close(),
  };
}

function rawStatements(file: string) {
  const db = openDatabase({ file: join(folder, file), durability });
  return {
    db,
    event: db.prepare(
      `INSERT INTO events (seq, id, schema_version, type, source, subject, topic, time_ms, recorded_ms, body, payload, meta, origin_kind, depth, parked)
       VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'system', 0, 0)`,
    ),
    text: db.prepare("INSERT INTO events_text (rowid, text) VALUES (?, ?)"),
    delivery: db.prepare(
      "INSERT INTO deliveries (seq, grp, topic, status) VALUES (?, 'default', ?, 'pending')",
    ),
    count: db.prepare(
      "INSERT INTO counts (topic, status, n) VALUES (?, ?, ?) ON CONFLICT (topic, status) DO UPDATE SET n = n + excluded.n",
    ),
    claim: db.prepare<[string, string, number, string], { seq: number }>(
      `UPDATE deliveries SET status = 'processing', claimed_by = ?, lease = ?, lease_until_ms = ?, attempts = attempts + 1
       WHERE grp = 'default' AND seq IN (SELECT seq FROM deliveries WHERE status = 'pending' AND topic = ? ORDER BY seq LIMIT 1) RETURNING seq`,
    ),
    read: db.prepare<[number], Event>("SELECT * FROM events WHERE seq = ?"),
    complete: db.prepare(
      "UPDATE deliveries SET status = 'completed', lease = NULL, lease_until_ms = NULL, finished_ms = ? WHERE seq = ? AND grp = 'default' AND lease = ?",
    ),
  };
}

function openRaw(name: string, group: number): Side & { close(): void } {
  const raw = rawStatements(`${name}.db`);
  let seq = 0;
  const text = searchText({ type: "message.pushed", body, payload });
  const pushOne = () => {
    seq += 1;
    const now = Date.now();
    raw.event.run(
      seq,
      newId("evt"),
      "message.pushed",
      "bench",
      "topics.t",
      "t",
      now,
      now,
      body,
      JSON.stringify(payload),
      "{}",
    );
    raw.delivery.run(seq, "t");
    raw.text.run(seq, text);
    raw.count.run("", "events", 1);
    raw.count.run("t", "pending", 1);
  };
  const many = raw.db.transaction((n: number) => {
    for (let index = 0; index < n; index++) pushOne();
  });
  const claimOne = raw.db.transaction((lease: string) => {
    const row = raw.claim.get("@a", lease, Date.now() + topic.lease_ms, "t");
    if (!row) throw new Error("nothing to claim");
    raw.count.run("t", "pending", -1);
    raw.count.run("t", "processing", 1);
    return raw.read.get(row.seq);
  });
  const completeOne = raw.db.transaction((of: number, lease: string) => {
    raw.complete.run(Date.now(), of, lease);
    raw.count.run("t", "processing", -1);
    raw.count.run("t", "completed", 1);
  });
  return {
    name,
    async push() {
      for (let done = 0; done < count; done += group) many.immediate(Math.min(group, count - done));
    },
    async claim() {
      for (let index = 0; index < count; index++) {
        const lease = newId("lea");
        const event = claimOne.immediate(lease);
        if (event) completeOne.immediate(event.seq, lease);
      }
    },
    close: () => raw.db.close(),
  };
}

const ours = await openOurs();
const single = openRaw("raw one by one", 1);
const grouped = openRaw("raw by 100", 100);
/** Microseconds an operation: by the clock, and of processor time, which other programs on the machine change less. */
const times = new Map<string, { wall: number[]; cpu: number[] }>();
for (let round = 0; round < rounds; round++) {
  for (const side of [ours, single, grouped]) {
    for (const step of ["push", "claim"] as const) {
      const key = `${step} ${side.name}`;
      const begun = performance.now();
      const cpu = process.cpuUsage();
      await side[step]();
      const used = process.cpuUsage(cpu);
      const taken = times.get(key) ?? { wall: [], cpu: [] };
      taken.wall.push(((performance.now() - begun) * 1_000) / count);
      taken.cpu.push((used.user + used.system) / count);
      times.set(key, taken);
    }
  }
}
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
for (const [key, { wall, cpu }] of times) {
  console.log(
    `${key.padEnd(24)} ${median(wall).toFixed(1).padStart(8)} µs  cpu ${median(cpu).toFixed(1).padStart(6)} µs`,
  );
}
/** How many times as fast as the other, round by round. */
function compare(step: string, other: string, bar: string): void {
  const [mine, theirs] = [times.get(`${step} ours`), times.get(`${step} ${other}`)];
  const ratio = (kind: "wall" | "cpu") =>
    median((theirs?.[kind] ?? []).map((time, round) => time / (mine?.[kind][round] ?? 1))).toFixed(2);
  console.log(`${`${step} / ${other}`.padEnd(24)} wall ${ratio("wall")}  cpu ${ratio("cpu")}  ${bar}`);
}
compare("push", grouped.name, "(bar 0.7, goal 1.0)");
compare("push", single.name, "");
compare("claim", single.name, "(bar 0.8)");
await ours.close();
single.close();
grouped.close();
rmSync(folder, { recursive: true, force: true });
