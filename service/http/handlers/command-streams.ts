import { agentName } from "../../contract/agent-name.ts";
import type { EventStream } from "../stream.ts";
import type { Parts } from "./parts.ts";

const WAIT_MS = 600_000;
const LEASE_MS = 90_000;
/** Commands taken at once. */
const PAGE = 100;

interface Reader {
  readonly agent: string;
  /** Commands it takes at once. */
  readonly capacity: number;
  readonly session?: string | undefined;
}

interface Live {
  readonly end: AbortController;
  readonly ended: Promise<void>;
}

/** Connections over which agents are sent their commands. */
export class CommandStreams {
  readonly #parts: Pick<Parts, "agents" | "ledger" | "store">;
  /** The newest connection of each session, by agent and session. */
  readonly #live = new Map<string, Live>();

  constructor(parts: Pick<Parts, "agents" | "ledger" | "store">) {
    this.#parts = parts;
  }

  /** Pushes commands as they are approved. @throws SignalboxError `conflict` for a connector */
  async send(reader: Reader, stream: EventStream): Promise<void> {
    await this.#parts.agents.refuseConnector(reader.agent);
    stream.open();
    await this.#push(reader, stream, stream.signal, []);
  }

  /** The same, after what was lost on the session's connection before was given back. */
  async resume(
    reader: Reader & { readonly session: string },
    inHand: readonly string[],
    stream: EventStream,
  ): Promise<void> {
    await this.#parts.agents.refuseConnector(reader.agent);
    stream.open();
    const key = `${agentName(reader.agent)} ${reader.session}`;
    const before = this.#live.get(key);
    const over = Promise.withResolvers<void>();
    const live: Live = { end: new AbortController(), ended: over.promise };
    this.#live.set(key, live);
    try {
      // It may not have noticed yet that nobody reads it, and would take what is given back.
      before?.end.abort();
      await before?.ended;
      const signal = AbortSignal.any([stream.signal, live.end.signal]);
      await this.#push(reader, stream, signal, inHand);
    } finally {
      if (this.#live.get(key) === live) this.#live.delete(key);
      over.resolve();
    }
  }

  /** Never more than the agent takes at once, until the signal aborts. */
  async #push(
    reader: Reader,
    stream: EventStream,
    signal: AbortSignal,
    inHand: readonly string[],
  ): Promise<void> {
    const { agents, ledger, store } = this.#parts;
    const { agent, capacity, session } = reader;
    const out = new Set(inHand);
    let proceed = () => {};
    const stop = store.onCommitted(({ changed }) => {
      for (const id of changed) if (out.delete(id)) proceed();
    });
    signal.addEventListener("abort", () => proceed(), { once: true });
    const leave = agents.connected(agent);
    try {
      if (session !== undefined && !signal.aborted) {
        const kept = new Set(await ledger.release(agent, session, inHand));
        for (const id of inHand) if (!kept.has(id)) out.delete(id);
      }
      while (!signal.aborted) {
        if (out.size >= capacity) {
          await new Promise<void>((resolve) => {
            proceed = resolve;
          });
          continue;
        }
        const limit = Math.min(PAGE, capacity - out.size);
        const claim = { by: agent, limit, waitMs: WAIT_MS, leaseMs: LEASE_MS, session };
        for (const command of await ledger.claim(agent, claim, signal)) {
          out.add(command.effect_id);
          stream.send(command, command.effect_id, "command");
        }
      }
    } finally {
      stop();
      leave();
    }
  }
}
