import type { JsonObject } from "../contract/common.ts";
import { type ErrorCode, errorKinds, SignalboxError } from "../contract/errors.ts";
import type { NewEvent, Pushed, PushedBatch } from "../contract/events.ts";

const MAX_EVENTS = 200;
const MAX_CHARS = 512 * 1024;
const MAX_IN_FLIGHT = 2;

interface Waiting {
  event: NewEvent;
  chars: number;
  resolve(pushed: Pushed): void;
  reject(error: unknown): void;
}

/**
 * A function that records one event, gathering what is asked for in the same turn of the event loop, or while two
 * batches are on their way, into batches of up to 200 events or 512 K characters.
 */
export function createPusher(
  pushOne: (event: NewEvent) => Promise<Pushed>,
  pushMany: (events: JsonObject[]) => Promise<PushedBatch>,
): (event: NewEvent) => Promise<Pushed> {
  const waiting: Waiting[] = [];
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

  async function send(batch: Waiting[]): Promise<void> {
    inFlight += 1;
    try {
      await deliver(batch, pushOne, pushMany);
    } catch (error) {
      for (const one of batch) one.reject(error);
    }
    inFlight -= 1;
    if (waiting.length > 0) schedule();
  }

  return (event) =>
    new Promise((resolve, reject) => {
      waiting.push({ event, chars: JSON.stringify(event).length, resolve, reject });
      if (inFlight < MAX_IN_FLIGHT) schedule();
    });
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  let chars = 0;
  let count = 0;
  for (const one of waiting) {
    if (count === MAX_EVENTS || (count > 0 && chars + one.chars > MAX_CHARS)) break;
    chars += one.chars;
    count += 1;
  }
  return waiting.splice(0, count);
}

async function deliver(
  batch: Waiting[],
  pushOne: (event: NewEvent) => Promise<Pushed>,
  pushMany: (events: JsonObject[]) => Promise<PushedBatch>,
): Promise<void> {
  const [first] = batch;
  if (first !== undefined && batch.length === 1) {
    first.resolve(await pushOne(first.event));
    return;
  }
  // Left out and undefined mean the same here, which JSON's type can't say.
  const { results } = await pushMany(batch.map((one) => one.event as JsonObject));
  batch.forEach((one, index) => {
    const result = results[index];
    if (result === undefined)
      one.reject(new SignalboxError("internal", "the service answered too few results"));
    else if ("error" in result) one.reject(toError(result.error));
    else one.resolve(result);
  });
}

function toError(error: { code: string; message: string; hint: string }): SignalboxError {
  const code = error.code in errorKinds ? (error.code as ErrorCode) : "internal";
  return new SignalboxError(code, error.message, { hint: error.hint });
}

/** After what runs now, so that a loop of pushes becomes one batch; browsers have microtasks only. */
const soon: (fn: () => void) => void = typeof setImmediate === "function" ? setImmediate : queueMicrotask;
