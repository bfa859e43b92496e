import type { JsonObject } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Firing } from "../../contract/schedules.ts";
import type { Appended, FiringDraft, ScheduleChange, ScheduleRow, Store } from "../store.ts";
import type { AppendOne } from "./append.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";

type ScheduleMethods = Pick<
  Store,
  | "listSchedules"
  | "insertSchedule"
  | "changeSchedule"
  | "removeSchedule"
  | "listFirings"
  | "getFiringByEvent"
  | "readMark"
  | "saveMark"
>;

type ScheduleSql = Omit<ScheduleRow, "payload"> & { payload: string };

const columns = [
  "id",
  "name",
  "title",
  "kind",
  "at_ms",
  "every_ms",
  "anchor_ms",
  "cron",
  "time_zone",
  "pattern",
  "type",
  "subject",
  "topic",
  "body",
  "payload",
  "scope",
  "missed",
  "state",
  "paused_reason",
  "next_ms",
  "hold_ms",
  "failures",
  "fired",
  "skipped",
  "failed",
  "last_due_ms",
  "last_fired_ms",
  "last_error",
  "created_ms",
  "updated_ms",
  "revision",
] as const satisfies (keyof ScheduleRow)[];

/** Rows of a schedule's history that are kept. */
const HISTORY = 200;

export function scheduleMethods(context: SqliteContext, append: AppendOne): ScheduleMethods {
  const { db, committer } = context;
  const all = db.prepare<[], ScheduleSql>("SELECT * FROM schedules ORDER BY name");
  const byName = db.prepare<[string], { id: string }>("SELECT id FROM schedules WHERE name = ?");
  const insert = db.prepare(
    `INSERT INTO schedules (${columns.join(", ")}) VALUES (${columns.map((one) => `@${one}`).join(", ")})`,
  );
  const remove = db.prepare("DELETE FROM schedules WHERE id = ?");
  const byEvent = db.prepare<[string], Firing>("SELECT * FROM firings WHERE event_id = ?");
  const change = changeOne(context, append);
  return {
    listSchedules: async () => all.all().map(toSchedule),
    insertSchedule: (row) =>
      committer.write(() => {
        if (byName.get(row.name))
          throw new SignalboxError("conflict", `the schedule ${row.name} exists`, {
            hint: "Change it with `signalbox schedules set`, or choose another name.",
          });
        insert.run(toSql(row));
        return row;
      }),
    changeSchedule: (id, request) => committer.write((changes) => change(id, request, changes)),
    removeSchedule: (id) => committer.write(() => remove.run(id).changes > 0),
    async listFirings(query) {
      const filters = [
        ["schedule_id = ?", query.schedule_id],
        ["outcome = ?", query.outcome],
        ["recorded_ms >= ?", query.since_ms],
        ["seq < ?", query.before],
      ].filter((filter): filter is [string, string | number] => filter[1] !== undefined);
      const where = filters.length > 0 ? `WHERE ${filters.map(([sql]) => sql).join(" AND ")}` : "";
      const sql = `SELECT * FROM firings ${where} ORDER BY seq DESC LIMIT ?`;
      return db.prepare<unknown[], Firing>(sql).all(...filters.map(([, value]) => value), query.limit + 1);
    },
    getFiringByEvent: async (event_id) => byEvent.get(event_id) ?? null,
    ...markMethods(context),
  };
}

function markMethods({ db, committer }: SqliteContext): Pick<Store, "readMark" | "saveMark"> {
  const read = db.prepare<[string], number>("SELECT seen_ms FROM marks WHERE name = ?").pluck();
  const save = db.prepare<[string, number]>(
    "INSERT INTO marks (name, seen_ms) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)",
  );
  return {
    readMark: async (name) => read.get(name) ?? null,
    saveMark: (name, seen_ms) =>
      committer.write(() => {
        save.run(name, seen_ms);
        return read.get(name) ?? seen_ms;
      }),
  };
}

function changeOne(context: SqliteContext, append: AppendOne) {
  const { db } = context;
  const one = db.prepare<[string], ScheduleSql>("SELECT * FROM schedules WHERE id = ?");
  const save = db.prepare(
    `UPDATE schedules SET ${columns
      .slice(1)
      .map((column) => `${column} = @${column}`)
      .join(", ")} WHERE id = @id`,
  );
  const trim = db.prepare(
    `DELETE FROM firings WHERE schedule_id = @id AND seq <=
       (SELECT seq FROM firings WHERE schedule_id = @id ORDER BY seq DESC LIMIT 1 OFFSET ${HISTORY})`,
  );
  const record = recordFiring(context, append);
  const mark = markFiring(context);
  return (id: string, request: ScheduleChange, changes: Changes) => {
    const before = one.get(id);
    if (!before || before.revision !== request.revision) return null;
    const counted = { fired: 0, skipped: 0, failed: 0 };
    const fired = request.firings.map((firing) => {
      const { appended, isNew } = record(id, firing, changes);
      if (isNew && firing.outcome === "fired") counted.fired += firing.count;
      if (isNew && firing.outcome === "skipped") counted.skipped += firing.count;
      return appended;
    });
    let marked = 0;
    for (const one of request.marks) {
      if (!mark(one)) continue;
      marked += 1;
      if (one.to === "failed") counted.failed += 1;
    }
    for (const draft of request.events) append(draft, changes);
    if (request.firings.length > 0) trim.run({ id });
    const old = toSchedule(before);
    const schedule: ScheduleRow = {
      ...old,
      ...request.patch,
      fired: old.fired + counted.fired,
      skipped: old.skipped + counted.skipped,
      failed: old.failed + counted.failed,
      revision: old.revision + 1,
    };
    save.run(toSql(schedule));
    return { schedule, fired, marked };
  };
}

function recordFiring({ db }: SqliteContext, append: AppendOne) {
  const known = db.prepare<[string], string>("SELECT outcome FROM firings WHERE key = ?").pluck();
  const insert = db.prepare(
    `INSERT INTO firings (key, schedule_id, due_ms, first_ms, count, outcome, cause, event_id, recorded_ms, reason)
     VALUES (@key, @schedule_id, @due_ms, @first_ms, @count, @outcome, @cause, @event_id, @recorded_ms, @reason)
     ON CONFLICT (key) DO UPDATE SET first_ms = excluded.first_ms, count = excluded.count, outcome = excluded.outcome,
       cause = excluded.cause, event_id = excluded.event_id, recorded_ms = excluded.recorded_ms, reason = excluded.reason
     WHERE outcome IN ('skipped', 'settled') AND excluded.outcome = 'fired'`,
  );
  return (
    schedule_id: string,
    { event, ...firing }: FiringDraft,
    changes: Changes,
  ): { appended: Appended | null; isNew: boolean } => {
    const before = known.get(firing.key);
    // The event's own key holds it once in the log, also when the history was trimmed meanwhile.
    const appended = event === null ? null : append(event, changes);
    insert.run({ ...firing, schedule_id, event_id: appended?.event.id ?? null });
    const isReplaced = before === "skipped" || before === "settled";
    return {
      appended,
      isNew: appended?.duplicate !== true && (before === undefined || (isReplaced && event !== null)),
    };
  };
}

function markFiring({ db }: SqliteContext) {
  const mark = db.prepare<[string, string | null, string, string]>(
    "UPDATE firings SET outcome = ?, reason = coalesce(?, reason) WHERE key = ? AND outcome IN (SELECT value FROM json_each(?))",
  );
  return ({ key, from, to, reason }: ScheduleChange["marks"][number]): boolean =>
    mark.run(to, reason, key, JSON.stringify(from)).changes > 0;
}

function toSql(row: ScheduleRow): ScheduleSql {
  return { ...row, payload: JSON.stringify(row.payload) };
}

function toSchedule(row: ScheduleSql): ScheduleRow {
  return { ...row, payload: JSON.parse(row.payload) as JsonObject };
}
