import * as z from "zod";
import type { Json, JsonObject } from "../contract/common.ts";
import type { Event, NewEvent } from "../contract/events.ts";
import type { Logger } from "../lib/log.ts";
import type { Secret } from "../lib/secret.ts";

/** Where a secret is; the secret itself is never written into the settings. The file must be readable by its owner only. */
export const secretRef = z.union([
  z.strictObject({ env: z.string().min(1) }),
  z.strictObject({ file: z.string().min(1) }),
]);
export type SecretRef = z.infer<typeof secretRef>;

/** A path on the ingress: plain words, so that it means nothing else to a router or a URL. */
export const webhookPath = z
  .string()
  .max(200)
  .regex(
    /^(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/,
    "must be a path such as /bugsnag, of letters, digits and . _ -",
  );

/** What every call of a connector is given. Nothing else may be reached for, so that tests can hand in a stand-in. */
export interface ConnectorContext<Config> {
  readonly config: Config;
  readonly log: Logger;
  /** Reads a secret anew each time, so that a rotated one counts at once; null when it is not set or blank. */
  secret(ref: SecretRef): Secret | null;
  readonly fetch: typeof globalThis.fetch;
  /** Aborts when the connector has to stop. */
  readonly signal: AbortSignal;
}

export interface ListenContext<Config> extends ConnectorContext<Config> {
  /** Where it left off, as given to `emit` before; null the first time. */
  readonly cursor: string | null;
  /** Commits the events and the cursor together. An `external_id` that is known is dropped. */
  emit(events: NewEvent[], cursor: string): Promise<void>;
  /** Tells how the connection is, for people. */
  report(state: "connecting" | "ready" | "degraded", message?: string): void;
}

export interface CommandContext<Config> extends ConnectorContext<Config> {
  /** The effect's id: the same id means the same command. */
  readonly idempotencyKey: string;
  readonly attempt: number;
}

export interface ConnectorCommand<Config> {
  readonly title: string;
  readonly params: z.ZodType;
  /** True: doing it twice does no harm, so an attempt whose end nobody saw may be repeated. */
  readonly idempotent: boolean;
  /** One line that a person understands: `Add label "bug" to acme/site#7`. */
  summary(payload: JsonObject): string;
  /**
   * @throws SignalboxError `invalid_request` (a field is missing: nothing was called), `rate_limited` (with
   * `retryAfterS`), `connection_expired`, `remote_failed`. Only `rate_limited`, `busy` and `unavailable` are retried.
   */
  run(payload: JsonObject, context: CommandContext<Config>): Promise<Json>;
}

/** One request that reached the ingress, its body as it came. */
export interface WebhookRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** True only where a person allowed routes without a secret by name and only this machine can reach them (U18). */
  readonly allowsOpen: boolean;
}

export interface WebhookReply {
  readonly status: number;
  readonly body: JsonObject;
  /** Recorded before the answer goes out; if that fails the sender gets a 503 and tries again. */
  readonly events: NewEvent[];
}

export interface WebhookRoute {
  readonly path: string;
  /** Largest body in bytes. */
  readonly maxBytes: number;
  /** Asks its senders for nothing. The ingress serves it only where `ingress.insecure_loopback` says so. */
  readonly isOpen: boolean;
  /** Where its secret is; null when the settings name none. */
  readonly secret: SecretRef | null;
  /** How to give it a secret, as a sentence for people. */
  readonly secretHint: string;
}

export interface Connector<Config> {
  /** The folder's name. */
  readonly id: string;
  readonly title: string;
  /** Name it has as an agent: `sekia.command("github-agent", …)`. */
  readonly agent: string;
  readonly capabilities: readonly string[];
  readonly config: z.ZodType<Config, object | undefined>;
  readonly commands: Readonly<Record<string, ConnectorCommand<Config>>>;
  /** Whether the settings given are enough to take commands and to hear anything. */
  isConfigured(config: Config, secret: (ref: SecretRef) => Secret | null): boolean;
  /** The command that answers one of its events where it came from, or null where there is no such place. */
  replyTo?(event: Event, body: string): { command: string; payload: JsonObject } | null;
  /** Runs until `signal` aborts; may throw: who started it owns retry and backoff. */
  listen?(context: ListenContext<Config>): Promise<void>;
  /** Paths it wants on the ingress, which starts only when each of them has a secret. */
  routes?(config: Config): WebhookRoute[];
  /** Verifies and reads one webhook. Throws SignalboxError with the status that the sender gets. */
  receive?(request: WebhookRequest, context: ConnectorContext<Config>): Promise<WebhookReply>;
}

/** Checks the type and returns it unchanged. */
export function defineConnector<Config>(connector: Connector<Config>): Connector<Config> {
  return connector;
}
