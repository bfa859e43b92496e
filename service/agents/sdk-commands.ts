/** What an agent can be asked to do, and how a request becomes an outcome. */
import type { Command, CommandSpec } from "../contract/agents.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { NewEvent, Pushed } from "../contract/events.ts";

/** A schema of zod 4, ArkType, Valibot or any other library that follows https://standardschema.dev. */
export interface Schema<Payload> {
  readonly "~standard": {
    validate(value: unknown): Checked<Payload> | Promise<Checked<Payload>>;
    /** Libraries without it describe their payload by a JSON Schema of its own, or not at all. */
    readonly jsonSchema?: { input(options: { target: "draft-2020-12" }): object };
  };
}
type Checked<Payload> =
  | { readonly value: Payload; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };
interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export interface CommandContext {
  readonly command: string;
  /**
   * The command's idempotency key: a command that comes again, because nobody saw how it ended, has the same one.
   * Hand it on to whatever can tell repetitions by it.
   */
  readonly effectId: string;
  /** 1, unless it was tried before. */
  readonly attempt: number;
  /** Who sent it: `workflow:<name>`, `cli`, … */
  readonly source: string;
  /** Aborts when the agent stops and this command has to end. */
  readonly signal: AbortSignal;
  /** As `agent.publish`, and part of the chain of events that led to this command, so that loops come to an end. */
  publish(event: NewEvent): Promise<Pushed>;
}

/**
 * Carries out one command. What it returns is recorded as its result, as JSON; an error that it throws is recorded as
 * its failure, and is final unless it is a `TryAgain`.
 */
export type CommandHandler<Payload = JsonObject> = (payload: Payload, context: CommandContext) => unknown;

export interface CommandDefinition {
  /** What it does, for people: `Deploy a version`. */
  readonly title?: string | undefined;
  /** JSON Schema for people and programs that send it, or a schema that also checks each payload before the handler. */
  readonly params?: JsonObject | Schema<unknown> | undefined;
  /** False: a command whose end nobody saw is not sent again; a person decides. */
  readonly idempotent?: boolean | undefined;
  // A method, so that `command` below may narrow the payload to what its schema lets through.
  handler(payload: JsonObject, context: CommandContext): unknown;
}

export type Commands = Readonly<Record<string, CommandHandler | CommandDefinition>>;

/** A command whose handler gets the payload as its schema types it. */
export function command<Payload>(
  definition: Omit<CommandDefinition, "params" | "handler"> & {
    readonly params: Schema<Payload>;
    readonly handler: CommandHandler<Payload>;
  },
): CommandDefinition {
  // The schema has checked the payload before the handler sees it.
  return definition as unknown as CommandDefinition;
}

/** Thrown by a handler: it did nothing, and another attempt may succeed. The service sends the command again later. */
export class TryAgain extends Error {
  override readonly name = "TryAgain";
}

/** How a command ended, as it is reported. */
export interface Outcome {
  readonly status: "succeeded" | "failed";
  readonly result?: Json;
  readonly error?: string;
  readonly retry: boolean;
}

/** What the registration says of the commands. @throws SignalboxError `invalid_request` */
export function describeCommands(commands: Commands): CommandSpec[] {
  return Object.entries(commands).map(([name, given]) => {
    if (typeof given === "function") return { name };
    if (typeof given?.handler !== "function")
      throw new SignalboxError("invalid_request", `the command ${name} has no handler`, {
        hint: "Give a function, or an object with a function as its handler.",
      });
    const { title, idempotent } = given;
    const params = given.params && jsonSchema(name, given.params);
    return {
      name,
      ...(title === undefined ? {} : { title }),
      ...(params === undefined ? {} : { params }),
      ...(idempotent === undefined ? {} : { idempotent }),
    };
  });
}

function jsonSchema(name: string, params: JsonObject | Schema<unknown>): JsonObject | undefined {
  if (!isSchema(params)) return params;
  const converter = params["~standard"].jsonSchema;
  if (!converter) return undefined;
  try {
    const { $schema: _, ...schema } = converter.input({ target: "draft-2020-12" }) as JsonObject;
    // Through JSON: what JSON can't hold is no part of a schema.
    return JSON.parse(JSON.stringify(schema)) as JsonObject;
  } catch (error) {
    throw new SignalboxError(
      "invalid_request",
      `the params of ${name} have no JSON Schema: ${textOf(error)}`,
      {
        cause: error,
        hint: "A payload is JSON, so it holds no dates, functions or other objects.",
      },
    );
  }
}

function isSchema(params: JsonObject | Schema<unknown>): params is Schema<unknown> {
  return "~standard" in params;
}

/** Runs the handler of one command. Never throws: what goes wrong is its outcome, told to `onError` too. */
export async function carryOut(
  commands: Commands,
  { command: name, payload }: Command,
  context: CommandContext,
  onError: (error: unknown) => void,
): Promise<Outcome> {
  try {
    const given = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (given === undefined) {
      const known = Object.keys(commands).join(", ") || "none";
      throw new SignalboxError("invalid_request", `this agent has no command ${name}; it has ${known}`);
    }
    const value =
      typeof given === "function"
        ? await given(payload, context)
        : await given.handler(await check(name, payload, given.params), context);
    return { status: "succeeded", result: toJson(name, value), retry: false };
  } catch (error) {
    onError(error);
    // Who stops half-way because the agent stops may go on in the next attempt.
    return failure(error, error instanceof TryAgain || context.signal.aborted);
  }
}

export function failure(error: unknown, retry: boolean): Outcome {
  return { status: "failed", error: textOf(error).slice(0, 10_000), retry };
}

async function check(
  name: string,
  payload: JsonObject,
  params: CommandDefinition["params"],
): Promise<JsonObject> {
  if (params === undefined || !isSchema(params)) return payload;
  const checked = await params["~standard"].validate(payload);
  if (!checked.issues) return checked.value as JsonObject;
  const faults = checked.issues.map(({ path = [], message }) => {
    const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
    return `${keys.join(".") || "payload"}: ${message}`;
  });
  throw new SignalboxError("invalid_request", `${name}: ${faults.join("; ")}`);
}

function toJson(name: string, value: unknown): Json {
  try {
    return JSON.parse(JSON.stringify(value) ?? "null") as Json;
  } catch (error) {
    throw new TypeError(`${name} returned what JSON can't hold: ${textOf(error)}`, { cause: error });
  }
}

/** Without what the service refuses in a text. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.toWellFormed().replaceAll("\0", "");
}
