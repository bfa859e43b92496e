import type { FinishedEffect } from "../contract/agents.ts";
import type { NewEvent, Pushed } from "../contract/events.ts";
import type { Input, Output, RouteName, Routes } from "../contract/routes.ts";
import { gather } from "./gather.ts";
import { readNdjson, readSse } from "./streams.ts";
import {
  type CallOptions,
  errorFromReply,
  type StreamOptions,
  type Transport,
  type WireRequest,
} from "./transport.ts";
import type { WireRoute } from "./wire.ts";

export type StreamRoute = {
  [N in RouteName]: Routes[N] extends { readonly stream: string } ? N : never;
}[RouteName];
export type PlainRoute = Exclude<RouteName, StreamRoute>;

/** Nothing to give, or nothing that must be given: the argument may be left out. */
type Arguments<N extends RouteName, O> =
  unknown extends Input<N>
    ? [input?: Record<never, never>, options?: O]
    : Record<never, never> extends Input<N>
      ? [input?: Input<N>, options?: O]
      : [input: Input<N>, options?: O];

/** One method a route. Path parameters, query and body fields are given in one object. */
export type Client = {
  readonly [N in PlainRoute]: (...args: Arguments<N, CallOptions>) => Promise<Output<N>>;
} & {
  readonly [N in StreamRoute]: (...args: Arguments<N, StreamOptions>) => AsyncIterable<Output<N>>;
} & {
  /**
   * Records one event; calls made at the same time travel together. Each gets its own answer.
   * @throws SignalboxError as for this event alone
   */
  push(event: NewEvent): Promise<Pushed>;
  /**
   * Reports the result of one command; calls made at the same time travel together.
   * @throws SignalboxError as `finishEffect` for this one alone
   */
  finish(result: Input<"finishEffect">): Promise<FinishedEffect>;
  close(): void;
};

/** How long the service may look for a page whose caller set no time. */
const PATIENCE_MS = 20_000;

type Parse = <N extends RouteName>(name: N, reply: unknown) => Output<N>;

/** Builds the methods from a table of routes; `parse` decides what is done with each reply. */
export function buildClient(
  transport: Transport,
  routes: Readonly<Record<RouteName, WireRoute>>,
  parse: Parse,
): Client {
  const methods: Record<string, unknown> = {};
  const call = async (name: RouteName, input?: object, options?: CallOptions): Promise<unknown> => {
    const request = toRequest(routes[name], input);
    const reply = await transport.request({ ...request, signal: options?.signal });
    if (reply.status >= 400) throw errorFromReply(reply);
    const answer: unknown = JSON.parse(reply.text);
    // The service answers soon with what it has found; who set no time wants all of it.
    if (!isCut(answer) || (input !== undefined && "within_ms" in input)) return parse(name, answer);
    return call(name, { ...input, within_ms: PATIENCE_MS }, options);
  };
  for (const [key, route] of Object.entries(routes)) {
    const name = key as RouteName;
    methods[name] =
      route.stream === undefined
        ? (input?: object, options?: CallOptions) => call(name, input, options)
        : (input?: object, options?: StreamOptions) =>
            follow(transport, route, toRequest(route, input), options, (item) => parse(name, item));
  }
  // The table has every route's name, which the mapped type above can't see from here.
  const client = methods as unknown as Client;
  return Object.assign(client, {
    push: gather<NewEvent, Pushed>({
      one: (event) => client.pushEvent(event),
      many: (events) => client.pushEvents({ events }),
    }),
    finish: gather<Input<"finishEffect">, FinishedEffect>({
      one: async (result) => {
        const { id, state } = await client.finishEffect(result);
        return { effect_id: id, state };
      },
      many: (items) => client.finishEffects({ items }),
    }),
    close: () => transport.close(),
  });
}

/** A page that ended with its time, before the events did. */
function isCut(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "searched_to_ms" in answer;
}

function follow<T>(
  transport: Transport,
  route: WireRoute,
  request: WireRequest,
  options: StreamOptions | undefined,
  parse: (item: unknown) => T,
): AsyncIterable<T> {
  return route.stream === "ndjson"
    ? readNdjson(transport, { ...request, signal: options?.signal }, parse)
    : readSse(transport, request, options ?? {}, parse);
}

/** Fields named in the path go there; of the rest GET and DELETE make a query, the others a JSON body. */
export function toRequest(route: WireRoute, input: object | undefined): WireRequest {
  const rest: Record<string, unknown> = { ...input };
  const path = route.path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    return encodeURIComponent(String(value));
  });
  if (route.method === "POST" || route.method === "PATCH") {
    return { method: route.method, path, body: JSON.stringify(rest) };
  }
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) query.set(name, String(value));
  return { method: route.method, path: query.size === 0 ? path : `${path}?${query}` };
}
