import * as z from "zod";
import {
  type Connector,
  type ConnectorContext,
  type ListenContext,
  type SecretRef,
  secretRef,
} from "../connectors/connector.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { NewEvent } from "../contract/events.ts";
import type { ConnectorMend, ConnectorStatus } from "../contract/system.ts";
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
  /**
   * Ends what a connector does or waits for and has it connect again.
   * @throws SignalboxError `not_found`, `conflict` for one that does not listen at all
   */
  reconnect(connector: string): ConnectorStatus;
}

interface SupervisorOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  connectors: readonly Connector<unknown>[];
  /** The `connectors` section of the settings. */
  config: Readonly<Record<string, unknown>>;
  /** Whether somebody has set anything of a connector; one that is off unasked needs no mending. */
  isWanted(connector: string): boolean;
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
  const attempts = new Map<string, AbortController>();
  const statusOf = ({ connector: { id, title } }: Connection): ConnectorStatus => ({
    id,
    title,
    ...(states.get(id) ?? off("not configured", null)),
  });
  const loops = connections
    .filter(({ connector, configured }) => configured && connector.listen !== undefined)
    .map((connection) =>
      keepListening(connection, options, stop.signal, attempts, (change) =>
        set(connection.connector.id, change),
      ),
    );
  return {
    connections,
    status: () => connections.map(statusOf),
    heard: (id) => set(id, { last_event_ms: clock.nowMs() }),
    reconnect(id) {
      const connection = connections.find(({ connector }) => connector.id === id);
      if (connection === undefined) throw new SignalboxError("not_found", `there is no connector ${id}`);
      const attempt = attempts.get(id);
      if (attempt === undefined) {
        throw new SignalboxError("conflict", `${connection.connector.title} does not listen`, {
          hint: "`signalbox connectors` says why; it begins when the service starts with what it needs.",
        });
      }
      set(id, { state: "connecting", message: null, mend: null });
      attempt.abort();
      return statusOf(connection);
    },
    async close() {
      stop.abort();
      if (!(await settlesWithin(Promise.all(loops), options.drainMs())))
        log.warn("a connector did not stop in time");
    },
  };
}

const off = (message: string, mend: ConnectorMend | null): State => ({
  state: "off",
  message,
  last_event_ms: null,
  mend,
});

function connect(
  connector: Connector<unknown>,
  options: SupervisorOptions,
  signal: AbortSignal,
): { connection: Connection; state: State } {
  const config = options.config[connector.id];
  const settings: ConnectorMend = { kind: "settings", key: `connectors.${connector.id}` };
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
  if ((config as { enabled?: boolean } | undefined)?.enabled === false)
    return is(false, off("switched off", null));
  try {
    if (!connector.isConfigured(config, secret)) {
      const missing = missingSecrets(config, secret);
      const mend = missing.length > 0 ? mendSecrets(missing) : settings;
      return is(false, off(whyOff(missing), options.isWanted(connector.id) ? mend : null));
    }
  } catch (error) {
    // Such as a secret that others can read: this connector's trouble, not that of the others.
    const message = messageOf(error);
    context.log.error({ err: error }, "connector not started");
    return is(false, { state: "failed", message, last_event_ms: null, mend: settings });
  }
  return is(true, { state: "ready", message: null, last_event_ms: null, mend: null });
}

function missingSecrets(config: unknown, secret: (ref: SecretRef) => Secret | null): SecretRef[] {
  return Object.values(config ?? {}).flatMap((value: unknown) => {
    const ref = secretRef.safeParse(value);
    return ref.success && secret(ref.data) === null ? [ref.data] : [];
  });
}

/** The usual reason is a secret that was set in another terminal than the one that started the service. */
function whyOff(missing: readonly SecretRef[]): string {
  if (missing.length === 0) return "not configured";
  const places = missing.map((ref) => ("env" in ref ? ref.env : ref.file));
  return `not configured: the service found no ${places.join(" and no ")} when it started`;
}

function mendSecrets(refs: readonly SecretRef[]): ConnectorMend {
  return {
    kind: "secret",
    env: refs.flatMap((ref) => ("env" in ref ? [ref.env] : [])),
    files: refs.flatMap((ref) => ("file" in ref ? [ref.file] : [])),
  };
}

/** What an error asks for. One about a secret may say which, as `details.secret`. */
function mendOf(error: unknown, key: string): ConnectorMend {
  if (SignalboxError.is(error, "invalid_config") || SignalboxError.is(error, "forbidden"))
    return { kind: "settings", key };
  if (!SignalboxError.is(error, "connection_expired") && !SignalboxError.is(error, "secret_missing"))
    return { kind: "reconnect" };
  const named = z.object({ secret: secretRef }).safeParse(error.details);
  return named.success ? mendSecrets([named.data.secret]) : { kind: "settings", key };
}

async function keepListening(
  connection: Connection,
  options: SupervisorOptions,
  stop: AbortSignal,
  attempts: Map<string, AbortController>,
  set: SetState,
): Promise<void> {
  const { connector, context } = connection;
  let failures = 0;
  let wasCut = false;
  // What works again has left its failures behind.
  const onGood = () => {
    if (failures > 0 || wasCut) set({ state: "ready", message: null, mend: null });
    failures = 0;
    wasCut = false;
  };
  while (!stop.aborted) {
    const attempt = new AbortController();
    attempts.set(connector.id, attempt);
    const signal = AbortSignal.any([stop, attempt.signal]);
    try {
      await connector.listen?.({ ...(await listenContext(connection, options, set, onGood)), signal });
      if (!attempt.signal.aborted) return;
      wasCut = true;
    } catch (error) {
      if (stop.aborted) return;
      wasCut = attempt.signal.aborted;
      if (wasCut) continue;
      failures += 1;
      set({
        state: SignalboxError.is(error, "connection_expired") ? "failed" : "degraded",
        message: messageOf(error),
        mend: mendOf(error, `connectors.${connector.id}`),
      });
      const pauseMs = Math.max(
        backoffMs(failures, RETRY_BASE_MS, RETRY_MAX_MS),
        SignalboxError.is(error) ? (error.retryAfterS ?? 0) * 1_000 : 0,
      );
      context.log.warn({ err: error, pauseMs }, "connector stopped listening; starting it again");
      await pause(options.clock, pauseMs, signal);
      wasCut = attempt.signal.aborted;
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
      set({ state, message: message ?? null, mend: state === "degraded" ? { kind: "reconnect" } : null });
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
