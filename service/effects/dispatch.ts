import type * as z from "zod";
import type { ConnectorCommand, ConnectorContext } from "../connectors/connector.ts";
import type { Command, CommandResult } from "../contract/agents.ts";
import type { Json } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { backoffMs } from "../lib/backoff.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { EffectLedger } from "./ledger.ts";

/** A connector that can carry out commands. */
export interface Executor {
  agent: string;
  commands: Readonly<Record<string, ConnectorCommand<unknown>>>;
  context: ConnectorContext<unknown>;
}

/** Commands of one connector under way at once. */
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
 * Carries out approved commands of the connectors. This is the only place that calls them, and each call ends in
 * the ledger: succeeded, failed, tried again later, or `unknown` when nobody saw its end.
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
  const stopped = new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
  const underWay = new Map<string, Promise<void>>();
  let cancelRenewal: (() => void) | undefined;
  for (const { agent, commands } of executors) {
    ledger.describeTarget(agent, {
      summary: (action, payload) => commands[action]?.summary(payload) ?? `Send ${action} to ${agent}`,
      repeatable: (action) => commands[action]?.idempotent ?? true,
    });
  }
  const loops = executors.map((executor) => takeCommands(executor));

  async function takeCommands(executor: Executor): Promise<void> {
    const mine = new Set<Promise<void>>();
    for (let failures = 0; !stop.signal.aborted; ) {
      try {
        if (mine.size >= CONCURRENCY) {
          await Promise.race([...mine, stopped]);
          continue;
        }
        const limit = CONCURRENCY - mine.size;
        const claim = { by, limit, waitMs: WAIT_MS, leaseMs: LEASE_MS };
        const commands = await ledger.claim(executor.agent, claim, stop.signal);
        failures = 0;
        for (const command of commands) {
          const work = carryOut(ledger, executor, command, log).finally(() => {
            mine.delete(work);
            underWay.delete(command.effect_id);
          });
          mine.add(work);
          underWay.set(command.effect_id, work);
        }
        if (commands.length > 0) keepLeases();
      } catch (error) {
        failures += 1;
        log.error({ err: error, agent: executor.agent }, "commands could not be taken; trying again");
        await pause(backoffMs(failures, PAUSE_BASE_MS, PAUSE_MAX_MS), stop.signal);
      }
    }
  }

  function keepLeases(): void {
    cancelRenewal ??= clock.after(RENEW_MS, () => {
      cancelRenewal = undefined;
      if (underWay.size === 0) return;
      ledger.extend([...underWay.keys()], by).catch((error: unknown) => {
        log.warn({ err: error }, "leases of commands could not be renewed");
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
      cancelRenewal?.();
    },
  };
}

async function carryOut(
  ledger: EffectLedger,
  executor: Executor,
  command: Command,
  log: Logger,
): Promise<void> {
  const { effect_id, lease } = command;
  // If even this can't be recorded, the lease runs out and the ledger decides then.
  const notRecorded = (failure: unknown) =>
    log.error({ err: failure, effect_id }, "the end of a command could not be recorded");
  let result: Json;
  try {
    result = await call(executor, command);
  } catch (error) {
    const repeatable = executor.commands[command.command]?.idempotent ?? true;
    return recordFailure(ledger, command, error, repeatable, log).catch(notRecorded);
  }
  await ledger.steps
    .finish(effect_id, { lease, status: "succeeded", result, retry: false })
    .catch(notRecorded);
}

async function call({ agent, commands, context }: Executor, command: Command): Promise<Json> {
  const definition = commands[command.command];
  if (!definition) {
    const known = Object.keys(commands).join(", ");
    throw new SignalboxError(
      "invalid_request",
      `${agent} has no command ${command.command}; it has ${known}`,
    );
  }
  const payload = checkedPayload(command, definition.params);
  return definition.run(payload, { ...context, idempotencyKey: command.effect_id, attempt: command.attempt });
}

function checkedPayload(command: Command, params: z.ZodType): Command["payload"] {
  const parsed = params.safeParse(command.payload);
  if (parsed.success) return parsed.data as Command["payload"];
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "payload"}: ${issue.message}`);
  throw new SignalboxError("invalid_request", `${command.command}: ${faults.join("; ")}`);
}

async function recordFailure(
  ledger: EffectLedger,
  command: Command,
  error: unknown,
  repeatable: boolean,
  log: Logger,
): Promise<void> {
  const { effect_id, lease, attempt } = command;
  const message = error instanceof Error ? error.message : String(error);
  if (!SignalboxError.is(error)) log.error({ err: error, effect_id }, "a command failed unexpectedly");
  // An error nobody thought of may have come after the call went out.
  const isUnknown = SignalboxError.is(error)
    ? (error.details as { outcome?: unknown } | undefined)?.outcome === "unknown"
    : !repeatable;
  if (isUnknown) await ledger.steps.lose(effect_id, lease, message);
  else if (SignalboxError.is(error) && passing.has(error.code)) {
    const delayMs =
      error.retryAfterS === undefined
        ? backoffMs(attempt, RETRY_BASE_MS, RETRY_MAX_MS)
        : error.retryAfterS * 1_000;
    await ledger.steps.postpone(effect_id, lease, message, delayMs);
  } else {
    const failed: CommandResult = { lease, status: "failed", error: message.slice(0, 10_000), retry: false };
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
