import type { Translate } from "./row.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `12 s ago`, `in 5 min`: one unit, rounded down. */
export function relativeTime(timeMs: number, nowMs: number, t: Translate): string {
  const distance = Math.abs(nowMs - timeMs);
  if (distance < 2 * SECOND_MS) return t("now");
  const length = duration(distance, t);
  return timeMs < nowMs ? t("{0} ago", length) : t("in {0}", length);
}

/** `45 s`, `3 min`, `2 h`, `5 d`. */
export function duration(ms: number, t: Translate): string {
  if (ms < MINUTE_MS) return t("{0} s", Math.floor(ms / SECOND_MS));
  if (ms < HOUR_MS) return t("{0} min", Math.floor(ms / MINUTE_MS));
  if (ms < 2 * DAY_MS) return t("{0} h", Math.floor(ms / HOUR_MS));
  return t("{0} d", Math.floor(ms / DAY_MS));
}

/** The time of day, with the date where it was another one. */
export function clockTime(timeMs: number, nowMs: number): string {
  const time = new Date(timeMs);
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const now = new Date(nowMs);
  const isToday = time.toDateString() === now.toDateString();
  return isToday ? clock : `${day} ${clock}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** The first line, cut to what a tree can show. */
export function excerpt(text: string, maxChars = 120): string {
  const line = text.trimStart().split("\n", 1)[0] ?? "";
  return line.length > maxChars ? `${line.slice(0, maxChars - 1)}…` : line;
}

/** `3 pending · 1 dead`, leaving out what is zero. */
export function counts(parts: readonly (readonly [number, string])[]): string {
  return parts.flatMap(([count, words]) => (count > 0 ? [words] : [])).join(" · ");
}
