import type { JsonObject } from "../contract/common.ts";
import { parseDuration } from "../lib/duration.ts";

/** Known to commander by its code, so that those who only read arguments need not load it. */
class InvalidArgument extends Error {
  readonly code = "commander.invalidArgument";
}

// Each refuses what it can't read with a message that ends the command with exit code 2.

export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgument("Write a time such as 90s, 10m, 2h or 3d.");
  return ms;
}

/** A moment: a date and time in this machine's zone, or how long ago it was. */
export function moment(text: string): number {
  const ago = parseDuration(text);
  const ms = ago === null ? readDateTime(text) : Date.now() - ago;
  if (ms === null)
    throw new InvalidArgument("Write how long ago, such as 2h, or when, such as 2026-12-01T09:00.");
  return ms;
}

export function dateTime(text: string): number {
  const ms = readDateTime(text);
  if (ms === null) throw new InvalidArgument("Write a date and time such as 2026-12-01T09:00.");
  return ms;
}

function readDateTime(text: string): number | null {
  // A date alone would be read as midnight in UTC, which is not what a person here means.
  const local = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text.replace(" ", "T");
  const ms = Date.parse(local);
  return Number.isNaN(ms) ? null : ms;
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgument("Write a whole number.");
  return Number(text);
}

export function jsonObject(text: string): JsonObject {
  const value = json(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidArgument('Write a JSON object, such as {"a":1}.');
  }
  return value as JsonObject;
}

export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgument(`This is no JSON: ${(error as Error).message}`);
  }
}

/** For options that may be given several times. */
export function collect(text: string, earlier: string[] = []): string[] {
  return [...earlier, text];
}
