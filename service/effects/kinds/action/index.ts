import * as z from "zod";
import { adaptInput, adaptOutput } from "../../../actions/adapters.ts";
import type { ActionEntry, Catalog } from "../../../actions/catalog.ts";
import type { Catalogs } from "../../../actions/catalogs.ts";
import type {
  ActionOutcome,
  ActionProgram,
  Executors,
  SandboxId,
} from "../../../actions/executors/executor.ts";
import { runFailure, schemaFailure } from "../../../actions/failure.ts";
import { type Results, resultKey } from "../../../actions/results.ts";
import { mergeDefaults, mismatch } from "../../../actions/schema.ts";
import type { ActionIdentity } from "../../../contract/actions.ts";
import { type Json, type JsonObject, jsonObject, name, text } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import { canonicalJson, sha256 } from "../../../lib/canonical.ts";
import type { Clock } from "../../../lib/clock.ts";
import { pause } from "../../../lib/pause.ts";
import { defineEffectKind, type EffectContext, type EffectKind } from "../kind.ts";
import { maskFields } from "../mask.ts";

const schema = z.strictObject({
  /** `prometheus.query` */
  action: name,
  params: jsonObject.default({}),
  /** A repository other than the one that is set. */
  repository: text(2_000).optional(),
  /** For this call, over what its definition says. */
  retry: z.strictObject({ attempts: z.int().min(0).max(10), delay: z.int().min(0) }).optional(),
  /** For how long its answer may be an older one, in ms. */
  cache: z.int().min(1).optional(),
});
type Payload = z.output<typeof schema>;

export interface ActionKindOptions {
  catalogs: Catalogs;
  executors: Executors;
  results: Results;
  clock: Clock;
  /** What an action writes to stderr, and what goes on before it runs. */
  onProgress(effect_id: string, action: string, text: string): void;
  /** Whether a person approved exactly this ahead of its first run. */
  isApproved(action: string, sha256: string): Promise<boolean>;
}

export interface ActionKind {
  readonly kind: EffectKind;
  /** What would run, with notes for a person. */
  identify(
    catalog: Catalog,
    action: string,
    signal: AbortSignal,
  ): Promise<{ identity: ActionIdentity; notes: string[] }>;
  /** Ends an action under way. False when it is not. */
  cancel(effect_id: string): boolean;
}

/** An answer larger than this is kept beside the database, which then has its name. */
const MAX_INLINE_BYTES = 262_144;
const SUMMARY_CHARS = 160;

/** Hex SHA-256 of what an approval of an action stands for. */
export function identityDigest(identity: ActionIdentity): string {
  return sha256(canonicalJson({ ...identity }));
}

/** Programs that scripts and workflows call as `actions.ns.name(params)` (K12–K18). */
export function actionKind(options: ActionKindOptions): ActionKind {
  const { catalogs, executors } = options;
  const underWay = new Map<string, AbortController>();

  const identify: ActionKind["identify"] = async (catalog, action, signal) => {
    const program = await catalog.program(action, { signal });
    return describe(executors, program);
  };

  const kind = defineEffectKind<Payload>({
    kind: "action",
    title: "Run an action",
    familiar: "bind",
    schema,
    target: ({ action }) => action,
    action: () => "run",
    summary: ({ action, params }) => `Run ${action}${summaryOf(maskFields(params))}`,
    redact: ({ params, ...rest }) => ({ ...JSON.parse(JSON.stringify(rest)), params: maskFields(params) }),
    risks: (_payload, bound) => risksOf(bound as Partial<ActionIdentity>),
    // A person decides after a crash in mid-call, unless its author said that it may be tried again.
    repeatable: ({ retry }) => (retry?.attempts ?? 0) > 0,
    isApproved: ({ action }, bound) => options.isApproved(action, identityDigest(bound as ActionIdentity)),
    async bind({ action, repository }) {
      const catalog = await catalogs.of(repository);
      const { identity } = await identify(catalog, action, AbortSignal.timeout(300_000));
      return { ...identity };
    },
    async execute(payload, context) {
      const stop = new AbortController();
      underWay.set(context.idempotencyKey, stop);
      try {
        const signal = AbortSignal.any([context.signal, stop.signal]);
        return await execute(options, payload, { ...context, signal });
      } finally {
        underWay.delete(context.idempotencyKey);
      }
    },
  });
  return {
    kind,
    identify,
    cancel(effect_id) {
      const running = underWay.get(effect_id);
      running?.abort();
      return running !== undefined;
    },
  };
}

async function describe(executors: Executors, program: ActionProgram) {
  const executor = executors.of(program);
  const available = await executor.available();
  if (!available.ok) {
    throw new SignalboxError(
      "executor_missing",
      `${program.name} needs the executor ${executor.id}: ${available.reason}`,
    );
  }
  const { argv, sandbox, packages, notes } = await executor.describe(program);
  const { digest, commit, env, powers } = program;
  const identity: ActionIdentity = {
    ...{ digest, commit, executor: executor.id, argv: [...argv], env: [...env] },
    ...{ hosts: [...powers.hosts], files: [...powers.files], packages: [...packages], sandbox },
  };
  return { identity, notes: [...notes] };
}

async function execute(options: ActionKindOptions, payload: Payload, context: EffectContext): Promise<Json> {
  const { action, repository } = payload;
  const catalog = await options.catalogs.of(repository);
  const entry = catalog.require(action);
  const { definition } = entry;
  const params = mergeDefaults(definition.defaults as JsonObject, payload.params);
  const wrong = mismatch(definition.schema.input, params);
  if (wrong !== null) throw new SignalboxError("action_failed", schemaFailure(wrong));
  const { results, clock } = options;
  const key = resultKey(identityDigest(context.bound as ActionIdentity), params);
  const cacheMs = payload.cache ?? definition.cache;
  const kept = cacheMs === null ? null : await results.read(key, clock.nowMs() - cacheMs);
  if (kept) return stored(options, context.idempotencyKey, kept.value);
  const value = await run(options, entry, payload, params, context, catalog);
  if (cacheMs !== null) await results.write(key, value, clock.nowMs());
  return stored(options, context.idempotencyKey, value);
}

/** Runs it, again where that is allowed, and reads its answer. */
async function run(
  options: ActionKindOptions,
  { definition, name: action }: ActionEntry,
  payload: Payload,
  params: JsonObject,
  context: EffectContext,
  catalog: Catalog,
): Promise<Json> {
  const { signal, idempotencyKey, bound } = context;
  const tell = (line: string) => options.onProgress(idempotencyKey, action, line);
  const { attempts, delay } = payload.retry ?? definition.retry;
  for (let attempt = 0; ; attempt++) {
    try {
      const pin = (bound as Partial<ActionIdentity>).commit ?? null;
      const found = await catalog.program(action, { pin, signal, progress: tell });
      // The files that were approved, should they have changed since a moment ago.
      const { digest = found.digest } = bound as Partial<ActionIdentity>;
      const program = { ...found, digest };
      const outcome = await options.executors.of(program).run(program, {
        ...{ params, signal, idempotencyKey, log: tell, progress: tell },
        ...{ ...adaptInput(definition, params), output: definition.output_adapter },
        ...(isSandbox(bound.sandbox) ? { sandbox: bound.sandbox } : {}),
      });
      return checked(definition, outcome);
    } catch (error) {
      const isOver = attempt >= attempts || signal.aborted || !mayPass(error);
      if (isOver) throw worded(action, definition, error);
      tell(`attempt ${attempt + 1} failed: ${error.message}; again in ${delay} ms`);
      await pause(delay * 2 ** attempt, signal);
    }
  }
}

function isSandbox(value: unknown): value is SandboxId {
  return value === "bubblewrap" || value === "container" || value === "none";
}

function checked(definition: ActionEntry["definition"], { result }: ActionOutcome): Json {
  const value = adaptOutput(definition.output_adapter, result);
  const wrong = mismatch(definition.schema.output, value);
  if (wrong === null) return value;
  throw new SignalboxError("action_output", schemaFailure(`its answer: ${wrong}`));
}

/** Its own failures may be others the next time; what is wrong with its files or the machine stays. */
function mayPass(error: unknown): error is SignalboxError {
  return SignalboxError.is(error, "action_failed") || SignalboxError.is(error, "action_timeout");
}

/** The words that a script reads (K16, B19). */
function worded(action: string, definition: ActionEntry["definition"], error: unknown): unknown {
  if (!SignalboxError.is(error) || error.message.startsWith(schemaFailure(""))) return error;
  const { hint, details } = error;
  const message = runFailure(action, definition, error.message);
  const code = error.code === "busy" || error.code === "unavailable" ? "action_failed" : error.code;
  return new SignalboxError(code, message, { hint, details, cause: error });
}

/** A large answer stays beside the database; `openAnswer` gets it back. */
async function stored({ results, clock }: ActionKindOptions, effect_id: string, value: Json): Promise<Json> {
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes <= MAX_INLINE_BYTES) return value;
  await results.write(`answer:${effect_id}`, value, clock.nowMs());
  return { _answer: effect_id, bytes };
}

/**
 * What an action answered, wherever it is kept.
 * @throws SignalboxError `action_output` when a large answer is no longer there
 */
export async function openAnswer(results: Results, value: Json): Promise<Json> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const { _answer: effect_id, bytes, ...others } = value;
  if (typeof effect_id !== "string" || typeof bytes !== "number" || Object.keys(others).length > 0)
    return value;
  const found = await results.read(`answer:${effect_id}`, 0);
  if (found) return found.value;
  throw new SignalboxError(
    "action_output",
    `the answer of ${effect_id} (${bytes} bytes) is not kept any more`,
    {
      hint: "Retry the effect; large answers make room for newer ones.",
    },
  );
}

function summaryOf(params: JsonObject): string {
  const words = Object.entries(params).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  if (words.length === 0) return " without parameters";
  const all = words.join(", ");
  return ` with ${all.length > SUMMARY_CHARS ? `${all.slice(0, SUMMARY_CHARS)}…` : all}`;
}

function risksOf({
  argv = [],
  commit,
  digest = "",
  sandbox,
  env = [],
  hosts = [],
  files = [],
}: Partial<ActionIdentity>) {
  const from = commit ? `commit ${commit}` : "a folder on this machine";
  return [
    `It runs ${argv.join(" ")} from ${from}; its files have the digest ${digest.slice(0, 12)}….`,
    ...(sandbox === "none" ? ["It runs without a sandbox: what you can read and write, it can."] : []),
    ...(env.length > 0 ? [`It is given the variables ${env.join(", ")}.`] : []),
    ...(hosts.length > 0 ? [`It calls ${hosts.join(", ")}.`] : []),
    ...(files.length > 0 ? [`It uses the files ${files.join(", ")}.`] : []),
  ];
}
