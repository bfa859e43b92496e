import { createParser, type EventSourceMessage } from "eventsource-parser";
import { SignalboxError } from "../contract/errors.ts";
import { backoffMs } from "../lib/backoff.ts";
import { errorFromReply, type StreamOptions, type Transport, type WireRequest } from "./transport.ts";

const RECONNECT_BASE_MS = 100;
const RECONNECT_MAX_MS = 5_000;

/** One JSON document a line. Ends with the reply; an `{"error":…}` line ends it with that error. */
export async function* readNdjson<T>(
  transport: Transport,
  request: WireRequest,
  parse: (item: unknown) => T,
): AsyncGenerator<T> {
  let rest = "";
  for await (const piece of transport.stream(request)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield parseLine(line, parse);
  }
  if (rest.trim() !== "") yield parseLine(rest, parse);
}

/** Half-way through a reply the status is long gone, so a failure comes as the last line. */
function parseLine<T>(line: string, parse: (item: unknown) => T): T {
  if (line.startsWith('{"error":')) throw errorFromReply({ status: 500, text: line, headers: {} });
  return parse(JSON.parse(line));
}

/**
 * Server-sent events as they come, for ever: a lost connection is made again, with `Last-Event-ID`, after a wait
 * that doubles up to 5 s. Ends when the signal aborts.
 * @throws SignalboxError that the service answered with, such as `not_found`: trying again would not help
 */
export async function* readSse<T>(
  transport: Transport,
  request: WireRequest,
  options: StreamOptions,
  parse: (item: unknown) => T,
): AsyncGenerator<T> {
  const { signal } = options;
  const place = { lastEventId: options.lastEventId, attempt: 1 };
  for (; !isAborted(signal); place.attempt++) {
    let lost: unknown;
    try {
      for await (const message of messages(transport, request, signal, place)) {
        yield parse(JSON.parse(message.data));
      }
    } catch (error) {
      if (isAborted(signal)) return;
      if (!isWorthRetrying(error)) throw error;
      lost = error;
    }
    if (isAborted(signal)) return;
    options.onReconnect?.(lost);
    await pause(backoffMs(place.attempt, RECONNECT_BASE_MS, RECONNECT_MAX_MS), signal);
  }
}

/** A function, so that the compiler does not take the answer for granted across an await. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function isWorthRetrying(error: unknown): boolean {
  return (
    SignalboxError.is(error, "service_unreachable") ||
    SignalboxError.is(error, "unavailable") ||
    SignalboxError.is(error, "busy")
  );
}

interface Place {
  lastEventId: string | undefined;
  attempt: number;
}

/** The messages of one connection; keeps in `place` where to go on. */
async function* messages(
  transport: Transport,
  request: WireRequest,
  signal: AbortSignal | undefined,
  place: Place,
): AsyncGenerator<EventSourceMessage> {
  const headers: Record<string, string> = { accept: "text/event-stream" };
  if (place.lastEventId !== undefined) headers["last-event-id"] = place.lastEventId;
  const ready: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => ready.push(message) });
  for await (const piece of transport.stream({ ...request, headers, signal })) {
    parser.feed(piece);
    for (const message of ready.splice(0)) {
      place.attempt = 1;
      if (message.event === "error") {
        throw errorFromReply({ status: 500, text: message.data, headers: {} });
      }
      yield message;
      // Only now, when whoever reads has dealt with it.
      place.lastEventId = message.id ?? place.lastEventId;
    }
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}
