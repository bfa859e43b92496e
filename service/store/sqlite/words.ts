import { crc32 } from "node:zlib";

/**
 * What events are found by: their words, and a key for each value that is asked for by name. A key is a token that no
 * text can hold.
 */

/** A private character, which texts lose before they are indexed or looked for. */
const MARK = "\ue1f4";

const letters = {
  type: "a",
  source: "b",
  topic: "c",
  subject: "d",
  conversation_key: "e",
  parent_id: "f",
  scope: "g",
  correlation_id: "h",
  mention: "i",
  tool: "j",
} as const;
export type Key = keyof typeof letters;

/** Values whose keys are remembered: most events have topics, types and sources of events before. */
const REMEMBERED = 10_000;
const tokens = new Map<string, string>();

/** Different values may share a key, so what is found by it is compared again. */
function tokenOf(key: Key, value: string): string {
  const named = letters[key] + value;
  let token = tokens.get(named);
  if (token === undefined) {
    if (tokens.size >= REMEMBERED) tokens.clear();
    token = `${MARK}${letters[key]}${crc32(value).toString(36)}`;
    tokens.set(named, token);
  }
  return token;
}

const columns = [
  "type",
  "source",
  "topic",
  "subject",
  "conversation_key",
  "parent_id",
  "scope",
  "correlation_id",
] as const satisfies Key[];

/** The words of an event and its keys, as they are indexed. */
export function indexedText(
  words: string,
  event: Readonly<Record<(typeof columns)[number], string | null>>,
  refs: readonly { readonly kind: "mention" | "tool"; readonly value: string }[],
): string {
  let text = plainWords(words);
  for (const column of columns) {
    const value = event[column];
    if (value !== null) text += ` ${tokenOf(column, value)}`;
  }
  for (const { kind, value } of refs) text += ` ${tokenOf(kind, value)}`;
  return text;
}

/** Without the private character that begins a key. */
export function plainWords(words: string): string {
  return words.includes(MARK) ? words.replaceAll(MARK, " ") : words;
}

/** Events with this value; with one of these, where there are several. */
export function keyExpression(key: Key, ...values: string[]): string {
  const quoted = [...new Set(values.map((value) => `"${tokenOf(key, value)}"`))];
  return quoted.length === 1 ? (quoted[0] ?? "") : `(${quoted.join(" OR ")})`;
}
