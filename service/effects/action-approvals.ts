import { agentName } from "../contract/agent-name.ts";
import type { JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Clock } from "../lib/clock.ts";
import type { Store } from "../store/store.ts";
import { originOf } from "./policy.ts";

interface GivenApproval {
  action: string;
  /** What is approved: the digest of its identity. */
  sha256: string;
  by: string;
  /** The identity, for whoever reads the audit trail. */
  detail: JsonObject;
}

/** Approvals of actions ahead of their first run. The audit trail is where they stand. */
export class ActionApprovals {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor({ store, clock }: { store: Store; clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws SignalboxError `forbidden`: agents, models and workflows do not approve */
  async approve({ action, sha256, by, detail }: GivenApproval): Promise<void> {
    const isProgram = ["workflow", "model"].includes(originOf(by));
    const isAgent = (await this.#store.getAgent(agentName(by))) !== null;
    if (isProgram || isAgent)
      throw new SignalboxError("forbidden", `${by} can't approve an action: a person has to`);
    await this.#store.recordAudit({
      ...{ kind: "approved", actor: by, effect_id: keyOf(action), sha256, time_ms: this.#clock.nowMs() },
      detail,
    });
  }

  /** Who approved exactly this; null when nobody did. */
  async find(action: string, sha256: string): Promise<string | null> {
    const entries = await this.#store.listAudit({ effect_id: keyOf(action), after: 0, limit: 1_000 });
    return entries.findLast((entry) => entry.sha256 === sha256)?.actor ?? null;
  }
}

const keyOf = (action: string) => `action:${action}`;
