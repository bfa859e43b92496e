import { showDuration } from "../lib/duration.ts";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
/** Text that is coloured on a terminal. */
export interface Styled {
  readonly style: Style;
  readonly text: string;
}
export type Part = string | Styled;

export const styled = (style: Style, text: string): Styled => ({ style, text });
export const textOf = (part: Part): string => (typeof part === "string" ? part : part.text);

// C0 but tab and line feed, DEL, C1, and the marks that turn the direction of reading.
const unsafe = /[^\P{Cc}\t\n]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Makes control characters visible, so that text from outside can neither move the cursor, nor change colours or
 * the window's title, nor turn the direction of reading. Line breaks and tabs stay.
 */
export function neutralise(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(unsafe, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
}

/** JSON for programs; what JSON leaves as it is but a terminal would obey is escaped. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(
    /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Local date and time to the second; today's without the date. */
export function showTime(ms: number | null, nowMs = Date.now()): string {
  if (ms === null) return "–";
  const time = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  if (time.toDateString() === new Date(nowMs).toDateString()) return clock;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}

/** A moment in full: ISO 8601 in this machine's zone, with its distance from UTC. */
export function showMoment(ms: number): string {
  const aheadMin = -new Date(ms).getTimezoneOffset();
  if (aheadMin === 0) return new Date(ms).toISOString();
  const two = (value: number) => String(value).padStart(2, "0");
  const distance = `${two(Math.floor(Math.abs(aheadMin) / 60))}:${two(Math.abs(aheadMin) % 60)}`;
  const local = new Date(ms + aheadMin * 60_000).toISOString().slice(0, -1);
  return `${local}${aheadMin < 0 ? "-" : "+"}${distance}`;
}

/** `3 min ago`, `in 2 h 5 min`, `–`. What is past needs no more than its largest unit. */
export function showAge(ms: number | null, nowMs = Date.now()): string {
  if (ms === null) return "–";
  const age = nowMs - ms;
  if (Math.abs(age) < 1_000) return "now";
  if (age < 0) return `in ${showDuration(-age)}`;
  const [amount, unit] = showDuration(age).split(" ");
  return `${amount} ${unit} ago`;
}

/** `1 event`, `3 events`, `2 entries`. */
export function count(amount: number, noun: string, many = `${noun}s`): string {
  return `${amount} ${amount === 1 ? noun : many}`;
}
