import type { JsonObject } from "../contract/common.ts";

export interface Ref {
  kind: "mention" | "tool";
  value: string;
}

/** At most this many of each kind are kept of one event. */
const MOST = 100;

// Not after a word character, so that mail addresses are no mentions.
const mentionPattern = /(?<![\p{L}\p{N}_@.+/-])@([\p{L}\p{N}][\p{L}\p{N}_-]{0,99})/gu;

/** Tools of the usual coding agents, found in text where they are called: `bash(…)`. */
const toolNames =
  "bash|read|edit|write|multiedit|patch|apply_patch|grep|glob|list|ls|webfetch|websearch|task|todowrite|todoread|skill";
/** With the text that must be there for each: looking for that is many times cheaper. */
const toolPatterns = [
  { needs: /\(/, pattern: new RegExp(`(?<![\\w.])(${toolNames})\\(`, "gi") },
  {
    needs: /tool/i,
    pattern: /\btool(?:[_ -]?call)?\s*[:=]\s*["'`]?([A-Za-z][\w.-]{0,99})/gi,
  },
  {
    needs: /</,
    // Bounded, since text like `<tool <tool <tool` would otherwise be read to its end from each of them.
    pattern: /<(?:tool|invoke)\s[^<>]{0,200}?name="([A-Za-z][\w.-]{0,99})"/gi,
  },
];

/** Names spoken to in the text (M11) or given by the caller: `@Name`, kept in lower case without the `@`. */
export function findMentions(body: string | null, given: readonly string[] = []): Ref[] {
  const names = given.map((name) => name.replace(/^@/, ""));
  if (body?.includes("@")) {
    for (const match of body.matchAll(mentionPattern)) names.push(match[1] ?? "");
  }
  return unique("mention", names);
}

/** Tools named in the metadata, in the caller's list, or called in the text (M12). */
export function findToolCalls(body: string | null, meta: JsonObject, given: readonly string[]): Ref[] {
  const names = [...given];
  for (const key of ["tool", "tools", "tool_calls", "toolCalls"]) collect(meta[key], names);
  const text = body ?? "";
  for (const { needs, pattern } of toolPatterns) {
    if (!needs.test(text)) continue;
    for (const match of text.matchAll(pattern)) names.push(match[1] ?? "");
  }
  return unique("tool", names);
}

/** `"bash"`, `["bash"]`, `{ name: "bash" }`, `{ function: { name: "bash" } }` and lists of these. */
function collect(value: unknown, names: string[]): void {
  if (typeof value === "string") names.push(value);
  else if (Array.isArray(value)) for (const item of value.slice(0, MOST)) collect(item, names);
  else if (typeof value === "object" && value !== null) {
    const call = value as { name?: unknown; tool?: unknown; function?: unknown };
    const name = call.name ?? call.tool ?? call.function;
    if (typeof name === "string") names.push(name);
    else if (typeof name === "object") collect(name, names);
  }
}

function unique(kind: Ref["kind"], names: string[]): Ref[] {
  if (names.length === 0) return [];
  const values = new Set(
    names.map((name) => name.toLowerCase().trim()).filter((name) => name !== "" && name.length <= 200),
  );
  return [...values].slice(0, MOST).map((value) => ({ kind, value }));
}
