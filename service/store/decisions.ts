import { SignalboxError } from "../contract/errors.ts";
import type { DeliveryStatus, Event } from "../contract/events.ts";
import type { Holder, Settlement } from "./store.ts";

/** What every adapter decides alike. Pure functions: adapters only speak SQL. */

export interface DeliveryState {
  status: DeliveryStatus;
  claimed_by: string | null;
  lease: string | null;
  lease_until_ms: number | null;
  attempts: number;
  not_before_ms: number | null;
}

export interface DeliveryStep {
  status: DeliveryStatus;
  /** Whether the claim goes on. */
  keepClaim: boolean;
  lease_until_ms: number | null;
  not_before_ms: number | null;
  error: string | null;
  finished: boolean;
}

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 300_000;

/** Doubles from one second to five minutes; even, so that a test can tell it. */
export function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** Math.min(attempts - 1, 20));
}

/** @throws SignalboxError `lease_lost`, `conflict` */
export function decideSettlement(
  event_id: string,
  row: DeliveryState,
  holder: Holder,
  settlement: Settlement,
  topic: { lease_ms: number; max_attempts: number },
  now_ms: number,
): DeliveryStep {
  checkHolder(event_id, row, holder, settlement.kind === "answer");
  const ended = { keepClaim: true, lease_until_ms: null, not_before_ms: null, finished: true };
  switch (settlement.kind) {
    case "extend": {
      const lease_until_ms = now_ms + (settlement.lease_ms ?? topic.lease_ms);
      return {
        status: "processing",
        keepClaim: true,
        lease_until_ms,
        not_before_ms: null,
        error: null,
        finished: false,
      };
    }
    case "complete":
      return { ...ended, status: "completed", error: null };
    case "answer":
      return {
        ...ended,
        status: settlement.status,
        error: settlement.status === "failed" ? "answered as failed" : null,
      };
    case "reject":
      return { ...ended, status: "failed", error: settlement.error };
    case "retry": {
      const error = settlement.error;
      if (row.attempts >= topic.max_attempts) return { ...ended, status: "dead", error };
      const not_before_ms = now_ms + (settlement.retry_in_ms ?? retryDelayMs(row.attempts));
      return {
        status: "pending",
        keepClaim: false,
        lease_until_ms: null,
        not_before_ms,
        error,
        finished: false,
      };
    }
    case "release":
      return {
        status: "pending",
        keepClaim: false,
        lease_until_ms: null,
        not_before_ms: null,
        error: null,
        finished: false,
      };
  }
}

function checkHolder(event_id: string, row: DeliveryState, holder: Holder, alsoPending: boolean): void {
  if (row.status === "pending") {
    if (alsoPending && holder.lease === undefined) return;
    if (holder.lease !== undefined) {
      throw new SignalboxError(
        "lease_lost",
        `the lease on ${event_id} ran out and it went back to the queue`,
      );
    }
    throw new SignalboxError("conflict", `${event_id} is not claimed`, { hint: "Claim it first." });
  }
  if (row.status !== "processing") {
    throw new SignalboxError(
      "conflict",
      `${event_id} is already ${row.status}${row.claimed_by ? ` by ${row.claimed_by}` : ""}`,
    );
  }
  const otherLease = holder.lease !== undefined && holder.lease !== row.lease;
  const otherAgent = holder.agent !== undefined && holder.agent !== row.claimed_by;
  if (otherLease || otherAgent) {
    throw new SignalboxError("lease_lost", `${event_id} is now claimed by ${row.claimed_by}`);
  }
}

/** What becomes of a claim whose lease ran out. */
export function decideExpiry(attempts: number, maxAttempts: number): "pending" | "dead" {
  return attempts >= maxAttempts ? "dead" : "pending";
}

const TEXT_LIMIT = 16_384;
const TEXT_DEPTH = 64;

/** The words an event is found by: its type, its body, and the texts in its payload, 16 KiB at the most. */
export function searchText(event: Pick<Event, "type" | "body" | "payload">): string {
  const parts: string[] = [event.type];
  let room = TEXT_LIMIT;
  const add = (text: string) => {
    if (room <= 0) return;
    parts.push(text.length > room ? text.slice(0, room) : text);
    room -= text.length;
  };
  if (event.body) add(event.body);
  const visit = (value: unknown, depth = 0): void => {
    if (room <= 0 || depth > TEXT_DEPTH) return;
    if (typeof value === "string") add(value);
    else if (Array.isArray(value)) for (const item of value) visit(item, depth + 1);
    else if (typeof value === "object" && value !== null)
      for (const item of Object.values(value)) visit(item, depth + 1);
  };
  visit(event.payload);
  return parts.join("\n");
}

/**
 * User text as an FTS5 expression: every word quoted, so nothing in it is syntax (list of mistakes, 12). Text in
 * double quotes stays a phrase, a word's final `*` finds beginnings. Null when no word is left.
 */
export function searchExpression(text: string): string | null {
  const terms: string[] = [];
  for (const match of text.matchAll(/"([^"]*)"(\*?)|([^\s"]+)/gu)) {
    const raw = match[1] ?? match[3] ?? "";
    const prefix =
      match[2] === "*" || (match[3] !== undefined && match[3].length > 1 && match[3].endsWith("*"));
    // The tokenizer drops everything but letters, numbers and private use; a term without any would match nothing.
    if (!/[\p{L}\p{N}\p{Co}]/u.test(raw)) continue;
    terms.push(`"${raw.replaceAll("\0", " ")}"${prefix ? " *" : ""}`);
  }
  return terms.length === 0 ? null : terms.join(" ");
}

/** Order for `ranked`: how often the words occur for the length of the text, newest first among equals. */
export function rankScore(text: string, words: readonly string[]): number {
  const lower = text.toLowerCase();
  let score = 0;
  for (const word of words) {
    let hits = 0;
    for (let at = lower.indexOf(word); at !== -1 && hits < 50; at = lower.indexOf(word, at + word.length))
      hits++;
    // Saturates as BM25 does, so that a word said fifty times does not drown the others.
    score += (hits * 2.2) / (hits + 1.2 * (0.25 + (0.75 * lower.length) / 400));
  }
  return score;
}

export function searchWords(text: string): string[] {
  return [...text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)].map((match) => match[0]);
}
