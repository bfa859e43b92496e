import type { LoadedConfig } from "./config-load.ts";
import type { EffectKind } from "./effects/kinds/kind.ts";
import type { EventLog } from "./events/log.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import type { Store } from "./store/store.ts";

/** What kinds of effect are made from. */
export interface KindParts {
  loaded: LoadedConfig;
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
}

/** Every kind of effect that this service carries out itself. A new one is a line here. */
export function effectKinds(_parts: KindParts): EffectKind[] {
  return [];
}
