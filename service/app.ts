import { dirname } from "node:path";
import * as z from "zod";
import { startAgentRegistry } from "./agents/registry.ts";
import { openActions } from "./app-actions.ts";
import { openHealth } from "./app-health.ts";
import { effectKinds } from "./app-kinds.ts";
import { openSqliteBus } from "./bus/sqlite/bus.ts";
import type { Paths } from "./client/paths.ts";
import { acceptBody, viewEvent } from "./compat/event-shapes.ts";
import { routeAliases } from "./compat/routes.ts";
import { parseConfigText } from "./config-file.ts";
import type { LoadedConfig } from "./config-load.ts";
import { type Connection, type Supervisor, startSupervisor } from "./connections/supervisor.ts";
import { connectors } from "./connectors/registry.ts";
import { type JsonObject, PROTOCOL } from "./contract/common.ts";
import type { Event, NewEvent } from "./contract/events.ts";
import { type Executor, startDispatcher } from "./effects/dispatch.ts";
import { openAnswer } from "./effects/kinds/action/index.ts";
import { createEffectLedger, type EffectLedger, type Judge } from "./effects/ledger.ts";
import { PolicyFile } from "./effects/policy-file.ts";
import { createEventLog, type EventLog } from "./events/log.ts";
import { startControl } from "./http/control.ts";
import { actionHandlers } from "./http/handlers/actions.ts";
import { agentHandlers } from "./http/handlers/agents.ts";
import { approvalHandlers } from "./http/handlers/approvals.ts";
import { effectHandlers } from "./http/handlers/effects.ts";
import { eventHandlers } from "./http/handlers/events.ts";
import { healthHandlers } from "./http/handlers/health.ts";
import type { Parts } from "./http/handlers/parts.ts";
import { policyHandlers } from "./http/handlers/policy.ts";
import { scheduleHandlers } from "./http/handlers/schedules.ts";
import { runCleanup, systemHandlers } from "./http/handlers/system.ts";
import { topicHandlers } from "./http/handlers/topics.ts";
import { typeHandlers } from "./http/handlers/types.ts";
import { workflowHandlers } from "./http/handlers/workflows.ts";
import { ingressRoutes, startIngress } from "./http/ingress.ts";
import {
  acquireInstanceLock,
  removeRuntimeFiles,
  securePrivateFolder,
  writeAddress,
  writeToken,
} from "./instance.ts";
import { type Clock, systemClock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { type Closeable, createDrain, Scope } from "./lib/scope.ts";
import { matchesSubject } from "./lib/subject.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { startDueTimer } from "./store/due.ts";
import { openSqliteStore } from "./store/sqlite/index.ts";
import type { EventDraft, Store } from "./store/store.ts";
import { createTopicQueue } from "./topics/queue.ts";
import { version } from "./version.ts";
import { watchChains } from "./workflows/chains.ts";
import { Engine } from "./workflows/engine.ts";
import type { LuaHost } from "./workflows/lua/host.ts";
import { openLuaHost } from "./workflows/lua/pool.ts";
import { watchWorkspaces } from "./workspaces/watcher.ts";

export interface AppOptions {
  loaded: LoadedConfig;
  log: Logger;
  clock?: Clock;
  /** The built Lua worker; the source beside the pool when left out. */
  luaWorker?: URL;
  /** Somebody asked for an orderly stop. */
  onStop(): void;
}

export interface App {
  readonly parts: Parts;
  /** In reverse order; safe to call twice. */
  close(): Promise<void>;
}

const CLEANUP_EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;

/**
 * Opens all parts in order and closes them in reverse (S3, S4). The only place that names adapters.
 * @throws SignalboxError `already_running`, `invalid_config`, `secret_missing`, `storage_*`, `schema_newer`
 */
export async function startApp(options: AppOptions): Promise<App> {
  const { log } = options;
  const { config, paths } = options.loaded;
  const scope = new Scope();
  try {
    securePrivateFolder(dirname(paths.tokenFile));
    securePrivateFolder(process.platform === "win32" ? dirname(paths.tokenFile) : dirname(paths.socket));
    scope.use(acquireInstanceLock(paths.lockFile));
    const opening: Opening = { log, scope, drainMs: createDrain(config.service.drain_ms) };
    const parts = await openParts(options, opening);
    const executors = await registerConnectors(parts);
    use(
      opening,
      "dispatcher",
      startDispatcher({
        ...parts,
        executors,
        get drainMs() {
          return opening.drainMs();
        },
      }),
    );
    scope.use(startDueTimer({ ...parts, onDue: (now_ms) => parts.ledger.sweep(now_ms) }));
    scope.use(keepClean(parts));
    await openIngress(options, parts, opening);
    await openControl(options, parts, opening);
    use(opening, "health", parts.health);
    void parts.health.start();
    writeAddress(paths);
    log.info({ socket: paths.socket, database: paths.databaseFile, version }, "signalbox is ready");
    return { parts, close: () => scope.close() };
  } catch (error) {
    await scope
      .close()
      .catch((failure: unknown) => log.error({ err: failure }, "a failed start left something open"));
    throw error;
  }
}

interface Opening {
  readonly log: Logger;
  readonly scope: Scope;
  /** What is left of the time that all parts share for a stop. */
  drainMs(): number;
}

/** Closed by the scope; both ends can be seen in the log (S3, S4). */
function use<T extends Closeable>({ log, scope }: Opening, part: string, opened: T): T {
  log.debug({ part }, "opened");
  scope.defer(async () => {
    await opened.close();
    log.debug({ part }, "closed");
  });
  return opened;
}

async function openParts(options: AppOptions, opening: Opening): Promise<Parts> {
  const { log, loaded, clock = systemClock } = options;
  const { config, paths } = loaded;
  const store = use(opening, "store", await openStore(options, clock));
  const maxDepth = config.workflows.max_depth;
  const events = createEventLog({ store, clock, maxDepth });
  const bus = use(opening, "bus", openSqliteBus({ store, clock, log }));
  const agents = use(
    opening,
    "agents",
    await startAgentRegistry({ store, clock, log, events, staleMs: config.agents.stale_ms }),
  );
  const topics = use(opening, "topics", createTopicQueue({ store, clock, events }));
  // Kinds are there before the connectors, and ask for them when they act.
  let supervised: readonly Connection[] = [];
  const policy = new PolicyFile({ file: paths.policyFile, parse: parseConfigText, log });
  const expiresMs = config.agents.command_expires_ms;
  const judge: Judge = (effect, now_ms) => policy.judge(effect, now_ms).policy;
  const lua = openLua(options, opening);
  const actions = use(opening, "actions", await openActions({ loaded, store, clock, log, host: lua.host }));
  const kinds = [
    ...effectKinds({ loaded, store, clock, log, events, connections: () => supervised }),
    actions.kind.kind,
  ];
  const ledger = createEffectLedger({
    ...{ store, clock, log, events, expiresMs, judge, kinds },
    approvalMs: config.approvals.ttl_ms,
    remember: (rule) => policy.append(rule),
    budgets: () => policy.current().budgets,
  });
  use(opening, "effects", ledger);
  opening.scope.use(await watchChains({ store, bus, events, maxDepth }));
  const engine = await openEngine(options, opening, { store, bus, clock, events, ledger, lua, actions });
  const scheduler = await openScheduler(options, opening, { store, bus, clock, events });
  // Whatever brings events or takes commands comes last, and goes first.
  const supervisor = openSupervisor(options, opening, { store, clock, events });
  supervised = supervisor.connections;
  const core = { store, bus, clock, log, events, scheduler, engine, supervisor, info: infoOf(paths, clock) };
  return {
    ...core,
    agents,
    topics,
    ledger,
    policy,
    actions,
    health: await openPartsHealth(options, opening, core),
    healthSettings: config.health,
    viewEvent,
    ingress: () => null,
    settings: loaded,
    retention: config.retention,
    stop: options.onStop,
  };
}

function infoOf(paths: Paths, clock: Clock): Parts["info"] {
  return {
    name: "signalbox",
    version,
    protocol: PROTOCOL,
    pid: process.pid,
    node: process.version,
    started_ms: clock.nowMs(),
    database: paths.databaseFile,
    socket: paths.socket,
  };
}

function openSupervisor(
  { loaded, log }: AppOptions,
  opening: Opening,
  parts: Pick<Parts, "store" | "clock" | "events">,
): Supervisor {
  const config = loaded.config.connectors;
  const { drainMs } = opening;
  const isWanted = (id: string) =>
    loaded.entries.some(({ key, origin }) => key.startsWith(`connectors.${id}.`) && origin !== "default");
  return use(
    opening,
    "connectors",
    startSupervisor({ ...parts, log, connectors, config, isWanted, drainMs }),
  );
}

async function openScheduler(
  { loaded, log }: AppOptions,
  opening: Opening,
  parts: Pick<Parts, "store" | "bus" | "clock" | "events">,
): Promise<Scheduler> {
  const { late_ms: lateMs, catch_up: catchUp } = loaded.config.scheduler;
  const limits = { lateMs, catchUp };
  return use(opening, "scheduler", await Scheduler.start({ ...parts, log, limits }));
}

/** It asks nobody before everything is open. */
async function openPartsHealth(
  { loaded: { config } }: AppOptions,
  opening: Opening,
  parts: Omit<Parameters<typeof openHealth>[0], "workspaces">,
): Promise<Parts["health"]> {
  const { clock, log, events } = parts;
  const { dirs, debounce_ms: debounceMs } = config.workspaces;
  const publish = (event: NewEvent) => events.push(event);
  const workspaces = watchWorkspaces({ dirs, debounceMs, clock, log, publish });
  use(opening, "workspaces", workspaces);
  const { health, watching } = await openHealth({ ...parts, workspaces }, config);
  opening.scope.use(watching);
  return health;
}

function openStore({ loaded, log }: AppOptions, clock: Clock): Promise<Store> {
  const { config, paths } = loaded;
  // The log that describes a dead letter needs the store, and the store needs it when one dies.
  let events: EventLog | undefined;
  const opening = openSqliteStore({
    file: paths.databaseFile,
    durability: config.store.durability,
    maxPending: config.store.max_pending,
    clock,
    log,
    topicDefaults: config.topics,
    subjectMatches: matchesSubject,
    describeDead: (event, topic, attempts, error) => {
      if (!events) throw new Error("a delivery died before the store was open");
      return deadLetter(events, event, topic, attempts, error);
    },
  });
  return opening.then((store) => {
    events = createEventLog({ store, clock, maxDepth: config.workflows.max_depth });
    return store;
  });
}

function deadLetter(
  events: EventLog,
  event: Event,
  topic: string,
  attempts: number,
  error: string,
): EventDraft {
  return events.draft(
    {
      type: "signalbox.delivery.dead",
      source: "signalbox",
      body: `${event.id} in ${topic} is a dead letter after ${attempts} attempts: ${error}`,
      payload: { event_id: event.id, topic, attempts, error },
      origin_kind: "system",
    },
    event,
  );
}

interface Lua {
  readonly host: LuaHost;
  /** Whoever is told of each line that Lua writes; the log until there is an engine. */
  onLog: Engine["onLog"];
}

function openLua(options: AppOptions, opening: Opening): Lua {
  const { log, loaded } = options;
  const { workflows } = loaded.config;
  const lua: Lua = {
    host: openLuaHost({
      workers: workflows.workers,
      limits: {
        handlerTimeoutMs: workflows.handler_timeout_ms,
        stallMs: workflows.stall_ms,
        memoryMb: workflows.memory_mb,
        sliceMs: workflows.slice_ms,
      },
      log,
      onLog: (...line) => lua.onLog(...line),
      ...(options.luaWorker === undefined ? {} : { workerUrl: options.luaWorker }),
    }),
    onLog: (workflow, run_id, line) => log[line.level]({ workflow_name: workflow, run_id }, line.message),
  };
  use(opening, "lua", lua.host);
  return lua;
}

async function openEngine(
  options: AppOptions,
  opening: Opening,
  {
    lua,
    actions,
    ...parts
  }: Pick<Parts, "store" | "bus" | "clock" | "events" | "ledger" | "actions"> & { lua: Lua },
): Promise<Engine> {
  const { log, loaded } = options;
  const { workflows } = loaded.config;
  const engine = use(
    opening,
    "workflows",
    await Engine.start({
      ...parts,
      log,
      host: lua.host,
      catalogs: actions.catalogs,
      openAnswer: (value) => openAnswer(actions.results, value),
      stopAction: (effect_id) => actions.kind.cancel(effect_id),
      // It writes log lines while it is still loading its first workflows.
      onCreated: (created) => {
        lua.onLog = created.onLog;
      },
      dir: loaded.paths.workflowsDir,
      hotReload: workflows.hot_reload,
      debounceMs: workflows.debounce_ms,
      drainMs: opening.drainMs,
    }),
  );
  actions.onProgress = (effect_id, action, text) => {
    log.debug({ effect_id, action }, text);
    engine.scripts
      .onProgress(effect_id, action, text)
      .catch((error: unknown) => log.warn({ err: error, effect_id }, "a script was not told of its action"));
  };
  return engine;
}

/** Each configured connector is an agent like any other, with the commands it can carry out. */
async function registerConnectors({
  agents,
  supervisor,
  ledger,
  store,
}: {
  agents: Parts["agents"];
  supervisor: Supervisor;
  ledger: EffectLedger;
  store: Store;
}): Promise<Executor[]> {
  const executors: Executor[] = [];
  const configured = supervisor.connections.filter((connection) => connection.configured);
  await agents.onlyConnectors(new Set(configured.map(({ connector }) => connector.agent)));
  for (const { connector, context } of configured) {
    const commands = Object.entries(connector.commands).map(([name, { title, params, idempotent }]) => ({
      name,
      title,
      idempotent,
      params: paramsSchema(params),
    }));
    await agents.register(
      { name: connector.agent, version, capabilities: [...connector.capabilities], commands },
      "connector",
    );
    if (commands.length > 0)
      executors.push({ agent: connector.agent, commands: connector.commands, context });
  }
  // Whoever carried these out is gone with the last process: their leases need not be waited for.
  const mine = new Set(executors.map((executor) => executor.agent));
  for (const row of await store.runningEffects()) {
    const isMine = row.kind === "command" ? mine.has(row.target) : ledger.kinds.find(row.kind) !== undefined;
    if (isMine) await ledger.steps.abandon(row);
  }
  await ledger.resume();
  return executors;
}

function paramsSchema(params: z.ZodType): JsonObject {
  const { $schema: _, ...schema } = z.toJSONSchema(params, { io: "input", unrepresentable: "any" });
  // Through JSON, as it goes to the database: what JSON can't hold is no part of a schema.
  return JSON.parse(JSON.stringify(schema)) as JsonObject;
}

async function openControl(
  { loaded: { paths }, log }: AppOptions,
  parts: Parts,
  opening: Opening,
): Promise<void> {
  const token = writeToken(paths.tokenFile);
  opening.scope.defer(() => removeRuntimeFiles(paths));
  const control = await startControl({
    socket: paths.socket,
    token,
    version,
    log,
    accept: acceptBody,
    aliases: routeAliases,
    drainMs: opening.drainMs,
    handlers: {
      ...systemHandlers(parts),
      ...eventHandlers(parts),
      ...topicHandlers(parts),
      ...agentHandlers(parts),
      ...effectHandlers(parts),
      ...policyHandlers(parts),
      ...approvalHandlers(parts),
      ...actionHandlers(parts),
      ...workflowHandlers(parts),
      ...scheduleHandlers(parts),
      ...healthHandlers(parts),
      ...typeHandlers(parts),
    },
  });
  use(opening, "control", control);
}

async function openIngress({ loaded, log }: AppOptions, parts: Parts, opening: Opening): Promise<void> {
  const { ingress } = loaded.config;
  if (!ingress.enabled) return;
  const routes = parts.supervisor.connections
    .filter(({ configured }) => configured)
    .flatMap(({ connector, context }) =>
      ingressRoutes(connector, context).map((route) => ({
        ...route,
        receive: async (request: Parameters<typeof route.receive>[0]) => {
          const reply = await route.receive(request);
          parts.supervisor.heard(connector.id);
          return reply;
        },
      })),
    );
  const started = await startIngress({
    config: ingress,
    routes,
    log,
    get drainMs() {
      return opening.drainMs();
    },
    record: (found) => parts.store.append(found.map((event) => parts.events.draft(event, null))),
  });
  use(opening, "ingress", started);
  parts.ingress = () => started.address;
}

/** Cleans up once an hour, beginning an hour after the start so that starting stays quick. */
function keepClean(parts: Parts): Closeable {
  let cancel = () => {};
  let closed = false;
  const arm = () => {
    if (closed) return;
    cancel = parts.clock.after(CLEANUP_EVERY_MS, () => {
      runCleanup(parts, parts.clock.nowMs() - parts.retention.completed_days * DAY_MS, false)
        .catch((error: unknown) => {
          if (!closed) parts.log.warn({ err: error }, "clean-up failed; trying again in an hour");
        })
        .finally(arm);
    });
  };
  arm();
  return {
    close() {
      closed = true;
      cancel();
    },
  };
}
