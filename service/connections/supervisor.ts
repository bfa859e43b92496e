import {
  type Connector,
  type ConnectorContext,
  type ListenContext,
  type SecretRef,
  secretRef,
} from "../connectors/connector.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { NewEvent } from "../contract/events.ts";
import type { ConnectorStatus } from "../contract/system.ts";
import type { EventLog } from "../events/log.ts";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { type Closeable, settlesWithin } from "../lib/scope.ts";
import type { Secret } from "../lib/secret.ts";
import type { EventDraft, Store } from "../store/store.ts";
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
  /** How long a stop waits for connectors that do not hear it; asked when it stops. */
  drainMs(): number;
}

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 300_000;

type State = Omit<ConnectorStatus, "id" | "title">;
type SetState = (change: Partial<State>) => void;

/** Keeps every configured connector listening, starts it again with back-off, and knows how each one is. */
export function startSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, log } = options;
  const stop = new AbortController();
  const connected = options.connectors.map((connector) => connect(connector, options, stop.signal));
  const connections = connected.map(({ connection }) => connection);
  const states = new Map(connected.map(({ connection, state }) => [connection.connector.id, state]));
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
        ...(states.get(connector.id) ?? off("not configured")),
      })),
    heard: (id) => set(id, { last_event_ms: clock.nowMs() }),
    async close() {
      stop.abort();
      if (!(await settlesWithin(Promise.all(loops), options.drainMs())))
        log.warn("a connector did not stop in time");
    },
  };
}

const off = (message: string): State => ({ state: "off", message, last_event_ms: null });

function connect(
  connector: Connector<unknown>,
  options: SupervisorOptions,
  signal: AbortSignal,
): { connection: Connection; state: State } {
  const config = options.config[connector.id];
  const secret = (ref: SecretRef) => readSecret(ref);
  const context = {
    config,
    secret,
    signal,
    log: options.log.child({ connector: connector.id }),
    fetch: globalThis.fetch,
  };
  const is = (configured: boolean, state: State) => ({
    connection: { connector, context, configured },
    state,
  });
  if ((config as { enabled?: boolean } | undefined)?.enabled === false) return is(false, off("switched off"));
  try {
    if (!connector.isConfigured(config, secret)) return is(false, off(whyOff(config, secret)));
  } catch (error) {
    // Such as a secret that others can read: this connector's trouble, not that of the others.
    const message = messageOf(error);
    context.log.error({ err: error }, "connector not started");
    return is(false, { state: "failed", message, last_event_ms: null });
  }
  return is(true, { state: "ready", message: null, last_event_ms: null });
}

/** The usual reason is a secret that was set in another terminal than the one that started the service. */
function whyOff(config: unknown, secret: (ref: SecretRef) => Secret | null): string {
  const missing = Object.values(config ?? {}).flatMap((value: unknown) => {
    const ref = secretRef.safeParse(value);
    return ref.success && secret(ref.data) === null ? [placeOf(ref.data)] : [];
  });
  if (missing.length === 0) return "not configured";
  return `not configured: the service found no ${missing.join(" and no ")} when it started`;
}

const placeOf = (ref: SecretRef) => ("env" in ref ? ref.env : ref.file);

async function keepListening(
  connection: Connection,
  options: SupervisorOptions,
  signal: AbortSignal,
  set: SetState,
): Promise<void> {
  const { connector, context } = connection;
  let failures = 0;
  // What works again has left its failures behind.
  const onGood = () => {
    if (failures > 0) set({ state: "ready", message: null });
    failures = 0;
  };
  while (!signal.aborted) {
    try {
      await connector.listen?.(await listenContext(connection, options, set, onGood));
      return;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      set({
        state: SignalboxError.is(error, "connection_expired") ? "failed" : "degraded",
        message: messageOf(error),
      });
      const pauseMs = Math.max(
        backoffMs(failures, RETRY_BASE_MS, RETRY_MAX_MS),
        SignalboxError.is(error) ? (error.retryAfterS ?? 0) * 1_000 : 0,
      );
      context.log.warn({ err: error, pauseMs }, "connector stopped listening; starting it again");
      await pause(options.clock, pauseMs, signal);
    }
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener("abort", done, { once: true });
  });
}

async function listenContext(
  { connector, context }: Connection,
  options: SupervisorOptions,
  set: SetState,
  onGood: () => void,
): Promise<ListenContext<unknown>> {
  const { store, events, clock } = options;
  return {
    ...context,
    cursor: await store.readConnectorCursor(connector.id),
    async emit(found: NewEvent[], cursor: string) {
      const drafts = found.flatMap((event) => draftOf(events, event, context.log));
      await store.appendWithCursor(connector.id, drafts, cursor);
      onGood();
      if (drafts.length > 0) set({ last_event_ms: clock.nowMs() });
    },
    report(state, message) {
      if (state === "ready") onGood();
      set({ state, message: message ?? null });
    },
  };
}

/** None for an event that can't be recorded: it would come again for ever and keep back all that follow. */
function draftOf(events: EventLog, event: NewEvent, log: Logger): EventDraft[] {
  try {
    return [events.draft(event, null)];
  } catch (error) {
    if (!SignalboxError.is(error)) throw error;
    log.error({ err: error, type: event.type, external_id: event.external_id }, "an event was left out");
    return [];
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
