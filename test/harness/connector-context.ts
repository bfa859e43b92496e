import type {
  CommandContext,
  ConnectorContext,
  ListenContext,
  SecretRef,
  WebhookRequest,
} from "../../service/connectors/connector.ts";
import type { NewEvent } from "../../service/contract/events.ts";
import { silentLog } from "../../service/lib/log.ts";
import { Secret } from "../../service/lib/secret.ts";

/** Finds secrets by the name of their variable. */
export function secretsFrom(values: Record<string, string>): (ref: SecretRef) => Secret | null {
  return (ref) => {
    const value = "env" in ref ? values[ref.env] : undefined;
    return value === undefined ? null : new Secret(value);
  };
}

/** What a connector is given, with the secrets of `values` and nothing else set up. */
export function connectorContext<Config>(
  config: Config,
  values: Record<string, string> = {},
  signal: AbortSignal = new AbortController().signal,
): ConnectorContext<Config> {
  return { config, log: silentLog, secret: secretsFrom(values), fetch: globalThis.fetch, signal };
}

export function commandContext<Config>(
  config: Config,
  values: Record<string, string> = {},
  signal?: AbortSignal,
): CommandContext<Config> {
  return { ...connectorContext(config, values, signal), idempotencyKey: "eff_test", attempt: 1 };
}

export interface RecordedListen<Config> {
  context: ListenContext<Config>;
  /** Everything emitted so far, in order. */
  emitted: { events: NewEvent[]; cursor: string }[];
  reports: string[];
  stop(): void;
}

export function listenContext<Config>(
  config: Config,
  values: Record<string, string> = {},
  cursor: string | null = null,
): RecordedListen<Config> {
  const controller = new AbortController();
  const emitted: RecordedListen<Config>["emitted"] = [];
  const reports: string[] = [];
  const context: ListenContext<Config> = {
    ...connectorContext(config, values, controller.signal),
    cursor,
    emit: async (events, next) => void emitted.push({ events, cursor: next }),
    report: (state) => void reports.push(state),
  };
  return { context, emitted, reports, stop: () => controller.abort() };
}

export function webhookRequest(
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): WebhookRequest {
  return { method: "POST", path, headers, body: Buffer.from(body), allowsOpen: false };
}
