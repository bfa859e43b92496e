import type { Event } from "../contract/events.ts";

/** What every adapter finds by text alike. */

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

/** A beginning must be so long, in bytes of UTF-8: all words with one letter are as slow to find as to read. */
const PREFIX_BYTES = 3;

/**
 * User text as an FTS5 expression: every word quoted, so nothing in it is syntax (list of mistakes, 12). Text in
 * double quotes stays a phrase, a final `*` finds beginnings of three letters or more. Null when no word is left.
 */
export function searchExpression(text: string): string | null {
  const terms = new Set<string>();
  for (const match of text.matchAll(/"([^"]*)"(\*?)|([^\s"]+)/gu)) {
    const given = match[1] ?? match[3] ?? "";
    const star = match[2] === "*" || (match[3]?.endsWith("*") ?? false);
    const words = given.replaceAll("\0", " ");
    // The tokenizer drops everything but letters, numbers and private use; a term without any would match nothing.
    const letters = words.match(/[\p{L}\p{N}\p{Co}]+/gu);
    if (!letters) continue;
    const last = letters.at(-1) ?? "";
    terms.add(`"${words}"${star && Buffer.byteLength(last) >= PREFIX_BYTES ? " *" : ""}`);
  }
  return terms.size === 0 ? null : [...terms].join(" ");
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
