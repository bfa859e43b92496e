import type { Event, ListedEvent } from "../../service/contract/events.ts";
import { type Disposable, Emitter } from "../emitter.ts";
import { admits, type EventFilter, keeps } from "./event-filter.ts";
import { looks, type Row, type RowChange, type RowSource, type Translate } from "./row.ts";
import { type Section, Sections } from "./sections.ts";
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

/** The most that one request gives. */
const MOST_AT_ONCE = 1_000;
/** Sections whose events are kept while they are open; the editor asks for them at each redraw. */
const OPEN_SECTIONS = 20;

/**
 * Events, newest first. The newest stand alone and move; older ones stand in sections that hold no events until they
 * are opened, so that neither rows nor memory grow with the log, and a new event redraws no more than the newest.
 */
export class EventsSource implements RowSource {
  readonly #options: EventsOptions;
  readonly #changes = new Emitter<RowChange>();
  readonly #older = new Sections();
  readonly #opened = new Map<string, Promise<readonly ListedEvent[]>>();
  #filter: EventFilter = {};
  #isGrouped = false;
  #newest: ListedEvent[] = [];
  #next: number | null = null;
  /** Whether the newest page was read; what the stream brings before has no list to join. */
  #isRead = false;
  /** The largest `seq` that was read or came by itself: the stream may still bring what was read. */
  #seen = 0;
  /** How many sections are read at the next wish for more. */
  #stride = 1;
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
    return this.#newest.length === 0 && this.#older.isEmpty;
  }

  onChange(listener: (change: RowChange) => void): Disposable {
    return this.#changes.on(listener);
  }

  rows(): readonly Row[] {
    const now = this.#now();
    const older = this.#older.all.map((section) => this.#sectionRow(section, now));
    const rows = [...this.#rows(this.#newest, now), ...older];
    return this.#next === null ? rows : [...rows, this.#moreRow()];
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

  /** Reads the newest page; what was loaded of older events stays while it still joins on. */
  async refresh(): Promise<void> {
    const page = await this.#load(this.#options.pageSize());
    if (page === null) return;
    this.#opened.clear();
    const newestRead = page.events[0]?.seq ?? 0;
    const oldestRead = page.events.at(-1)?.seq ?? Number.POSITIVE_INFINITY;
    const joinsOn = this.#newest.some(({ seq }) => seq >= oldestRead && seq <= newestRead);
    if (this.#isRead && joinsOn && (page.next !== null || this.#older.isEmpty)) this.#merge(page);
    else this.#begin(page, newestRead);
    this.#seen = Math.max(this.#seen, newestRead);
  }

  /** Reads on where the list ends: each time twice as much, up to what one request gives. */
  async loadMore(): Promise<void> {
    if (this.#next === null) return;
    const size = this.#options.pageSize();
    const stride = Math.max(1, Math.min(this.#stride, Math.floor(MOST_AT_ONCE / size)));
    const page = await this.#load(size * stride, this.#next);
    if (page === null) return;
    const oldest = this.#older.oldestSeq ?? this.#newest.at(-1)?.seq ?? Number.POSITIVE_INFINITY;
    const fresh = page.events.filter(({ seq }) => seq < oldest);
    for (let at = 0; at < fresh.length; at += size) this.#older.addOlder(fresh.slice(at, at + size));
    this.#stride = 2 * stride;
    this.#next = page.next;
    this.#changes.fire("all");
  }

  /** New events, oldest first, as the stream brings them: one redraw for all of them. */
  take(events: readonly Event[]): void {
    if (!this.#isRead) return;
    let isStale = false;
    const fresh: ListedEvent[] = [];
    for (const event of events) {
      if (event.seq <= this.#seen) continue;
      const isAdmitted = admits(this.#filter, event);
      if (isAdmitted === null) isStale = true;
      // What only the service can tell will be read.
      else this.#seen = event.seq;
      if (isAdmitted === true) fresh.push({ ...event, status: event.topic === null ? null : "pending" });
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
    this.#isRead = false;
    this.#seen = 0;
    this.#changes.fire("all");
  }

  #reset(): void {
    this.#newest = [];
    this.#older.clear();
    this.#opened.clear();
    this.#next = null;
    this.#stride = 1;
  }

  /** Null: the answer came too late, for another filter. */
  async #load(limit: number, before?: number): Promise<EventPage | null> {
    const generation = this.#generation;
    const filter = this.#filter;
    const page = await this.#options.load(filter, before === undefined ? { limit } : { limit, before });
    if (generation !== this.#generation) return null;
    const now = this.#now();
    return { events: page.events.filter((event) => keeps(filter, event, now)), next: page.next };
  }

  /** The list anew, with what the stream brought while it was read. */
  #begin(page: EventPage, newestRead: number): void {
    const newer = this.#isRead ? this.#newest.filter(({ seq }) => seq > newestRead) : [];
    this.#reset();
    this.#isRead = true;
    this.#newest = [...newer, ...page.events];
    this.#next = page.next;
    this.#changes.fire("all");
  }

  /** Takes over what is new, gone or has another state; only these rows are drawn again. */
  #merge({ events, next }: EventPage): void {
    const read = new Map(events.map((event) => [event.id, event]));
    const newestRead = events[0]?.seq ?? 0;
    const oldestRead = next === null ? 0 : (events.at(-1)?.seq ?? 0);
    const now = this.#now();
    const changed: string[] = [];
    const kept = this.#newest.flatMap((event) => {
      const fresh = read.get(event.id);
      // It was deleted, or the filter no longer admits it.
      if (fresh === undefined) return event.seq >= oldestRead && event.seq <= newestRead ? [] : [event];
      read.delete(event.id);
      if (looks(this.#row(fresh, now)) === looks(this.#row(event, now))) return [event];
      changed.push(`event:${event.id}`);
      return [fresh];
    });
    const added = [...read.values()].filter(({ seq }) => seq > this.#older.newestSeq);
    const isSameList =
      kept.length === this.#newest.length && added.length === 0 && (next !== null || this.#next === null);
    this.#newest = [...added, ...kept].sort((one, other) => other.seq - one.seq);
    if (next === null) this.#next = null;
    this.#shelve();
    if (!isSameList) this.#changes.fire("all");
    else if (changed.length > 0) this.#changes.fire(this.#isGrouped ? "all" : changed);
  }

  /** Keeps at most two pages moving: what is below goes into a section of its own. */
  #shelve(): void {
    const size = this.#options.pageSize();
    const sections: ListedEvent[][] = [];
    while (this.#newest.length > 2 * size) {
      const from = Math.max(size, this.#newest.length - size);
      sections.push(this.#newest.splice(from));
    }
    for (const events of sections) this.#older.addNewer(events);
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  #rows(events: readonly ListedEvent[], now: number): readonly Row[] {
    return this.#isGrouped ? this.#groups(events, now) : events.map((event) => this.#row(event, now));
  }

  #groups(events: readonly ListedEvent[], now: number): readonly Row[] {
    const byCorrelation = Map.groupBy(events, (event) => event.correlation_id ?? event.id);
    return [...byCorrelation].map(([key, members]) => {
      const [newest] = members;
      const oldest = members.at(-1);
      if (members.length === 1 && newest !== undefined) return this.#row(newest, now);
      return {
        // The same correlation may go on in an older section.
        id: `group:${key}:${oldest?.id ?? ""}`,
        label: oldest?.type ?? key,
        description: `${this.#options.t("{0} events", members.length)} · ${excerpt(oldest?.body ?? "")}`,
        icon: { id: "type-hierarchy" },
        context: "group",
        children: () => members.map((event) => this.#row(event, now)),
      };
    });
  }

  #sectionRow(section: Section, now: number): Row {
    const { id, newestMs, oldestMs, count, parts } = section;
    return {
      id,
      label: `${clockTime(newestMs, now)} – ${clockTime(oldestMs, now)}`,
      description: this.#options.t("{0} events", count),
      icon: { id: "history" },
      context: "page",
      children: async () =>
        parts.length > 0
          ? parts.map((part) => this.#sectionRow(part, now))
          : this.#rows(await this.#eventsOf(section), now),
    };
  }

  #eventsOf(section: Section): Promise<readonly ListedEvent[]> {
    const known = this.#opened.get(section.id);
    if (known !== undefined) return known;
    const reading = this.#readSection(section);
    this.#opened.set(section.id, reading);
    // What could not be read is asked for again.
    reading.catch(() => this.#opened.delete(section.id));
    for (const id of [...this.#opened.keys()].slice(0, -OPEN_SECTIONS)) this.#opened.delete(id);
    return reading;
  }

  /** Its events as they are now: where the filter asks for a state, they may have become fewer or more. */
  async #readSection({ newestSeq, oldestSeq, count }: Section): Promise<readonly ListedEvent[]> {
    const events: ListedEvent[] = [];
    for (let before: number | null = newestSeq + 1; before !== null && before > oldestSeq; ) {
      const page = await this.#load(Math.max(count, 1), before);
      if (page === null) return [];
      events.push(...page.events.filter(({ seq }) => seq >= oldestSeq));
      before = page.next;
    }
    return events;
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
