import Database from "better-sqlite3";
import type { Client } from "../../service/client/call.ts";
import { MORTAL } from "./actors.ts";
import { CLOCK_MS, type Grant, type Ledger, type Push, type Work } from "./ledger.ts";
import type { Home } from "./service-process.ts";

/** Holds the database against the ledger: what was promised must be there, once. */
export function checkAll(
  ledger: Ledger,
  home: Home,
  comments: readonly string[],
  stepsOf: (work: Work) => string[],
): void {
  const db = new Database(home.paths.databaseFile, { readonly: true });
  try {
    checkFile(ledger, db);
    checkCounts(ledger, db);
    checkPushes(ledger, db, [...ledger.pushes.values()]);
    checkOrder(ledger, db);
    checkClaims(ledger, db);
    checkReplies(ledger, db);
    checkWork(ledger, db, stepsOf);
    checkComments(ledger, db, comments);
    checkStream(ledger, db);
  } finally {
    db.close();
  }
  checkLog(ledger, home);
}

/** Whether everything acknowledged since the last look is there; cheap enough for every restart. */
export function checkRecent(ledger: Ledger, home: Home, pushes: readonly Push[]): void {
  const db = new Database(home.paths.databaseFile, { readonly: true });
  try {
    checkPushes(ledger, db, pushes);
  } finally {
    db.close();
  }
}

function checkFile(ledger: Ledger, db: Database.Database): void {
  const integrity = db.pragma("integrity_check(5)", { simple: true });
  if (integrity !== "ok") ledger.violation(`the database is damaged: ${String(integrity)}`);
  const orphans = db.pragma("foreign_key_check") as unknown[];
  if (orphans.length > 0) ledger.violation(`${orphans.length} rows lost what they belong to`);
}

/** The counts that are kept must be those that counting gives. */
function checkCounts(ledger: Ledger, db: Database.Database): void {
  const kept = db
    .prepare<[], { topic: string; status: string; n: number }>(
      "SELECT topic, status, n FROM counts WHERE n <> 0",
    )
    .all();
  const real = db
    .prepare<[], { topic: string; status: string; n: number }>(
      "SELECT topic, status, count(*) AS n FROM deliveries GROUP BY 1, 2 UNION ALL SELECT '', 'events', count(*) FROM events",
    )
    .all();
  const asText = (rows: typeof kept) =>
    rows
      .filter(({ n }) => n !== 0)
      .map(({ topic, status, n }) => `${topic || "log"} ${status} ${n}`)
      .sort()
      .join(", ");
  if (asText(kept) !== asText(real))
    ledger.violation(`counts are ${asText(kept)} but should be ${asText(real)}`);
}

function checkPushes(ledger: Ledger, db: Database.Database, pushes: readonly Push[]): void {
  const byId = db.prepare<[string], { seq: number; token: string }>(
    "SELECT seq, payload ->> '$.token' AS token FROM events WHERE id = ?",
  );
  const endsSent = firstEnds(ledger.grants);
  for (const push of pushes) {
    const [ack] = push.acks;
    if (!ack) continue;
    const row = byId.get(ack.event_id);
    if (!row) {
      if (!mayBeGone(ledger, push, endsSent.get(ack.event_id))) {
        ledger.violation(`${push.token} was acknowledged as ${ack.event_id} and is lost`);
      }
    } else if (row.seq !== ack.seq || row.token !== push.token) {
      ledger.violation(
        `${ack.event_id} is ${row.token} at ${row.seq}, acknowledged as ${push.token} at ${ack.seq}`,
      );
    }
  }
}

/** When somebody first asked to end a claim of each event. */
function firstEnds(grants: readonly Grant[]): Map<string, number> {
  const ends = new Map<string, number>();
  for (const { event_id, endSentMs } of grants) {
    if (endSentMs !== null)
      ends.set(event_id, Math.min(endSentMs, ends.get(event_id) ?? Number.POSITIVE_INFINITY));
  }
  return ends;
}

/** Only what is finished, or was never in a queue, may be cleaned up. */
function mayBeGone(ledger: Ledger, push: Push, endSentMs: number | undefined, atMs?: number): boolean {
  if (push.topic === null || push.topic === MORTAL) return ledger.mayBeGone(push.sentMs, atMs);
  return endSentMs !== undefined && ledger.mayBeGone(endSentMs, atMs);
}

/** Each token once, and each pusher's events in the order in which it pushed them. */
function checkOrder(ledger: Ledger, db: Database.Database): void {
  const rows = db
    .prepare<[], { token: string; lane: string; place: number; id: string }>(
      `SELECT id, payload ->> '$.token' AS token, payload ->> '$.lane' AS lane, payload ->> '$.place' AS place
       FROM events WHERE source = 'driver' ORDER BY seq`,
    )
    .iterate();
  const lastPlace = new Map<string, number>();
  const seen = new Map<string, string>();
  for (const { token, lane, place, id } of rows) {
    const before = seen.get(token);
    if (before !== undefined) ledger.violation(`${token} is there twice: ${before} and ${id}`);
    seen.set(token, id);
    if (!ledger.pushes.has(token)) ledger.violation(`${id} holds ${token}, which nobody pushed`);
    const last = lastPlace.get(lane) ?? 0;
    if (place < last) ledger.violation(`${token} stands behind ${lane}-${last}`);
    lastPlace.set(lane, place);
  }
}

function checkClaims(ledger: Ledger, db: Database.Database): void {
  const byEvent = Map.groupBy(ledger.grants, ({ event_id }) => event_id);
  for (const grants of byEvent.values()) {
    grants.sort((a, b) => a.grantedMs - b.grantedMs || a.attempt - b.attempt);
    grants.forEach((later, index) => {
      const earlier = grants[index - 1];
      if (earlier) checkHandover(ledger, earlier, later);
    });
  }
  const status = db
    .prepare<[string], string>(
      "SELECT d.status FROM deliveries d JOIN events e ON e.seq = d.seq WHERE e.id = ? AND d.grp = 'default'",
    )
    .pluck();
  for (const [event_id, { how }] of ledger.finished) {
    const now = status.get(event_id);
    if (now !== undefined && now !== how) ledger.violation(`${event_id} was ${how} and is now ${now}`);
  }
}

/** While one holds a lease, nobody else gets one. */
function checkHandover(ledger: Ledger, earlier: Grant, later: Grant): void {
  const wasOver = later.grantedMs >= earlier.untilMs;
  const wasGiven = earlier.endSentMs !== null && earlier.endSentMs <= later.grantedMs + CLOCK_MS;
  if (wasOver || wasGiven) return;
  const { event_id } = later;
  ledger.violation(
    `${event_id} was given to ${later.by} at ${later.grantedMs} while ${earlier.by} held it until ${earlier.untilMs}`,
  );
}

function checkReplies(ledger: Ledger, db: Database.Database): void {
  const rows = db
    .prepare<[], { parent_id: string; n: number; id: string }>(
      "SELECT parent_id, count(*) AS n, min(id) AS id FROM events WHERE type = 'message.replied' GROUP BY parent_id",
    )
    .all();
  const replies = new Map(rows.map((row) => [row.parent_id, row]));
  for (const { parent_id, n } of rows) {
    if (n > 1) ledger.violation(`${parent_id} was answered ${n} times`);
    if (!ledger.replies.has(parent_id)) ledger.violation(`${parent_id} has an answer that nobody gave`);
  }
  for (const [event_id, { reply_id, sentMs }] of ledger.finished) {
    if (reply_id === null || ledger.mayBeGone(sentMs)) continue;
    const found = replies.get(event_id)?.id;
    if (found !== reply_id) ledger.violation(`the answer ${reply_id} to ${event_id} is lost`);
  }
}

/** Every piece of work led to its effects, each once. */
function checkWork(ledger: Ledger, db: Database.Database, stepsOf: (work: Work) => string[]): void {
  const twice = db
    .prepare<[], { what: string; n: number }>(
      `SELECT action || ' ' || payload AS what, count(*) AS n FROM effects GROUP BY target, action, payload HAVING n > 1`,
    )
    .all();
  for (const { what, n } of twice) ledger.violation(`${n} effects for ${what}`);
  // The agent was told five times and its answers were lost each time: then the effect has failed, visibly.
  const givenUp = new Set(
    db
      .prepare<[], string>(
        "SELECT payload ->> '$.token' FROM effects WHERE state = 'failed' AND attempts >= 5",
      )
      .pluck()
      .all(),
  );
  const recorded = new Set(
    db
      .prepare<[], string>("SELECT payload ->> '$.token' FROM events WHERE subject LIKE 'work.%'")
      .pluck()
      .all(),
  );
  for (const push of ledger.pushes.values()) {
    const isIn = push.acks.length > 0 || recorded.has(push.token);
    if (push.work === null || !isIn || givenUp.has(push.token)) continue;
    for (const step of stepsOf(push.work)) {
      if (!ledger.handled.has(`${push.token}/${step}`)) {
        ledger.violation(`${push.token} was recorded, but the agent was never told of "${step}"`);
      }
    }
  }
  checkRuns(ledger, db, givenUp.size);
}

function checkRuns(ledger: Ledger, db: Database.Database, givenUp: number): void {
  const failed = db
    .prepare<[], { run_id: string; status: string; error: string }>(
      "SELECT run_id, status, error FROM runs WHERE status <> 'succeeded'",
    )
    .all();
  if (failed.length > givenUp) {
    ledger.violation(`${failed.length} runs did not succeed, such as ${JSON.stringify(failed[0])}`);
  }
  const state = db
    .prepare<[string], string>("SELECT value FROM workflow_state WHERE workflow = ? AND key = 'count'")
    .pluck();
  for (const [workflow, step] of [
    ["torture", "first"],
    ["echo", "echo"],
  ] as const) {
    const told = [...ledger.handled.keys()].filter((what) => what.endsWith(`/${step}`)).length;
    const counted = Number(state.get(workflow) ?? 0);
    if (counted !== told)
      ledger.violation(`${workflow} counted ${counted} events in its state and told of ${told}`);
  }
}

/** A comment can't be taken back: at most one a command, and exactly one where it is said to have succeeded. */
function checkComments(ledger: Ledger, db: Database.Database, comments: readonly string[]): void {
  const made = new Map<string, number>();
  for (const token of comments) made.set(token, (made.get(token) ?? 0) + 1);
  for (const [token, n] of made) if (n > 1) ledger.violation(`${n} comments for ${token}`);
  const effects = db
    .prepare<[], { token: string; state: string }>(
      "SELECT payload ->> '$.body' AS token, state FROM effects WHERE action = 'create_comment'",
    )
    .all();
  for (const { token, state } of effects) {
    if (state === "succeeded" && !made.has(token)) ledger.violation(`the comment for ${token} never arrived`);
    if (state !== "succeeded" && state !== "unknown")
      ledger.violation(`the comment for ${token} is ${state}`);
  }
}

/** The live reader must have seen the whole log, but for what was cleaned up before it came there. */
function checkStream(ledger: Ledger, db: Database.Database): void {
  const seen = new Set(ledger.stream.map(({ seq }) => seq));
  const last = ledger.stream.at(-1)?.seq ?? 0;
  const seqs = db.prepare<[], number>("SELECT seq FROM events ORDER BY seq").pluck().all();
  const missing = seqs.filter((seq) => seq <= last && !seen.has(seq));
  if (missing.length > 0)
    ledger.violation(`the stream left out ${missing.length} events, the first is ${missing[0]}`);
  const endsSent = firstEnds(ledger.grants);
  for (const push of ledger.pushes.values()) {
    const [ack] = push.acks;
    if (!ack || ack.seq > last || seen.has(ack.seq)) continue;
    const passedMs = ledger.stream.find(({ seq }) => seq > ack.seq)?.ms;
    if (!mayBeGone(ledger, push, endsSent.get(ack.event_id), passedMs)) {
      ledger.violation(`the stream left out ${push.token} at ${ack.seq}`);
    }
  }
}

/** Nothing the service calls an error or a bug may have happened. */
function checkLog(ledger: Ledger, home: Home): void {
  for (const line of home.log().split("\n")) {
    if (!line.startsWith("{")) {
      if (line.trim() !== "") ledger.violation(`the service said: ${line.slice(0, 300)}`);
      continue;
    }
    const level = /^\{"level":(\d+)/.exec(line)?.[1];
    if (Number(level) >= 50) ledger.violation(`the service logged: ${line.slice(0, 600)}`);
  }
}

/** A sample of what is in the log is found by its text. */
export async function checkSearch(ledger: Ledger, client: Client): Promise<void> {
  const acknowledged = [...ledger.pushes.values()].filter(
    ({ acks, sentMs }) => acks[0] && !ledger.mayBeGone(sentMs),
  );
  const stride = Math.max(1, Math.floor(acknowledged.length / 20));
  for (let index = 0; index < acknowledged.length; index += stride) {
    const push = acknowledged[index];
    if (!push) continue;
    const { events } = await client.searchEvents({ text: `"${push.token}"`, source: "driver", limit: 1_000 });
    if (!events.some(({ id }) => id === push.acks[0]?.event_id)) {
      ledger.violation(`a search does not find ${push.token}`);
    }
  }
}

export async function checkDoctor(ledger: Ledger, client: Client): Promise<void> {
  const { findings } = await client.doctor();
  for (const finding of findings) {
    if (!finding.ok) ledger.violation(`doctor: ${finding.check}: ${finding.message}`);
  }
}
