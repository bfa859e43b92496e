import type { Connector, ConnectorContext, ListenContext, SecretRef } from "../connectors/connector.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { NewEvent } from "../contract/events.ts";
import type { ConnectorStatus } from "../contract/system.ts";
import type { EventLog } from "../events/log.ts";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { Store } from "../store/store.ts";
import { readSecret } from "./secrets.ts";

/** A connector with its settings, as the other parts use it. */
export interface Connection {
  connector: Connector<unknown>;
  context: ConnectorContext<unknown>;
  configured: boolean;
}

export interface Supervisor extends Closeable {
  readonly connections: Connection[];
  status(): ConnectorStatus[];
  /** Told by the ingress. */
  heard(connector: string): void;
}

interface SupervisorOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  connectors: readonly Connector<unknown>[];
  /** The `connectors` section of the settings. */
  config: Readonly<Record<string, unknown>>;
}

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 300_000;

type State = Omit<ConnectorStatus, "id" | "title">;

/** Keeps every configured connector listening, starts it again with back-off, and knows how each one is. */
export function startSupervisor(options: SupervisorOptions): Supervisor {
  const { clock } = options;
  const stop = new AbortController();
  const states = new Map<string, State>();
  const connections = options.connectors.map((connector) => connect(connector, options, stop.signal));
  for (const { connector, configured } of connections) {
    states.set(connector.id, {
      state: configured ? "ready" : "off",
      message: configured ? null : "not configured",
      last_event_ms: null,
    });
  }
  const set = (id: string, change: Partial<State>) => {
    const before = states.get(id);
    if (before) states.set(id, { ...before, ...change });
  };
  const loops = connections
    .filter(({ connector, configured }) => configured && connector.listen !== undefined)
    .map((connection) =>
      keepListening(connection, options, stop.signal, (change) => set(connection.connector.id, change)),
    );
  return {
    connections,
    status: () =>
      connections.map(({ connector }) => ({
        id: connector.id,
        title: connector.title,
        ...(states.get(connector.id) ?? { state: "off" as const, message: null, last_event_ms: null }),
      })),
    heard: (id) => set(id, { last_event_ms: clock.nowMs() }),
    async close() {
      stop.abort();
      await Promise.all(loops);
    },
  };
}

function connect(connector: Connector<unknown>, options: SupervisorOptions, signal: AbortSignal): Connection {
  const config = options.config[connector.id];
  const secret = (ref: SecretRef) => readSecret(ref);
  const enabled = (config as { enabled?: boolean }).enabled !== false;
  return {
    connector,
    context: {
      config,
      secret,
      signal,
      log: options.log.child({ connector: connector.id }),
      fetch: globalThis.fetch,
    },
    configured: enabled && connector.isConfigured(config, secret),
  };
}

async function keepListening(
  connection: Connection,
  options: SupervisorOptions,
  signal: AbortSignal,
  set: (change: Partial<State>) => void,
): Promise<void> {
  const { connector, context } = connection;
  for (let failures = 0; !signal.aborted; ) {
    try {
      await connector.listen?.(await listenContext(connection, options, set));
      return;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const message = error instanceof Error ? error.message : String(error);
      set({ state: SignalboxError.is(error, "connection_expired") ? "failed" : "degraded", message });
      const pauseMs = Math.max(
        backoffMs(failures, RETRY_BASE_MS, RETRY_MAX_MS),
        SignalboxError.is(error) ? (error.retryAfterS ?? 0) * 1_000 : 0,
      );
      context.log.warn({ err: error, pauseMs }, "connector stopped listening; starting it again");
      await new Promise<void>((resolve) => {
        const cancel = options.clock.after(pauseMs, resolve);
        signal.addEventListener("abort", () => (cancel(), resolve()), { once: true });
      });
    }
  }
}

async function listenContext(
  { connector, context }: Connection,
  options: SupervisorOptions,
  set: (change: Partial<State>) => void,
): Promise<ListenContext<unknown>> {
  const { store, events, clock } = options;
  return {
    ...context,
    cursor: await store.readConnectorCursor(connector.id),
    async emit(found: NewEvent[], cursor: string) {
      await store.appendWithCursor(
        connector.id,
        found.map((event) => events.draft(event, null)),
        cursor,
      );
      if (found.length > 0) set({ last_event_ms: clock.nowMs() });
    },
    report: (state, message) => set({ state, message: message ?? null }),
  };
}
