import { commands, l10n, type TreeView, window } from "vscode";
import type { Client } from "../../service/client/call.ts";
import type { Event } from "../../service/contract/events.ts";
import type { AwayItem } from "../../service/contract/health.ts";
import type { Schedule } from "../../service/contract/schedules.ts";
import type { Topic } from "../../service/contract/topics.ts";
import type { Workflow } from "../../service/contract/workflows.ts";
import type { Disposable } from "../emitter.ts";
import { type AgentItem, agentRow, joinConnectors } from "../models/agents.ts";
import { createBatch, createPacer } from "../models/batch.ts";
import { describeFilter, requestFor } from "../models/event-filter.ts";
import { EventsSource } from "../models/events.ts";
import { ListSource } from "../models/list.ts";
import type { RowSource } from "../models/row.ts";
import { awayRow, scheduleRow } from "../models/schedules.ts";
import { topicRow } from "../models/topics.ts";
import { workflowRow } from "../models/workflows.ts";
import type { Log, ServiceLink } from "../service.ts";
import { readSettings } from "../settings.ts";
import { badges, type Element, RowTree } from "./tree.ts";

const BATCH_MS = 150;
/** While events pour in, the list of them is drawn no more often than this. */
const BURST_MS = 500;
/** While events pour in, what has to be read anew because of them is read no more often than this. */
const READ_AGAIN_MS = 1_000;
/** What no event tells of, such as a claim, is read this often, and only while somebody looks. */
const LOOK_AGAIN_MS = 5_000;
const RECENT_EFFECTS = 10;

export interface Views extends Disposable {
  readonly events: EventsSource;
  readonly topics: ListSource<Topic>;
  readonly workflows: ListSource<Workflow>;
  readonly agents: ListSource<AgentItem>;
  readonly schedules: ListSource<Schedule>;
  readonly away: ListSource<AwayItem>;
  /** Reads everything that can be seen anew. */
  refresh(): Promise<void>;
  revealEvents(): Promise<void>;
}

interface View {
  readonly source: RowSource;
  readonly tree: TreeView<Element>;
  readonly parts: readonly Disposable[];
}

const t = l10n.t;

/** The trees of the container, fed by the service's event stream. Showing one starts the service if it may. */
export function createViews(link: ServiceLink, log: Log): Views {
  const events = createPacer(READ_AGAIN_MS, () => void refreshEvents());
  const sources = createSources(link, () => events.wish());
  const views = Object.entries(sources).map(([name, source]) => createView(name, source, link, log));
  const disposables: Disposable[] = [window.registerFileDecorationProvider(badges)];
  const lists = createPacer(READ_AGAIN_MS, () => void refreshLists());
  const take = (came: readonly Event[]) => {
    sources.events.take(came);
    lists.wish();
  };
  const seen = createBatch(BATCH_MS, take, BURST_MS);

  async function refreshView({ source }: View): Promise<void> {
    if (link.client === null) return;
    try {
      await source.refresh();
    } catch (error) {
      // The status bar tells of a service that has gone; a list that can't be read keeps what it showed.
      log.warn(`a view could not be read: ${String(error)}`);
    }
  }
  const visible = () => views.filter(({ tree }) => tree.visible);
  const refresh = async () => void (await Promise.all(visible().map(refreshView)));
  const refreshLists = async () =>
    void (await Promise.all(
      visible()
        .filter(({ source }) => source !== sources.events)
        .map(refreshView),
    ));
  const refreshEvents = () => sources.events.refresh().catch((error: unknown) => log.warn(String(error)));

  const onVisible = async (view: View, isVisible: boolean) => {
    if (!isVisible) return;
    if (readSettings().start !== "never" && link.state.kind === "stopped") await link.start();
    await refreshView(view);
  };
  for (const view of views) {
    disposables.push(
      view.tree.onDidChangeVisibility(({ visible: isVisible }) => void onVisible(view, isVisible)),
    );
    // A container that is open when the window opens tells of no change.
    queueMicrotask(() => void onVisible(view, view.tree.visible));
  }
  disposables.push(
    seen,
    lists,
    events,
    link.onEvent((event) => seen.add(event)),
    link.onState(({ kind }) => {
      if (kind === "ready") void refresh();
      else if (kind !== "starting") for (const { source } of views) source.clear();
    }),
    keepFresh(views, refresh),
    showEventState(sources.events, views.find(({ source }) => source === sources.events)?.tree),
  );
  return {
    ...sources,
    refresh,
    async revealEvents() {
      await commands.executeCommand("signalbox.events.focus");
    },
    dispose() {
      for (const one of [...disposables, ...views.flatMap(({ parts }) => parts)]) one.dispose();
    },
  };
}

function createView(name: string, source: RowSource, link: ServiceLink, log: Log): View {
  const read = async () => {
    if (link.client !== null) await source.refresh();
  };
  const provider = new RowTree(source, read, (error) => log.warn(`rows could not be read: ${String(error)}`));
  const tree = window.createTreeView(`signalbox.${name}`, {
    treeDataProvider: provider,
    showCollapseAll: name === "events" || name === "agents" || name === "topics",
  });
  return { source, tree, parts: [tree, provider] };
}

function createSources(link: ServiceLink, onStale: () => void) {
  const read = <T>(call: (client: Client) => Promise<readonly T[]>) => {
    const { client } = link;
    return client === null ? Promise.resolve([]) : call(client);
  };
  const effectsOf = (agent: string) =>
    read(async (client) => (await client.listEffects({ target: agent, limit: RECENT_EFFECTS })).effects);
  return {
    events: new EventsSource({
      async load(filter, page) {
        const { client } = link;
        if (client === null) return { events: [], next: null };
        const { route, query } = requestFor(filter, page, Date.now());
        return route === "searchEvents" ? client.searchEvents(query) : client.findEvents(query);
      },
      pageSize: () => readSettings().pageSize,
      t,
      onStale,
    }),
    topics: new ListSource({
      load: () => read(async (client) => (await client.listTopics()).topics),
      toRows: (topics) => topics.map((topic) => topicRow(topic, t)),
    }),
    agents: new ListSource({
      load: () =>
        read(async (client) => {
          const [{ agents }, { connectors }] = await Promise.all([client.listAgents(), client.getStatus()]);
          return joinConnectors(agents, connectors);
        }),
      toRows: (items, now) => items.map((item) => agentRow(item, now, t, effectsOf)),
    }),
    workflows: new ListSource({
      load: () => read(async (client) => (await client.listWorkflows()).workflows),
      toRows: (workflows, now) => workflows.map((workflow) => workflowRow(workflow, now, t)),
    }),
    schedules: new ListSource({
      load: () => read(async (client) => (await client.listSchedules({})).schedules),
      toRows: (schedules, now) => schedules.map((schedule) => scheduleRow(schedule, now, t)),
    }),
    away: new ListSource({
      load: () => read(async (client) => (await client.getAway({ by: readSettings().person })).items),
      toRows: (items, now) => items.map((item) => awayRow(item, now, t)),
    }),
  };
}

/** Reads again now and then while somebody looks, and says relative times anew. */
function keepFresh(views: readonly View[], refresh: () => Promise<void>): Disposable {
  const timer = setInterval(() => {
    const shown = views.filter(({ tree }) => tree.visible);
    if (shown.length === 0) return;
    for (const { source } of shown) source.tick();
    void refresh();
  }, LOOK_AGAIN_MS);
  return { dispose: () => clearInterval(timer) };
}

/** Welcome texts and title buttons depend on these. */
function showEventState(events: EventsSource, tree: TreeView<Element> | undefined): Disposable {
  const show = () => {
    const filter = describeFilter(events.filter, t);
    const set = (key: string, value: boolean) =>
      commands.executeCommand("setContext", `signalbox.events.${key}`, value);
    void set("empty", events.isEmpty);
    void set("filtered", filter !== "");
    void set("grouped", events.isGrouped);
    if (tree !== undefined) tree.description = filter;
  };
  show();
  return events.onChange((change) => {
    if (change === "all") show();
  });
}
