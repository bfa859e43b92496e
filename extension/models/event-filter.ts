import type { Event, EventQuery, ListedEvent, SearchQuery } from "../../service/contract/events.ts";
import type { Translate } from "./row.ts";

/** What the list of events is narrowed to; empty: all. */
export interface EventFilter {
  /** Words of the full text. */
  readonly text?: string;
  readonly topic?: string;
  readonly type?: string;
  readonly status?: "pending" | "processing" | "completed" | "failed" | "dead";
  readonly source?: string;
  /** Who claimed, or is spoken to. */
  readonly agent?: string;
  readonly correlation_id?: string;
  /** Not older than this. */
  readonly last_ms?: number;
}

export type EventRequest =
  | { readonly route: "findEvents"; readonly query: Partial<EventQuery> }
  | { readonly route: "searchEvents"; readonly query: Partial<SearchQuery> & { text: string } };

/** The call that reads a page, and what of the filter that call can't do. */
export function requestFor(
  filter: EventFilter,
  page: { readonly limit: number; readonly before?: number | undefined },
  nowMs: number,
): EventRequest {
  const { text, topic, type, status, source, agent, correlation_id, last_ms } = filter;
  const place = { limit: page.limit, ...(page.before === undefined ? {} : { before: page.before }) };
  const both = withoutUndefined({ topic, type, status, source });
  if (text !== undefined) return { route: "searchEvents", query: { text, ...both, ...place } };
  const since_ms = last_ms === undefined ? undefined : nowMs - last_ms;
  return {
    route: "findEvents",
    query: { ...both, ...withoutUndefined({ agent, correlation_id, since_ms }), ...place },
  };
}

function withoutUndefined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/**
 * Whether a new event belongs into the list; null where only the service can tell, as of the full text.
 */
export function admits(filter: EventFilter, event: Event): boolean | null {
  if (filter.topic !== undefined && event.topic !== filter.topic) return false;
  if (filter.type !== undefined && event.type !== filter.type) return false;
  if (filter.source !== undefined && event.source !== filter.source) return false;
  if (filter.correlation_id !== undefined && event.correlation_id !== filter.correlation_id) return false;
  if (filter.status !== undefined && filter.status !== "pending") return false;
  if (filter.status === "pending" && event.topic === null) return false;
  if (filter.text !== undefined || filter.agent !== undefined) return null;
  return true;
}

/** What a search can't be asked for is looked at here. */
export function keeps(filter: EventFilter, event: ListedEvent, nowMs: number): boolean {
  if (filter.text === undefined) return true;
  if (filter.correlation_id !== undefined && event.correlation_id !== filter.correlation_id) return false;
  if (filter.agent !== undefined && !mentions(event, filter.agent)) return false;
  return filter.last_ms === undefined || event.recorded_ms >= nowMs - filter.last_ms;
}

function mentions(event: Event, agent: string): boolean {
  return event.source === agent || (event.body ?? "").includes(`@${agent.replace(/^@/, "")}`);
}

/** The filter in words, for the head of the view. */
export function describeFilter(filter: EventFilter, t: Translate): string {
  const { text, topic, type, status, source, agent, correlation_id, last_ms } = filter;
  const hours = last_ms === undefined ? undefined : Math.round(last_ms / 3_600_000);
  return [
    text === undefined ? null : `“${text}”`,
    topic,
    type,
    status === undefined ? null : t(status),
    source === undefined ? null : t("from {0}", source),
    agent === undefined ? null : `@${agent.replace(/^@/, "")}`,
    correlation_id === undefined ? null : t("one correlation"),
    hours === undefined ? null : t("last {0} h", hours),
  ]
    .filter((part) => part !== null && part !== undefined)
    .join(" · ");
}
