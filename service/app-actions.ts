import { join } from "node:path";
import { Catalogs } from "./actions/catalogs.ts";
import { createExecutors } from "./actions/executors/executors.ts";
import { Results } from "./actions/results.ts";
import type { LoadedConfig } from "./config-load.ts";
import { ActionApprovals } from "./effects/action-approvals.ts";
import { type ActionKind, actionKind } from "./effects/kinds/action/index.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import type { Closeable } from "./lib/scope.ts";
import type { Store } from "./store/store.ts";
import type { LuaHost } from "./workflows/lua/host.ts";

/** Everything there is of actions. */
export interface ActionParts extends Closeable {
  readonly catalogs: Catalogs;
  readonly kind: ActionKind;
  readonly results: Results;
  readonly approvals: ActionApprovals;
  /** Whoever follows what actions say while they run. */
  onProgress: (effect_id: string, action: string, text: string) => void;
}

interface Options {
  loaded: LoadedConfig;
  store: Store;
  clock: Clock;
  log: Logger;
  host: LuaHost;
}

/** Loads the repository by going once through what its `init.lua` returns. */
const PROBE = "for _ in pairs(actions) do break end";
const MISSING =
  "There is no actions repository: `signalbox actions init` makes one, or set `actions.path` to yours";

export async function openActions({ loaded, store, clock, log, host }: Options): Promise<ActionParts> {
  const { config, paths } = loaded;
  const cacheDir = join(paths.cacheDir, "actions");
  const catalogs = await Catalogs.open({
    ...{ source: config.actions.path ?? paths.actionsDir, isOptional: config.actions.path === undefined },
    ...{ missing: MISSING, cacheDir, env: process.env, clock, log },
    ...{ hotReload: config.actions.hot_reload, debounceMs: config.actions.debounce_ms },
    read: (library) =>
      host.withScratch(
        { name: "actions", file: "actions", source: PROBE, state: {}, library },
        async (scratch) => scratch.loaded.actions,
      ),
  });
  const results = new Results(join(cacheDir, "results"));
  const approvals = new ActionApprovals({ store, clock });
  const parts: ActionParts = {
    ...{ catalogs, results, approvals },
    kind: actionKind({
      ...{ catalogs, results, clock },
      executors: createExecutors({ cacheDir, log, env: process.env }),
      onProgress: (...progress) => parts.onProgress(...progress),
      isApproved: async (action, sha256) => (await approvals.find(action, sha256)) !== null,
    }),
    onProgress: () => {},
    close: () => catalogs.close(),
  };
  return parts;
}
