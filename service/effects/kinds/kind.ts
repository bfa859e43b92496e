import type * as z from "zod";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { Logger } from "../../lib/log.ts";

/** What an executor is given besides the payload. Nothing else may be reached for. */
export interface EffectContext {
  /** The effect's id: the same id means the same act. Sent along where the other side understands it. */
  readonly idempotencyKey: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** What `bind` answered just now, which is what was allowed; empty for a kind that binds nothing. */
  readonly bound: JsonObject;
  /** What is behind the act. */
  readonly cause: EffectCause;
  /** Aborts when the service stops. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Who asked for an act, and because of what. */
export interface EffectCause {
  /** `workflow:labeller`, `cli`, an agent's name, … */
  readonly source: string;
  readonly workflow: string | null;
  readonly event_id: string | null;
  readonly run_id: string | null;
  readonly correlation_id: string | null;
  /** Events that caused each other up to the one behind it. */
  readonly depth: number;
}

/**
 * One kind of act on the outside world, in a folder of its own. The payload is parsed by `schema` before anything
 * else, so that what is hashed, shown, judged and done is the same.
 */
export interface EffectKind<Payload = JsonObject> {
  /** The folder's name. */
  readonly kind: string;
  readonly title: string;
  /** Older names of it that models and files use. */
  readonly aliases?: readonly string[];
  /** The field that the `target` of a model's action block stands for where the payload lacks it: `url`, `to`. */
  readonly targetField?: string;
  /**
   * Fills in defaults and refuses what is missing or unknown: its output is the canonical payload, and parsing that
   * once more changes nothing.
   */
  readonly schema: z.ZodType<Payload, unknown>;
  /**
   * What makes one of this kind known, so that the default policy lets a workflow or the owner do it again unasked:
   * the same source, target and action (`target`), the same `bind` as well (`bind`), or nothing at all (`never`).
   */
  readonly familiar: "target" | "bind" | "never";
  /** Whom or what it reaches, as policy rules name it: `api.example.com`, `ops@example.com`, `git`, `prometheus.query`. */
  target(payload: Payload): string;
  /** What is done there: `POST`, `send`, `run`. */
  action(payload: Payload): string;
  /** One sentence that a person understands, without secrets: `POST 312 bytes of JSON to api.example.com/deploy`. */
  summary(payload: Payload): string;
  /** The payload as people and logs may see it: secrets masked, nothing else left out. */
  redact(payload: Payload): JsonObject;
  /** What a person should know before they approve: plain sentences. `bound` is what `bind` answered. */
  risks(payload: Payload, bound: JsonObject): string[];
  /** Whether an attempt whose end nobody saw may simply be repeated. */
  repeatable(payload: Payload): boolean;
  /**
   * What else the hash covers, such as the digest of the script, the program's path, or names of environment
   * variables. Asked when it is proposed and again just before it is done; another answer asks for approval again.
   * It may take seconds and must change nothing that anybody can see.
   * @throws SignalboxError when this can't be done at all (not on a list, not there): refused without asking
   */
  bind?(payload: Payload): Promise<JsonObject>;
  /** Whether a person approved this ahead of its first time, which makes it as known as if it had been done before. */
  isApproved?(payload: Payload, bound: JsonObject): Promise<boolean>;
  /**
   * Does it. What it returns is stored, so it must be small and hold no secret.
   * @throws SignalboxError; `rate_limited`, `busy` and `unavailable` are tried again later (after `retryAfterS` where
   * given), `details.outcome = "unknown"` says that it may have happened. Any other has failed for good. What is no
   * SignalboxError is `unknown` too, unless the kind is repeatable.
   */
  execute(payload: Payload, context: EffectContext): Promise<Json>;
  /** Gives back what it holds open. */
  close?(): Promise<void>;
}

/** Checks the type. Whoever calls it has parsed the payload by its schema, which no type can tell for all kinds. */
export function defineEffectKind<Payload>(kind: EffectKind<Payload>): EffectKind {
  return kind as unknown as EffectKind;
}
