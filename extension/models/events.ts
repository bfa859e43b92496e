import type { Event, ListedEvent } from "../../service/contract/events.ts";
import { type Disposable, Emitter } from "../emitter.ts";
import { admits, type EventFilter, keeps } from "./event-filter.ts";
import { looks, type Row, type RowChange, type RowSource, type Translate } from "./row.ts";
import { clockTime, excerpt } from "./words.ts";

export interface EventPage {
  readonly events: readonly ListedEvent[];
  readonly next: number | null;
}

interface EventsOptions {
  load(filter: EventFilter, page: { limit: number; before?: number }): Promise<EventPage>;
  pageSize(): number;
  readonly t: Translate;
  readonly now?: () => number;
  /** Reading anew, because only the service can tell whether a new event belongs here, was asked for. */
  onStale?(): void;
}

/** Events that are no longer among the newest: one row, opened on demand. */
interface OlderPage {
  readonly id: string;
  readonly events: readonly ListedEvent[];
}

/**
 * Events, newest first. The newest stand alone and move; older ones stand in pages that never change, so that a
 * hundred thousand of them are a thousand rows, and a new one redraws no more than the newest.
 */
export class EventsSource implements RowSource {
  readonly #options: EventsOptions;
  readonly #changes = new Emitter<RowChange>();
  #filter: EventFilter = {};
  #isGrouped = false;
  #newest: ListedEvent[] = [];
  #pages: OlderPage[] = [];
  #next: number | null = null;
  #known = new Set<string>();
  #generation = 0;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  get filter(): EventFilter {
    return this.#filter;
  }

  get isGrouped(): boolean {
    return this.#isGrouped;
  }

  get isEmpty(): boolean {
    return this.#newest.length === 0 && this.#pages.length === 0;
  }

  onChange(listener: (change: RowChange) => void): Disposable {
    return this.#changes.on(listener);
  }

  rows(): readonly Row[] {
    const now = this.#now();
    const newest = this.#isGrouped
      ? this.#groups(this.#newest, now)
      : this.#newest.map((event) => this.#row(event, now));
    const pages = this.#pages.map((page) => this.#pageRow(page, now));
    return this.#next === null ? [...newest, ...pages] : [...newest, ...pages, this.#moreRow()];
  }

  async setFilter(filter: EventFilter): Promise<void> {
    this.#filter = filter;
    this.clear();
    await this.refresh();
  }

  setGrouped(isGrouped: boolean): void {
    this.#isGrouped = isGrouped;
    this.#changes.fire("all");
  }

  /** Reads the newest page; what was loaded of older pages stays while it still joins on. */
  async refresh(): Promise<void> {
    const page = await this.#load();
    if (page === null) return;
    const oldestRead = page.events.at(-1)?.seq ?? 0;
    const joinsOn = this.#newest.some(({ seq }) => seq >= oldestRead) && page.next !== null;
    if (!joinsOn) {
      this.#reset();
      this.#next = page.next;
      this.#newest = [...page.events];
      for (const { id } of page.events) this.#known.add(id);
      this.#changes.fire("all");
      return;
    }
    this.#merge(page.events);
  }

  /** Reads on where the list ends. */
  async loadMore(): Promise<void> {
    if (this.#next === null) return;
    const page = await this.#load(this.#next);
    if (page === null) return;
    const fresh = page.events.filter(({ id }) => !this.#known.has(id));
    for (const { id } of fresh) this.#known.add(id);
    if (fresh.length > 0) this.#pages.push({ id: `page:${fresh[0]?.id}`, events: fresh });
    this.#next = page.next;
    this.#changes.fire("all");
  }

  /** New events, oldest first, as the stream brings them: one redraw for all of them. */
  take(events: readonly Event[]): void {
    let isStale = false;
    const fresh: ListedEvent[] = [];
    for (const event of events) {
      const isAdmitted = admits(this.#filter, event);
      if (isAdmitted === null) isStale = true;
      if (isAdmitted !== true || this.#known.has(event.id)) continue;
      this.#known.add(event.id);
      fresh.push({ ...event, status: event.topic === null ? null : "pending" });
    }
    if (isStale) this.#options.onStale?.();
    if (fresh.length === 0) return;
    fresh.reverse();
    this.#newest = [...fresh, ...this.#newest];
    this.#shelve();
    this.#changes.fire("all");
  }

  tick(): void {}

  clear(): void {
    this.#generation += 1;
    this.#reset();
    this.#changes.fire("all");
  }

  #reset(): void {
    this.#newest = [];
    this.#pages = [];
    this.#next = null;
    this.#known = new Set();
  }

  /** Null: the answer came too late, for another filter. */
  async #load(before?: number): Promise<EventPage | null> {
    const generation = this.#generation;
    const filter = this.#filter;
    const limit = this.#options.pageSize();
    const page = await this.#options.load(filter, before === undefined ? { limit } : { limit, before });
    if (generation !== this.#generation) return null;
    const now = this.#now();
    return { events: page.events.filter((event) => keeps(filter, event, now)), next: page.next };
  }

  /** Takes over what is new or has another state; only these rows are drawn again. */
  #merge(events: readonly ListedEvent[]): void {
    const read = new Map(events.map((event) => [event.id, event]));
    const now = this.#now();
    const changed: string[] = [];
    this.#newest = this.#newest.map((event) => {
      const fresh = read.get(event.id);
      if (fresh === undefined || looks(this.#row(fresh, now)) === looks(this.#row(event, now))) return event;
      changed.push(`event:${event.id}`);
      return fresh;
    });
    const added = events.filter(({ id }) => !this.#known.has(id));
    for (const { id } of added) this.#known.add(id);
    if (added.length === 0) {
      if (changed.length > 0) this.#changes.fire(this.#isGrouped ? "all" : changed);
      return;
    }
    this.#newest = [...added, ...this.#newest].sort((one, other) => other.seq - one.seq);
    this.#shelve();
    this.#changes.fire("all");
  }

  /** Keeps at most two pages moving: what is below goes into a page of its own. */
  #shelve(): void {
    const size = this.#options.pageSize();
    while (this.#newest.length > 2 * size) {
      const from = Math.max(size, this.#newest.length - size);
      const events = this.#newest.splice(from);
      this.#pages.unshift({ id: `page:${events[0]?.id}`, events });
    }
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  #groups(events: readonly ListedEvent[], now: number): readonly Row[] {
    const byCorrelation = Map.groupBy(events, (event) => event.correlation_id ?? event.id);
    return [...byCorrelation].map(([key, members]) => {
      const [newest] = members;
      const oldest = members.at(-1);
      if (members.length === 1 && newest !== undefined) return this.#row(newest, now);
      return {
        id: `group:${key}`,
        label: oldest?.type ?? key,
        description: `${this.#options.t("{0} events", members.length)} · ${excerpt(oldest?.body ?? "")}`,
        icon: { id: "type-hierarchy" },
        context: "group",
        children: () => members.map((event) => this.#row(event, now)),
      };
    });
  }

  #pageRow({ id, events }: OlderPage, now: number): Row {
    const { t } = this.#options;
    const [newest] = events;
    const oldest = events.at(-1);
    const from = newest === undefined ? "" : clockTime(newest.recorded_ms, now);
    const to = oldest === undefined ? "" : clockTime(oldest.recorded_ms, now);
    return {
      id,
      label: `${from} – ${to}`,
      description: t("{0} events", events.length),
      icon: { id: "history" },
      context: "page",
      children: () =>
        this.#isGrouped ? this.#groups(events, now) : events.map((event) => this.#row(event, now)),
    };
  }

  #moreRow(): Row {
    const title = this.#options.t("Load Older Events");
    return {
      id: "more",
      label: title,
      icon: { id: "ellipsis" },
      context: "more",
      command: { id: "signalbox.events.more", title },
    };
  }

  #row(event: ListedEvent, now: number): Row {
    return eventRow(event, now, this.#options.t);
  }
}

const statusIcons = {
  pending: { id: "circle-outline" },
  processing: { id: "sync", color: "charts.blue" },
  completed: { id: "pass", color: "testing.iconPassed" },
  failed: { id: "error", color: "list.errorForeground" },
  dead: { id: "circle-slash", color: "list.errorForeground" },
} as const;

const originIcons = {
  human: "account",
  agent: "robot",
  webhook: "globe",
  system: "gear",
  workflow: "symbol-event",
} as const;

/** An event as one line: its type, what it says, who said so and when. */
export function eventRow(event: ListedEvent, nowMs: number, t: Translate): Row {
  const said = excerpt(event.body ?? payloadText(event));
  const time = clockTime(event.time_ms, nowMs);
  const status = event.status === null ? "" : t(event.status);
  return {
    id: `event:${event.id}`,
    label: event.type,
    description: [said, event.source, time].filter((part) => part !== "").join(" · "),
    tooltip: tooltipOf(event, status, t),
    icon: event.status === null ? { id: originIcons[event.origin_kind] } : statusIcons[event.status],
    context: contextOf(event),
    spoken: [event.type, said, status, t("from {0}", event.source), time].filter(Boolean).join(", "),
    command: { id: "signalbox.event.open", title: t("Open Event") },
    item: {
      kind: "event",
      event_id: event.id,
      topic: event.topic,
      correlation_id: event.correlation_id,
    },
  };
}

function payloadText({ payload }: Event): string {
  const text = JSON.stringify(payload);
  return text === "{}" ? "" : text;
}

function tooltipOf(event: ListedEvent, status: string, t: Translate): string {
  return [
    event.subject,
    event.topic === null ? null : `${t("Topic")}: ${event.topic} (${status})`,
    `${t("From")}: ${event.source} (${event.origin_kind})`,
    event.id,
    event.body === null ? null : `\n${event.body.slice(0, 1_000)}`,
  ]
    .filter((line) => line !== null)
    .join("\n");
}

function contextOf(event: ListedEvent): string {
  return [
    "event",
    ...(event.status === "pending" ? ["claimable"] : []),
    ...(event.topic !== null && event.status !== "completed" ? ["answerable"] : []),
    ...(event.correlation_id === null ? [] : ["correlated"]),
  ].join(" ");
}
