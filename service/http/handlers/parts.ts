import type { Catalogs } from "../../actions/catalogs.ts";
import type { Results } from "../../actions/results.ts";
import type { AgentRegistry } from "../../agents/registry.ts";
import type { Bus } from "../../bus/bus.ts";
import type { Supervisor } from "../../connections/supervisor.ts";
import type { Json } from "../../contract/common.ts";
import type { Delivery, Event } from "../../contract/events.ts";
import type { Info } from "../../contract/system.ts";
import type { ActionApprovals } from "../../effects/action-approvals.ts";
import type { ActionKind } from "../../effects/kinds/action/index.ts";
import type { EffectLedger } from "../../effects/ledger.ts";
import type { PolicyFile } from "../../effects/policy-file.ts";
import type { EventLog } from "../../events/log.ts";
import type { Health } from "../../health/health.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Scheduler } from "../../scheduler/scheduler.ts";
import type { Store } from "../../store/store.ts";
import type { TopicQueue } from "../../topics/queue.ts";
import type { Engine } from "../../workflows/engine.ts";

/** Everything that the routes reach. */
export interface Parts {
  store: Store;
  bus: Bus;
  clock: Clock;
  log: Logger;
  events: EventLog;
  topics: TopicQueue;
  agents: AgentRegistry;
  ledger: EffectLedger;
  policy: PolicyFile;
  actions: {
    catalogs: Catalogs;
    kind: ActionKind;
    results: Results;
    approvals: ActionApprovals;
    onProgress: (effect_id: string, action: string, text: string) => void;
  };
  engine: Engine;
  supervisor: Supervisor;
  scheduler: Scheduler;
  health: Health;
  healthSettings: { enabled: boolean; interval_ms: number; stale_ms: number };
  info: Info;
  /** One of our events in the shape of another system (compat). */
  viewEvent(
    shape: "cloudevents" | "sekia" | "kaiser" | "makiso",
    event: Event,
    delivery: Delivery | null,
    raw: Json | null,
  ): Json;
  /** Where the ingress listens, if it does. */
  ingress(): string | null;
  /** Effective settings, without secrets. */
  settings: {
    files: readonly string[];
    entries: readonly { key: string; value: unknown; origin: string; description: string }[];
    aliases: readonly { name: string; use: string }[];
    warnings: readonly string[];
  };
  retention: { completed_days: number; raw_days: number; pending_days: number };
  /** Begins an orderly stop. */
  stop(): void;
}
