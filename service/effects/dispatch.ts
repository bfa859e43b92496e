import type * as z from "zod";
import type { ConnectorCommand, ConnectorContext } from "../connectors/connector.ts";
import type { CommandResult } from "../contract/agents.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { backoffMs } from "../lib/backoff.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import { type EffectLane, type EffectRow, laneOf } from "../store/store.ts";
import type { EffectKind } from "./kinds/kind.ts";
import { checkedPayload } from "./kinds/registry.ts";
import type { EffectLedger } from "./ledger.ts";

/** A connector that can carry out commands. */
export interface Executor {
  agent: string;
  commands: Readonly<Record<string, ConnectorCommand<unknown>>>;
  context: ConnectorContext<unknown>;
}

/** What takes the effects of one lane and carries them out. */
interface Worker {
  lane: EffectLane;
  call(row: EffectRow): Promise<Json>;
  repeatable(row: EffectRow): boolean;
}

/** Effects of one lane under way at once. */
const CONCURRENCY = 8;
const LEASE_MS = 120_000;
/** Leases of what is under way are renewed so often, since a call may wait long for a remote limit. */
const RENEW_MS = 30_000;
/** Who holds the leases. */
const by = `connector:${process.pid}`;
const WAIT_MS = 600_000;
const PAUSE_BASE_MS = 1_000;
const PAUSE_MAX_MS = 60_000;
const RETRY_BASE_MS = 2_000;
const RETRY_MAX_MS = 900_000;

/** What may be tried again: the remote side did nothing, and says so or was not reached. */
const passing = new Set(["rate_limited", "busy", "unavailable"]);

/**
 * Carries out approved commands of the connectors, and the kinds that this service does itself. This is the only place
 * that calls them, and each call ends in the ledger: succeeded, failed, tried again later, or `unknown` when nobody saw
 * its end.
 */
export function startDispatcher(options: {
  ledger: EffectLedger;
  executors: Executor[];
  log: Logger;
  drainMs: number;
  clock?: Clock;
}): Closeable {
  const { ledger, executors, log, clock = systemClock } = options;
  const stop = new AbortController();
  /** Aborts what a stop did not wait for. */
  const giveUp = new AbortController();
  const stopped = new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
  const underWay = new Map<string, Promise<void>>();
  let cancelRenewal: (() => void) | undefined;
  for (const { agent, commands } of executors) {
    ledger.describeTarget(agent, {
      summary: (action, payload) => commands[action]?.summary(payload) ?? `Send ${action} to ${agent}`,
      repeatable: (action) => commands[action]?.idempotent ?? true,
    });
  }
  const workers = [
    ...executors.map(connectorWorker),
    ...ledger.kinds.all.map((kind) => kindWorker(kind, giveUp.signal, log)),
  ];
  const loops = workers.map((worker) => takeEffects(worker));

  async function takeEffects(worker: Worker): Promise<void> {
    const mine = new Set<Promise<void>>();
    for (let failures = 0; !stop.signal.aborted; ) {
      try {
        if (mine.size >= CONCURRENCY) {
          await Promise.race([...mine, stopped]);
          continue;
        }
        const limit = CONCURRENCY - mine.size;
        const claim = { by, limit, waitMs: WAIT_MS, leaseMs: LEASE_MS };
        const rows = await ledger.take(worker.lane, claim, stop.signal);
        failures = 0;
        for (const row of rows) {
          const work = carryOut(ledger, worker, row, log).finally(() => {
            mine.delete(work);
            underWay.delete(row.id);
          });
          mine.add(work);
          underWay.set(row.id, work);
        }
        if (rows.length > 0) keepLeases();
      } catch (error) {
        failures += 1;
        const lane = laneOf({ kind: "command", target: "", ...worker.lane });
        log.error({ err: error, lane }, "effects could not be taken; trying again");
        await pause(backoffMs(failures, PAUSE_BASE_MS, PAUSE_MAX_MS), stop.signal);
      }
    }
  }

  function keepLeases(): void {
    cancelRenewal ??= clock.after(RENEW_MS, () => {
      cancelRenewal = undefined;
      if (underWay.size === 0) return;
      ledger.extend([...underWay.keys()], by).catch((error: unknown) => {
        log.warn({ err: error }, "leases of effects could not be renewed");
      });
      keepLeases();
    });
  }

  return {
    async close() {
      stop.abort();
      await Promise.all(loops);
      const drained = new AbortController();
      const all = Promise.all(underWay.values()).then(() => drained.abort());
      await Promise.race([all, pause(options.drainMs, drained.signal)]);
      giveUp.abort();
      cancelRenewal?.();
      await Promise.all(ledger.kinds.all.map((kind) => kind.close?.()));
    },
  };
}

function connectorWorker(executor: Executor): Worker {
  return {
    lane: { target: executor.agent },
    repeatable: ({ action }) => executor.commands[action]?.idempotent ?? true,
    async call(row) {
      const { agent, commands, context } = executor;
      const definition = commands[row.action];
      if (!definition) {
        const known = Object.keys(commands).join(", ");
        throw new SignalboxError("invalid_request", `${agent} has no command ${row.action}; it has ${known}`);
      }
      const payload = checkedParams(row, definition.params);
      return definition.run(payload, { ...context, idempotencyKey: row.id, attempt: row.attempts });
    },
  };
}

function kindWorker(kind: EffectKind, signal: AbortSignal, log: Logger): Worker {
  return {
    lane: { kind: kind.kind },
    repeatable: ({ payload }) => kind.repeatable(payload),
    async call(row) {
      const { source, workflow, event_id, run_id } = row.cause;
      const { correlation_id, depth } = row;
      const context = {
        ...{ idempotencyKey: row.id, attempt: row.attempts, bound: row.bound ?? {} },
        cause: { source, workflow, event_id, run_id, correlation_id, depth },
        ...{ signal, log },
      };
      try {
        return await kind.execute(checkedPayload(kind, row.payload), context);
      } catch (error) {
        throw repeatedWhere(kind.repeatable(row.payload), error);
      }
    },
  };
}

/** Where doing it twice does no harm, it is enough that nobody saw the end. */
function repeatedWhere(isRepeatable: boolean, error: unknown): unknown {
  if (!isRepeatable || !SignalboxError.is(error)) return error;
  const isUnknown = (error.details as { outcome?: unknown } | undefined)?.outcome === "unknown";
  return isUnknown ? new SignalboxError("unavailable", error.message, { cause: error }) : error;
}

async function carryOut(ledger: EffectLedger, worker: Worker, row: EffectRow, log: Logger): Promise<void> {
  const lease = row.lease ?? "";
  // If even this can't be recorded, the lease runs out and the ledger decides then.
  const notRecorded = (failure: unknown) =>
    log.error({ err: failure, effect_id: row.id }, "the end of an effect could not be recorded");
  let result: Json;
  try {
    result = await worker.call(row);
  } catch (error) {
    return recordFailure(ledger, row, error, worker.repeatable(row), log).catch(notRecorded);
  }
  await ledger.steps.finish(row.id, { lease, status: "succeeded", result, retry: false }).catch(notRecorded);
}

function checkedParams(row: EffectRow, params: z.ZodType): JsonObject {
  const parsed = params.safeParse(row.payload);
  if (parsed.success) return parsed.data as JsonObject;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "payload"}: ${issue.message}`);
  throw new SignalboxError("invalid_request", `${row.action}: ${faults.join("; ")}`);
}

async function recordFailure(
  ledger: EffectLedger,
  row: EffectRow,
  error: unknown,
  repeatable: boolean,
  log: Logger,
): Promise<void> {
  const { id: effect_id, attempts } = row;
  const lease = row.lease ?? "";
  const message = (error instanceof Error ? error.message : String(error)).slice(0, 10_000);
  if (!SignalboxError.is(error)) log.error({ err: error, effect_id }, "an effect failed unexpectedly");
  // An error nobody thought of may have come after the call went out.
  const isUnknown = SignalboxError.is(error)
    ? (error.details as { outcome?: unknown } | undefined)?.outcome === "unknown"
    : !repeatable;
  if (isUnknown) await ledger.steps.lose(effect_id, lease, message);
  else if (SignalboxError.is(error) && passing.has(error.code)) {
    const delayMs =
      error.retryAfterS === undefined
        ? backoffMs(attempts, RETRY_BASE_MS, RETRY_MAX_MS)
        : error.retryAfterS * 1_000;
    await ledger.steps.postpone(effect_id, lease, message, delayMs);
  } else {
    const failed: CommandResult = { lease, status: "failed", error: message, retry: false };
    await ledger.steps.finish(effect_id, failed);
  }
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    timer.unref();
    signal?.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
  });
}
