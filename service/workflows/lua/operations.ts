import type { LogLine } from "../../contract/workflows.ts";
import { idFromKey } from "../../lib/ids.ts";
import type { Activity, WaitEnd } from "./activity.ts";
import type { JournalEntry } from "./host.ts";
import type { StoredValue } from "./sandbox.ts";
import type { StateStore } from "./state-store.ts";
import { currentLine, type LuaState, lua, raise } from "./vm.ts";

/** What the API works on; one for each loaded workflow. */
export interface ApiContext {
  readonly name: string;
  readonly state: StateStore;
  /** The run whose handler computes just now; null while the file loads. */
  activity(): Activity | null;
  addHandler(handler: NewHandler): void;
  log(level: LogLine["level"], message: string, line: number | null): void;
  /** Ends the run with this error, which Lua can't catch. */
  abort(L: LuaState, error: Error): never;
}

export interface NewHandler {
  pattern: string | null;
  every_ms: number | null;
  line: number;
  fn: StoredValue;
}

/** The run that computes, or a Lua error while the file loads. */
export function running(L: LuaState, context: ApiContext, what: string): Activity {
  return context.activity() ?? raise(L, `${what} works only in a handler, not while the file loads`);
}

export function record(
  L: LuaState,
  context: ApiContext,
  activity: Activity,
  operation: Parameters<Activity["record"]>[1],
): JournalEntry | undefined {
  try {
    return activity.record(currentLine(L), operation);
  } catch (error) {
    return context.abort(L, error as Error);
  }
}

/** The id of the effect that the next operation makes. */
export function effectId(activity: Activity): string {
  return idFromKey("eff", activity.request.now_ms, activity.nextEffectKey);
}

/** The run that computes, where it may wait; a Lua error elsewhere. */
export function waiting(L: LuaState, context: ApiContext, path: string): Activity {
  const activity = running(L, context, path);
  if (!lua.lua_isyieldable(L)) {
    raise(L, `${path} can't wait here: inside the callback of table.sort, string.gsub or a __tostring`);
  }
  return activity;
}

/** Leaves the coroutine until the run goes on, unless the journal knows the end. */
export function wait(
  L: LuaState,
  activity: Activity,
  entry: JournalEntry | undefined,
  finish: (L: LuaState, end: WaitEnd) => number,
): number {
  if (entry?.end) return finish(L, entry.end);
  activity.isWaiting = true;
  return lua.lua_yieldk(L, 0, 0, (state) => {
    const end = activity.end ?? raise(state, "this wait has no end");
    return finish(state, end);
  });
}
