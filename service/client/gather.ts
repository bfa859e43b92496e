import type { JsonObject } from "../contract/common.ts";
import { type ErrorCode, errorKinds, SignalboxError } from "../contract/errors.ts";

const MAX_ITEMS = 200;
const MAX_CHARS = 512 * 1024;
const MAX_IN_FLIGHT = 2;

interface Waiting<Item, Answer> {
  item: Item;
  chars: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** How the service takes one, and how it takes many: with an answer or an error for each, in order. */
export interface Ways<Item, Answer> {
  one(item: Item): Promise<Answer>;
  many(items: JsonObject[]): Promise<{ results: (Answer | Refusal)[] }>;
}

interface Refusal {
  error: { code: string; message: string; hint: string };
}

/**
 * A function that tells the service one thing, gathering what is asked for in the same turn of the event loop, or while
 * two batches are on their way, into batches of up to 200 items or 512 K characters.
 */
export function gather<Item extends object, Answer extends object>(
  ways: Ways<Item, Answer>,
): (item: Item) => Promise<Answer> {
  const waiting: Waiting<Item, Answer>[] = [];
  let inFlight = 0;
  let isScheduled = false;

  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    soon(() => {
      isScheduled = false;
      while (inFlight < MAX_IN_FLIGHT && waiting.length > 0) void send(takeBatch(waiting));
    });
  };

  async function send(batch: Waiting<Item, Answer>[]): Promise<void> {
    inFlight += 1;
    try {
      await deliver(batch, ways);
    } catch (error) {
      for (const one of batch) one.reject(error);
    }
    inFlight -= 1;
    if (waiting.length > 0) schedule();
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, chars: JSON.stringify(item).length, resolve, reject });
      if (inFlight < MAX_IN_FLIGHT) schedule();
    });
}

function takeBatch<Item, Answer>(waiting: Waiting<Item, Answer>[]): Waiting<Item, Answer>[] {
  let chars = 0;
  let count = 0;
  for (const one of waiting) {
    if (count === MAX_ITEMS || (count > 0 && chars + one.chars > MAX_CHARS)) break;
    chars += one.chars;
    count += 1;
  }
  return waiting.splice(0, count);
}

async function deliver<Item extends object, Answer extends object>(
  batch: Waiting<Item, Answer>[],
  ways: Ways<Item, Answer>,
): Promise<void> {
  const [first] = batch;
  if (first !== undefined && batch.length === 1) {
    first.resolve(await ways.one(first.item));
    return;
  }
  // Left out and undefined mean the same here, which JSON's type can't say.
  const { results } = await ways.many(batch.map((one) => one.item as JsonObject));
  batch.forEach((one, index) => {
    const result = results[index];
    if (result === undefined)
      one.reject(new SignalboxError("internal", "the service answered too few results"));
    else if ("error" in result) one.reject(toError(result.error));
    else one.resolve(result);
  });
}

function toError(error: Refusal["error"]): SignalboxError {
  const code = error.code in errorKinds ? (error.code as ErrorCode) : "internal";
  return new SignalboxError(code, error.message, { hint: error.hint });
}

/** After what runs now, so that a loop of calls becomes one batch; browsers have microtasks only. */
const soon: (fn: () => void) => void = typeof setImmediate === "function" ? setImmediate : queueMicrotask;
