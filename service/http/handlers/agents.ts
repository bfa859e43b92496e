import { commandResultItem } from "../../contract/agents.ts";
import type { Json } from "../../contract/common.ts";
import type { Effect } from "../../contract/effects.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Parsed } from "../../contract/routes.ts";
import type { Proposal } from "../../effects/ledger.ts";
import { newId } from "../../lib/ids.ts";
import { type Handlers, invalid } from "../register.ts";
import { CommandStreams } from "./command-streams.ts";
import type { Parts } from "./parts.ts";

type AgentRoutes =
  | "listAgents"
  | "registerAgent"
  | "getAgent"
  | "removeAgent"
  | "beat"
  | "goOffline"
  | "claimCommands"
  | "streamCommands"
  | "resumeCommands"
  | "sendCommand"
  | "listEffects"
  | "getEffect"
  | "finishEffect"
  | "finishEffects"
  | "retryEffect"
  | "skipEffect";

const ok = { ok: true } as const;

export function agentHandlers(parts: Parts): Pick<Handlers, AgentRoutes> {
  const { store, agents, ledger } = parts;
  const streams = new CommandStreams(parts);
  return {
    listAgents: async () => ({ agents: await agents.list() }),
    registerAgent: (input) => agents.register(input),
    getAgent: ({ agent }) => agents.get(agent),
    async removeAgent({ agent }) {
      await agents.remove(agent);
      return ok;
    },
    async beat({ agent, effect_ids, ...beat }) {
      await agents.beat(agent, beat);
      if (effect_ids && effect_ids.length > 0) await ledger.extend(effect_ids, agent);
      return ok;
    },
    async goOffline({ agent }) {
      await agents.goOffline(agent);
      return ok;
    },
    async claimCommands({ agent, limit, wait_ms, lease_ms }, { signal }) {
      await agents.refuseConnector(agent);
      const claim = { by: agent, limit, waitMs: wait_ms, leaseMs: lease_ms };
      return { commands: await ledger.claim(agent, claim, signal) };
    },
    streamCommands: (input, stream) => streams.send(input, stream),
    resumeCommands: ({ in_hand, ...input }, stream) => streams.resume(input, in_hand, stream),
    sendCommand: (input) => sendCommand(parts, input),
    async listEffects(input) {
      const rows = await store.listEffects(input);
      const effects = rows.slice(0, input.limit).map(ledger.view);
      return { effects, next: rows.length > input.limit ? (effects.at(-1)?.id ?? null) : null };
    },
    getEffect: ({ effect_id, wait_ms }, { signal }) => endOf(parts, effect_id, wait_ms, signal),
    finishEffect: ({ effect_id, ...result }) => ledger.steps.finish(effect_id, result),
    finishEffects: async ({ items }) => ({
      results: await Promise.all(items.map((item) => finishItem(parts, item))),
    }),
    retryEffect: ({ effect_id }) => ledger.steps.retry(effect_id),
    skipEffect: ({ effect_id }) => ledger.steps.skip(effect_id),
  };
}

const ended: ReadonlySet<string> = new Set(["succeeded", "failed", "denied", "expired", "skipped"]);

/** What is wrong with one is its own answer. */
async function finishItem({ ledger }: Parts, item: Json) {
  try {
    const checked = commandResultItem.safeParse(item);
    if (!checked.success) throw invalid(checked.error.issues, "item");
    const { effect_id, ...result } = checked.data;
    const { state } = await ledger.steps.finish(effect_id, result);
    return { effect_id, state };
  } catch (error) {
    if (!SignalboxError.is(error)) throw error;
    return { error: { code: error.code, message: error.message, hint: error.hint } };
  }
}

/** The effect as it is once it has ended, or when the time is over. */
async function endOf(
  { store, ledger }: Parts,
  effect_id: string,
  wait_ms: number,
  signal: AbortSignal,
): Promise<Effect> {
  if (wait_ms === 0) return ledger.get(effect_id);
  const over = AbortSignal.any([signal, AbortSignal.timeout(wait_ms)]);
  let changed = Promise.withResolvers<void>();
  const stop = store.onCommitted((committed) => {
    if (committed.changed.includes(effect_id)) changed.resolve();
  });
  over.addEventListener("abort", () => changed.resolve(), { once: true });
  try {
    for (;;) {
      const effect = await ledger.get(effect_id);
      if (ended.has(effect.state) || over.aborted) return effect;
      await changed.promise;
      changed = Promise.withResolvers();
    }
  } finally {
    stop();
  }
}

async function sendCommand({ ledger }: Parts, input: Parsed<"sendCommand">): Promise<Effect> {
  const { agent, command, payload, source, idempotency_key, expires_in_ms } = input;
  // What a workflow's file asks for is trusted, so nobody else may speak in a workflow's name.
  if (source.startsWith("workflow:"))
    throw new SignalboxError("forbidden", "only a workflow itself is a source of that name");
  const proposal: Proposal = {
    target: agent,
    action: command,
    payload,
    cause: { event_id: null, run_id: null, workflow: null, version: null, line: null, source },
    idempotency_key: `${source}:${idempotency_key ?? newId("key")}`,
    correlation_id: null,
    depth: 0,
    expires_in_ms,
  };
  return ledger.propose(proposal);
}
