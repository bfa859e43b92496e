import type { Client } from "../../client/call.ts";
import type { JsonObject } from "../../contract/common.ts";
import { errorKinds } from "../../contract/errors.ts";
import type { PushedBatch } from "../../contract/events.ts";
import type { Context } from "../context.ts";
import { readLines } from "../input.ts";
import { count } from "../text.ts";

const BATCH_EVENTS = 500;
const BATCH_CHARS = 4 * 1024 * 1024;

interface Totals {
  pushed: number;
  duplicates: number;
  failed: { line: number; code: string; message: string }[];
}

/** Pushes one event a line. A line that is refused does not keep the others back. */
export async function pushLines(context: Context, topic: string | undefined, file: string): Promise<void> {
  await sendLines(context, file, (event) => ({ ...(topic === undefined ? {} : { topic }), ...event }));
}

/** Reads lines, makes an event of each, and pushes them in batches; prints what became of them. */
export async function sendLines(
  context: Context,
  file: string,
  toEvent: (line: JsonObject) => JsonObject,
): Promise<void> {
  const { out } = context;
  const client = await context.client();
  const totals: Totals = { pushed: 0, duplicates: 0, failed: [] };
  let batch: { line: number; event: JsonObject }[] = [];
  let chars = 0;
  const flush = async () => {
    if (batch.length > 0) await sendBatch(client, batch, totals);
    batch = [];
    chars = 0;
    out.progress(`${count(totals.pushed, "event")} …`);
  };
  for await (const { line, text } of readLines(context.io, file)) {
    const parsed = parseLine(text);
    if (typeof parsed === "string") totals.failed.push({ line, code: "invalid_request", message: parsed });
    else {
      if (batch.length === BATCH_EVENTS || (batch.length > 0 && chars + text.length > BATCH_CHARS))
        await flush();
      batch.push({ line, event: toEvent(parsed) });
      chars += text.length;
    }
  }
  await flush();
  out.progress("");
  totals.failed.sort((a, b) => a.line - b.line);
  report(context, totals);
}

async function sendBatch(
  client: Client,
  batch: { line: number; event: JsonObject }[],
  totals: Totals,
): Promise<void> {
  const { results }: PushedBatch = await client.pushEvents({ events: batch.map(({ event }) => event) });
  results.forEach((result, index) => {
    if ("error" in result) {
      const { code, message } = result.error;
      totals.failed.push({ line: batch[index]?.line ?? 0, code, message });
    } else if (result.duplicate) totals.duplicates += 1;
    else totals.pushed += 1;
  });
}

/** The object, or what is wrong with the line. */
function parseLine(text: string): JsonObject | string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
    return "not a JSON object";
  } catch (error) {
    return (error as Error).message;
  }
}

function report(context: Context, totals: Totals): void {
  const { out } = context;
  out.result(totals, () => {
    const parts = [count(totals.pushed, "event")];
    if (totals.duplicates > 0) parts.push(`${totals.duplicates} there already`);
    if (totals.failed.length > 0) parts.push(`${totals.failed.length} refused`);
    out.line(parts.join(", "));
    for (const { line, code, message } of totals.failed.slice(0, 10))
      out.remark(`line ${line}: ${message} (${code})`);
  });
  if (totals.failed.length === 0) return;
  context.exit(1);
  if (!out.isJson()) out.remark(errorKinds.invalid_request.hint);
}
