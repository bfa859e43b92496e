import type { ScheduleRow } from "../store/store.ts";
import { type DueTimes, dueTimesUntil, nextDue } from "./times.ts";

/** What a schedule does with the due times that have come. */
export interface Plan {
  fire: {
    due_ms: number;
    cause: "due" | "missed" /** How many due times it makes up for besides its own. */;
    missed: number;
  }[];
  /** Those that are not fired, as one. */
  leave: {
    /** `settled` where another makes up for them. */
    outcome: "skipped" | "settled";
    first_ms: number;
    due_ms: number;
    count: number;
    isExact: boolean;
  } | null;
  next_ms: number | null;
}

export interface PlanLimits {
  /** A due time is missed when it is later than this. */
  lateMs: number;
  /** Most missed due times that are made up for one by one. */
  catchUp: number;
}

/** Decides about the due times from `row.next_ms` up to now. Pure: a restart decides the same. */
export function planFirings(row: ScheduleRow, now_ms: number, limits: PlanLimits): Plan {
  const first = row.next_ms;
  if (first === null || first > now_ms) return { fire: [], leave: null, next_ms: first };
  // Steps are at least a second, so this holds all that are not late and one more than may be made up for.
  const keep = Math.ceil(limits.lateMs / 1_000) + limits.catchUp + 2;
  const due = dueTimesUntil(row, first, now_ms, keep);
  const next_ms = nextDue(row, due.newest.at(-1) ?? first);
  return { ...judge(row.missed, first, now_ms, due, limits), next_ms };
}

function judge(
  policy: ScheduleRow["missed"],
  first_ms: number,
  now_ms: number,
  due: DueTimes,
  { lateMs, catchUp }: PlanLimits,
): Omit<Plan, "next_ms"> {
  const late = due.newest.filter((due_ms) => due_ms < now_ms - lateMs);
  const onTime = due.newest.slice(late.length);
  const lateCount = due.count - onTime.length;
  const fire: Plan["fire"] = onTime.map((due_ms) => ({ due_ms, cause: "due", missed: 0 }));
  // The newest of the late ones that are made up for; the others are left.
  const made = policy === "all" ? catchUp : policy === "once" && onTime.length === 0 ? 1 : 0;
  const madeUp = made === 0 ? [] : late.slice(-made);
  const left = late.slice(0, late.length - madeUp.length);
  const leftCount = lateCount - madeUp.length;
  fire.unshift(...madeUp.map((due_ms) => ({ due_ms, cause: "missed" as const, missed: 0 })));
  const head = fire[0];
  if (policy === "once" && head) head.missed = leftCount;
  const due_ms = left.at(-1);
  if (leftCount === 0 || due_ms === undefined) return { fire, leave: null };
  const outcome = policy === "once" ? "settled" : "skipped";
  return { fire, leave: { outcome, first_ms, due_ms, count: leftCount, isExact: due.isExact } };
}
