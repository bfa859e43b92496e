import type { Json } from "../../service/contract/common.ts";
import type { Event } from "../../service/contract/events.ts";
import type { TypeShape, ValueKind, ValueShape } from "../../service/contract/types.ts";

export type HeardEvent = Pick<Event, "type" | "subject" | "topic" | "payload">;

/** Entries of one list that are looked at. */
const ITEMS = 20;
/** The service tells so many subjects of a type; with more, one that is not among them says nothing. */
const SUBJECTS = 20;

/** Whether an event has what none of those had that the shapes were made of: a type, a field, a kind or word there. */
export function isNewsTo(shapes: readonly TypeShape[], { type, payload }: HeardEvent): boolean {
  const known = shapes.find((shape) => shape.type === type);
  return !known || isNews(known.payload, payload);
}

/** Whether the list of subjects lacks the event's. */
export function isNewSubject(shapes: readonly TypeShape[], { type, subject }: HeardEvent): boolean {
  const known = shapes.find((shape) => shape.type === type);
  return !known || (known.subjects.length < SUBJECTS && !known.subjects.includes(subject));
}

/** What the shape is silent about, such as objects with very many names, is no news. */
function isNews(shape: ValueShape, value: Json): boolean {
  if (!shape.kinds.some((kind) => isOfKind(value, kind))) return true;
  if (typeof value === "string") return shape.values !== undefined && !shape.values.includes(value);
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) {
    const { items } = shape;
    return items !== undefined && value.slice(0, ITEMS).some((item) => isNews(items, item));
  }
  const { fields } = shape;
  if (fields === undefined) return false;
  return Object.entries(value).some(([name, field]) => {
    const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return known ? isNews(known, field) : name !== "__proto__";
  });
}

function isOfKind(value: Json, kind: ValueKind): boolean {
  if (value === null) return kind === "null";
  if (Array.isArray(value)) return kind === "array";
  if (kind === "integer") return Number.isInteger(value);
  return typeof value === kind;
}
