import type { AwayItem, AwayKind } from "../../service/contract/health.ts";
import type { Schedule } from "../../service/contract/schedules.ts";
import type { Row, Translate } from "./row.ts";
import { clockTime, duration, relativeTime } from "./words.ts";

/** A schedule with its next due time; under it the ones after that. */
export function scheduleRow(schedule: Schedule, nowMs: number, t: Translate): Row {
  const { name, state } = schedule;
  const next = schedule.next_ms === null ? t("nothing due") : relativeTime(schedule.next_ms, nowMs, t);
  const said = state === "active" ? next : state === "paused" ? t("paused") : t("done");
  return {
    id: `schedule:${schedule.id}`,
    label: schedule.title ?? name,
    description: `${said} · ${rhythm(schedule, t)}`,
    tooltip: [name, rhythm(schedule, t), schedule.paused_reason, schedule.last_error]
      .filter(Boolean)
      .join("\n"),
    icon: scheduleIcon(schedule),
    context: `schedule ${state}`,
    item: { kind: "schedule", schedule: name },
    ...(schedule.upcoming.length === 0
      ? {}
      : {
          children: () =>
            schedule.upcoming.map((dueMs) => ({
              id: `schedule:${schedule.id}:${dueMs}`,
              label: clockTime(dueMs, nowMs),
              description: relativeTime(dueMs, nowMs, t),
              icon: { id: "clock" },
            })),
        }),
  };
}

function rhythm(schedule: Schedule, t: Translate): string {
  if (schedule.cron !== null) return `${schedule.cron} (${schedule.time_zone})`;
  if (schedule.every_ms !== null) return t("every {0}", duration(schedule.every_ms, t));
  if (schedule.pattern !== null) return t("on {0}", schedule.pattern);
  return t("once");
}

function scheduleIcon({ state, failures }: Schedule): NonNullable<Row["icon"]> {
  if (state === "paused") return { id: "debug-pause", color: "list.warningForeground" };
  if (state === "done") return { id: "check" };
  if (failures > 0) return { id: "warning", color: "list.warningForeground" };
  return { id: "watch", color: "testing.iconPassed" };
}

const awayIcons: Partial<Record<AwayKind, string>> = {
  effect_waiting: "shield",
  schedule_missed: "watch",
  schedule_paused: "watch",
  dead_letters: "circle-slash",
  agent_offline: "debug-disconnect",
};

/** One thing that happened; its actions settle it. */
export function awayRow(item: AwayItem, nowMs: number, t: Translate): Row {
  const times = item.count > 1 ? ` · ${t("{0} times", item.count)}` : "";
  return {
    id: `away:${item.kind}:${item.ref}`,
    label: item.title,
    description: `${relativeTime(item.time_ms, nowMs, t)}${times}`,
    tooltip: [item.title, item.detail].filter(Boolean).join("\n"),
    icon: { id: awayIcons[item.kind] ?? "warning" },
    context: item.actions.length > 0 ? "away" : "awaySeen",
    item: { kind: "away", actions: item.actions },
    ...(item.actions.length > 0 ? { command: { id: "signalbox.away.settle", title: t("Settle") } } : {}),
  };
}
