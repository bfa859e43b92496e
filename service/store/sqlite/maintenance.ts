import { existsSync, statSync } from "node:fs";
import type { EffectState } from "../../contract/effects.ts";
import type { Finding } from "../../contract/system.ts";
import type { CleanupRequest, Store, StoreTotals } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";

type MaintenanceMethods = Pick<Store, "totals" | "cleanup" | "backup" | "check">;

export function maintenanceMethods(context: SqliteContext): MaintenanceMethods {
  const { db, committer, file } = context;
  const clean = cleanupOne(context);
  return {
    totals: totalsOf(context),
    cleanup: (request) => committer.write((changes) => clean(request, changes)),
    async backup(target) {
      await db.backup(target);
      const events = Number(
        db.prepare("SELECT n FROM counts WHERE topic = '' AND status = 'events'").pluck().get() ?? 0,
      );
      return { bytes: statSync(target).size, events };
    },
    async check() {
      const answer = db.pragma("quick_check(5)", { simple: true });
      const ok = answer === "ok";
      const findings: Finding[] = [
        {
          check: "database integrity",
          ok,
          message: ok ? `${file} is sound` : `${file}: ${String(answer)}`,
          hint: ok ? null : "Stop the service, keep a copy of the file, then restore a backup.",
        },
      ];
      if (file !== ":memory:" && existsSync(file) && process.platform !== "win32") {
        const mode = statSync(file).mode & 0o777;
        const closed = (mode & 0o077) === 0;
        findings.push({
          check: "database permissions",
          ok: closed,
          message: `${file} has mode ${mode.toString(8)}`,
          hint: closed ? null : `Run chmod 600 on ${file}: others can read your events.`,
        });
      }
      return findings;
    },
  };
}

function totalsOf(context: SqliteContext): () => StoreTotals {
  const { db, memory } = context;
  const counts = db.prepare<[], { topic: string; status: string; n: number }>(
    "SELECT status, sum(n) AS n FROM counts GROUP BY status",
  );
  const topics = db.prepare<[], { n: number }>("SELECT count(*) AS n FROM topics");
  const effects = db.prepare<[EffectState], { n: number }>(
    "SELECT count(*) AS n FROM effects WHERE state = ?",
  );
  return () => {
    const by = new Map(counts.all().map(({ status, n }) => [status, n]));
    const effect = (state: EffectState) => effects.get(state)?.n ?? 0;
    return {
      events: by.get("events") ?? 0,
      last_seq: memory.lastSeq,
      topics: topics.get()?.n ?? 0,
      deliveries: {
        pending: by.get("pending") ?? 0,
        processing: by.get("processing") ?? 0,
        dead: by.get("dead") ?? 0,
      },
      effects: { waiting: effect("waiting"), running: effect("running"), unknown: effect("unknown") },
    };
  };
}

/**
 * Removes events that are finished: past their retention, with no delivery open and no run or effect of theirs
 * under way. What hangs on an event goes with it (ON DELETE CASCADE), its full text too.
 */
function cleanupOne(context: SqliteContext) {
  const { db, memory } = context;
  const settings = db.prepare<
    [],
    { name: string; retention_ms: number | null; pending_ttl_ms: number | null }
  >("SELECT name, retention_ms, pending_ttl_ms FROM topics");
  const queued = db.prepare<[string, number, number], { seq: number; status: string }>(
    `SELECT e.seq, d.status FROM events e INDEXED BY events_topic JOIN deliveries d ON d.seq = e.seq
     WHERE e.topic = ? AND d.status IN ('completed', 'failed', 'dead') AND d.finished_ms < ? ORDER BY e.seq LIMIT ?`,
  );
  const waiting = db.prepare<[string, number, number], { seq: number; status: string }>(
    `SELECT e.seq, d.status FROM deliveries d INDEXED BY deliveries_ready JOIN events e ON e.seq = d.seq
     WHERE d.topic = ? AND d.grp = 'default' AND d.status = 'pending' AND d.not_before_ms IS NULL AND e.recorded_ms < ? ORDER BY d.seq LIMIT ?`,
  );
  const free = db.prepare<[number, number], { seq: number }>(
    "SELECT seq FROM events WHERE recorded_ms < ? AND topic IS NULL ORDER BY seq LIMIT ?",
  );
  const busyRun = db.prepare<[number], { one: number }>(
    "SELECT 1 AS one FROM runs r JOIN events e ON e.id = r.event_id WHERE e.seq = ? AND r.status IN ('queued', 'running', 'waiting') LIMIT 1",
  );
  const busyEffect = db.prepare<[number], { one: number }>(
    "SELECT 1 AS one FROM effects f JOIN events e ON e.id = f.event_id WHERE e.seq = ? AND f.state IN ('proposed', 'waiting', 'approved', 'running', 'unknown') LIMIT 1",
  );
  const statements = {
    runs: db.prepare("DELETE FROM runs WHERE event_id = (SELECT id FROM events WHERE seq = ?)"),
    effects: db.prepare("DELETE FROM effects WHERE event_id = (SELECT id FROM events WHERE seq = ?)"),
    text: db.prepare("DELETE FROM events_text WHERE rowid = ?"),
    event: db.prepare("DELETE FROM events WHERE seq = ?"),
    raw: db.prepare("DELETE FROM raws WHERE seq IN (SELECT seq FROM raws WHERE recorded_ms < ? LIMIT ?)"),
    countRaw: db.prepare<[number], { n: number }>("SELECT count(*) AS n FROM raws WHERE recorded_ms < ?"),
    oldRuns: db.prepare(
      "DELETE FROM runs WHERE run_id IN (SELECT run_id FROM runs WHERE finished_ms < ? AND event_id IS NULL LIMIT ?)",
    ),
    floor: db.prepare(
      "INSERT INTO meta (key, value) VALUES ('seq_floor', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    ),
  };

  const candidates = (
    request: CleanupRequest,
  ): { seq: number; topic: string | null; status: string | null }[] => {
    const found: { seq: number; topic: string | null; status: string | null }[] = [];
    for (const { seq } of free.all(request.completed_before_ms, request.batch))
      found.push({ seq, topic: null, status: null });
    for (const topic of settings.all()) {
      const before =
        topic.retention_ms === null ? request.completed_before_ms : request.now_ms - topic.retention_ms;
      for (const row of queued.all(topic.name, before, request.batch))
        found.push({ ...row, topic: topic.name });
      const ttl =
        topic.pending_ttl_ms === null ? request.pending_before_ms : request.now_ms - topic.pending_ttl_ms;
      if (ttl > 0)
        for (const row of waiting.all(topic.name, ttl, request.batch))
          found.push({ ...row, topic: topic.name });
    }
    return found.filter(({ seq }) => !busyRun.get(seq) && !busyEffect.get(seq));
  };

  return (request: CleanupRequest, changes: Changes) => {
    const all = candidates(request);
    const batch = all.slice(0, request.batch);
    if (request.dry_run) {
      return {
        events: all.length,
        raw: statements.countRaw.get(request.raw_before_ms)?.n ?? 0,
        runs: 0,
        effects: 0,
        more: false,
      };
    }
    let runs = statements.oldRuns.run(request.completed_before_ms, request.batch).changes;
    let effects = 0;
    for (const { seq, topic, status } of batch) {
      runs += statements.runs.run(seq).changes;
      effects += statements.effects.run(seq).changes;
      statements.text.run(seq);
      statements.event.run(seq);
      changes.count("", "events", -1);
      if (topic !== null && status !== null) changes.count(topic, status, -1);
    }
    if (batch.length > 0) statements.floor.run(String(memory.lastSeq));
    const raw = statements.raw.run(request.raw_before_ms, request.batch).changes;
    return {
      events: batch.length,
      raw,
      runs,
      effects,
      more: all.length > batch.length || raw === request.batch || batch.length === request.batch,
    };
  };
}
