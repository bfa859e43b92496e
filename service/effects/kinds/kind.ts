import type * as z from "zod";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { Logger } from "../../lib/log.ts";

/** What an executor is given besides the payload. Nothing else may be reached for. */
export interface EffectContext {
  /** The effect's id: the same id means the same act. Sent along where the other side understands it. */
  readonly idempotencyKey: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Aborts when the service stops or the effect is cancelled. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * One kind of act on the outside world, in a folder of its own. The payload is parsed by `schema` before anything
 * else, so that what is hashed, shown, judged and done is the same.
 */
export interface EffectKind<Payload extends JsonObject = JsonObject> {
  /** The folder's name. */
  readonly kind: string;
  readonly title: string;
  /** Fills in defaults and refuses what is missing or unknown: its output is the canonical payload. */
  readonly schema: z.ZodType<Payload>;
  /** Whom or what it reaches, as policy rules name it: `api.example.com`, `ops@example.com`, `git`, `prometheus.query`. */
  target(payload: Payload): string;
  /** What is done there: `POST`, `send`, `run`. */
  action(payload: Payload): string;
  /** One sentence that a person understands: `POST 312 bytes of JSON to api.example.com/deploy`. */
  summary(payload: Payload): string;
  /** The payload as people and logs may see it: secrets masked, nothing else left out. */
  redact(payload: Payload): JsonObject;
  /** What a person should know before they approve: plain sentences. */
  risks(payload: Payload): string[];
  /** Whether an attempt whose end nobody saw may simply be repeated. */
  repeatable(payload: Payload): boolean;
  /**
   * What else an approval binds to, such as the digest of the script: part of the effect's hash. Asked when it is
   * proposed and again just before it is done; another answer asks for approval again.
   */
  bind?(payload: Payload): Promise<JsonObject>;
  /**
   * Does it. What it returns is stored, so it must be small and hold no secret.
   * @throws SignalboxError; `rate_limited`, `busy` and `unavailable` are tried again, `details.outcome = "unknown"`
   * says that it may have happened. Anything else has failed.
   */
  execute(payload: Payload, context: EffectContext): Promise<Json>;
}

/** Checks the type and returns it unchanged. */
export function defineEffectKind<Payload extends JsonObject>(kind: EffectKind<Payload>): EffectKind<Payload> {
  return kind;
}
