import type { Json } from "../contract/common.ts";

export interface Change {
  /** `labels.0.name`; empty for the whole. */
  path: string;
  before?: Json;
  after?: Json;
}

/** A card shows no more. */
const MOST = 200;

/** What differs, field by field, in the order of the names. */
export function differences(before: Json, after: Json): Change[] {
  const found: Change[] = [];
  compare(before, after, "", found);
  return found.slice(0, MOST);
}

function compare(before: Json, after: Json, path: string, found: Change[]): void {
  if (found.length >= MOST) return;
  if (!isContainer(before) || !isContainer(after) || Array.isArray(before) !== Array.isArray(after)) {
    if (before !== after) found.push({ path, before, after });
    return;
  }
  const [from, to] = [before as Record<string, Json>, after as Record<string, Json>];
  for (const key of [...new Set([...Object.keys(from), ...Object.keys(to)])].sort()) {
    const here = path === "" ? key : `${path}.${key}`;
    if (!Object.hasOwn(from, key)) found.push({ path: here, after: to[key] ?? null });
    else if (!Object.hasOwn(to, key)) found.push({ path: here, before: from[key] ?? null });
    else compare(from[key] ?? null, to[key] ?? null, here, found);
  }
}

function isContainer(value: Json): value is Json[] | { [key: string]: Json } {
  return typeof value === "object" && value !== null;
}
