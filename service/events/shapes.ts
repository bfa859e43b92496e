import type { Json, JsonObject } from "../contract/common.ts";
import type { Event } from "../contract/events.ts";
import type { FieldShape, TypeShape, ValueKind, ValueShape } from "../contract/types.ts";
import { isSecretName, looksSecret } from "../lib/secret-name.ts";

/** Deeper values are told of by their kind alone. */
const DEPTH = 6;
/** An object with more names is one whose names are data, such as ids: they are left out. */
const FIELDS = 80;
/** Entries of one list that are looked at. */
const ITEMS = 20;
/** So many different texts, each seen several times, are told as words. */
const WORDS = 8;
const WORD_LENGTH = 40;
const SAMPLE_LENGTH = 60;
const SUBJECTS = 20;

/**
 * Types of events, in the order in which they are first met, with the shape of their payloads. Give the newest first:
 * samples are taken from the first ones.
 */
export function shapesOf(
  events: Iterable<Pick<Event, "type" | "subject" | "recorded_ms" | "payload">>,
): TypeShape[] {
  const found = new Map<
    string,
    { subjects: Set<string>; last_ms: number; payload: Observed; sampled: number }
  >();
  for (const { type, subject, recorded_ms, payload } of events) {
    const known = found.get(type) ?? { subjects: new Set(), last_ms: 0, payload: newObserved(), sampled: 0 };
    found.set(type, known);
    if (known.subjects.size < SUBJECTS) known.subjects.add(subject);
    known.last_ms = Math.max(known.last_ms, recorded_ms);
    known.sampled += 1;
    observe(known.payload, payload, "", 0);
  }
  return [...found].map(([type, { subjects, payload, ...rest }]) => ({
    ...{ type, ...rest },
    subjects: [...subjects],
    payload: shapeOf(payload),
  }));
}

/** What was seen at one place. */
interface Observed {
  kinds: Map<ValueKind, number>;
  /** Null once there are too many of them, or one that must not be told. */
  words: Map<string, number> | null;
  sample: string | null;
  /** Null once there are too many names. */
  fields: Map<string, Observed> | null;
  items: Observed | null;
}

function newObserved(): Observed {
  return { kinds: new Map(), words: new Map(), sample: null, fields: new Map(), items: null };
}

function observe(into: Observed, value: Json, name: string, depth: number): void {
  const kind = kindOf(value);
  into.kinds.set(kind, (into.kinds.get(kind) ?? 0) + 1);
  if (Array.isArray(value)) {
    if (depth >= DEPTH) return;
    into.items ??= newObserved();
    for (const item of value.slice(0, ITEMS)) observe(into.items, item, name, depth + 1);
  } else if (typeof value === "object" && value !== null) {
    if (depth < DEPTH) observeFields(into, value as JsonObject, name, depth);
  } else {
    into.sample ??= value === null ? null : sampleOf(value, name);
    if (typeof value === "string") observeWord(into, value, name);
  }
}

function observeFields(into: Observed, value: JsonObject, name: string, depth: number): void {
  for (const [key, field] of Object.entries(value)) {
    // As a name it would change what the reader's object is.
    if (key === "__proto__" || into.fields === null) continue;
    let known = into.fields.get(key);
    if (!known) {
      if (into.fields.size >= FIELDS) {
        into.fields = null;
        return;
      }
      known = newObserved();
      into.fields.set(key, known);
    }
    // What lies inside a secret is one too.
    observe(known, field, isSecretName(name) ? name : key, depth + 1);
  }
}

function observeWord(into: Observed, text: string, name: string): void {
  if (into.words === null) return;
  const isPlain = text !== "" && text.length <= WORD_LENGTH && !isSecretName(name) && !looksSecret(text);
  if (isPlain) into.words.set(text, (into.words.get(text) ?? 0) + 1);
  if (!isPlain || into.words.size > WORDS) into.words = null;
}

function kindOf(value: Json): ValueKind {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value as "string" | "boolean" | "object";
}

/** JSON of a single value, fit to be shown. */
function sampleOf(value: string | number | boolean, name: string): string {
  if (typeof value === "boolean") return String(value);
  if (isSecretName(name) || (typeof value === "string" && looksSecret(value))) return '"[secret]"';
  if (typeof value === "number") return String(value);
  const letters = [...value];
  return JSON.stringify(
    letters.length > SAMPLE_LENGTH ? `${letters.slice(0, SAMPLE_LENGTH - 1).join("")}…` : value,
  );
}

function shapeOf({ kinds, words, sample, fields, items }: Observed): ValueShape {
  const shape: ValueShape = { kinds: sortedKinds(kinds) };
  const texts = kinds.get("string") ?? 0;
  const isOnlyText = [...kinds.keys()].every((kind) => kind === "string" || kind === "null");
  if (words && isOnlyText && words.size > 0 && texts >= words.size * 3)
    shape.values = [...words.keys()].sort();
  if (sample !== null) shape.sample = sample;
  if (items) shape.items = shapeOf(items);
  const objects = kinds.get("object") ?? 0;
  if (fields && fields.size > 0) {
    shape.fields = Object.fromEntries(
      [...fields].map(([name, field]): [string, FieldShape] => {
        const presence = total(field.kinds) / objects;
        return [name, { ...shapeOf(field), presence }];
      }),
    );
  }
  return shape;
}

function total(kinds: Map<ValueKind, number>): number {
  return [...kinds.values()].reduce((sum, count) => sum + count, 0);
}

/** Most frequent first; of equals, by name. A place with both kinds of numbers holds numbers. */
function sortedKinds(kinds: Map<ValueKind, number>): ValueKind[] {
  const merged = new Map(kinds);
  const whole = merged.get("integer");
  if (whole !== undefined && merged.has("number")) {
    merged.set("number", (merged.get("number") ?? 0) + whole);
    merged.delete("integer");
  }
  return [...merged].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1)).map(([kind]) => kind);
}
