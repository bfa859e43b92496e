import { newId } from "../../lib/ids.ts";
import type { Handlers } from "../register.ts";
import type { EventStream } from "../stream.ts";
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
  | "sendCommand"
  | "listEffects"
  | "getEffect"
  | "finishEffect"
  | "retryEffect"
  | "skipEffect";

const STREAM_WAIT_MS = 600_000;
const STREAM_LEASE_MS = 90_000;
const ok = { ok: true } as const;

export function agentHandlers(parts: Parts): Pick<Handlers, AgentRoutes> {
  const { store, agents, ledger } = parts;
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
    claimCommands: async ({ agent, limit, wait_ms, lease_ms }, context) => ({
      commands: await ledger.claim(
        agent,
        { by: agent, limit, waitMs: wait_ms, leaseMs: lease_ms },
        context.signal,
      ),
    }),
    streamCommands: ({ agent, capacity }, stream) => streamCommands(parts, agent, capacity, stream),
    sendCommand: ({ agent, command, payload, source, idempotency_key, expires_in_ms }) =>
      ledger.propose({
        target: agent,
        action: command,
        payload,
        cause: { event_id: null, run_id: null, workflow: null, version: null, line: null, source },
        idempotency_key: `${source}:${idempotency_key ?? newId("key")}`,
        correlation_id: null,
        depth: 0,
        expires_in_ms,
      }),
    async listEffects(input) {
      const rows = await store.listEffects(input);
      const effects = await Promise.all(rows.slice(0, input.limit).map((row) => ledger.get(row.id)));
      return { effects, next: rows.length > input.limit ? (effects.at(-1)?.id ?? null) : null };
    },
    getEffect: ({ effect_id }) => ledger.get(effect_id),
    finishEffect: ({ effect_id, ...result }) => ledger.steps.finish(effect_id, result),
    retryEffect: ({ effect_id }) => ledger.steps.retry(effect_id),
    skipEffect: ({ effect_id }) => ledger.steps.skip(effect_id),
  };
}

/** Pushes commands as they are approved, never more than the agent takes at once. */
async function streamCommands(
  { ledger, agents, store }: Parts,
  agent: string,
  capacity: number,
  stream: EventStream,
): Promise<void> {
  const leave = agents.connected(agent);
  const out = new Set<string>();
  let freed: (() => void) | undefined;
  const stop = store.onCommitted(({ changed }) => {
    for (const id of changed) if (out.delete(id)) freed?.();
  });
  try {
    while (!stream.signal.aborted) {
      if (out.size >= capacity) {
        await Promise.race([new Promise<void>((resolve) => (freed = resolve)), stream.closed()]);
        continue;
      }
      const limit = Math.min(100, capacity - out.size);
      const commands = await ledger.claim(
        agent,
        { by: agent, limit, waitMs: STREAM_WAIT_MS, leaseMs: STREAM_LEASE_MS },
        stream.signal,
      );
      for (const command of commands) {
        out.add(command.effect_id);
        stream.send(command, command.effect_id, "command");
      }
    }
  } finally {
    stop();
    leave();
  }
}
