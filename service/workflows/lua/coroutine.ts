import type { LuaLimits } from "./host.ts";
import { pushValue, type StoredValue } from "./sandbox.ts";
import { type LuaState, lua, raise } from "./vm.ts";

/** Instructions between two looks at the clock: some 0.15 ms. */
const HOOK_INSTRUCTIONS = 1_000;

/** Told each time a workflow shows that it can still be interrupted. */
export interface Meter {
  /** @param cpuMs what the running job has computed so far */
  tick(cpuMs: number): void;
}

/** Why code must end at once, whatever it catches. */
export interface Ending {
  reason: "timeout" | "broken";
  message: string;
}

/** Which way a coroutine left: `sliced` gave its turn away, `waiting` called `call` or `after`. */
export type StepResult = "done" | "waiting" | "sliced" | "raised";

/**
 * A piece of Lua that computes in turns. Its instruction hook gives the turn away when it is over, and ends code
 * that computes for too long; `ending` then says why.
 */
export class Coroutine {
  readonly L: LuaState;
  cpuMs = 0;
  ending: Ending | null = null;
  #limits: LuaLimits;
  #meter: Meter;
  #turnStartMs = 0;
  #turnEndMs = 0;
  #arguments: number;

  constructor(main: LuaState, fn: StoredValue, limits: LuaLimits, meter: Meter) {
    this.L = lua.lua_newthread(main);
    lua.lua_pop(main, 1);
    this.#limits = limits;
    this.#meter = meter;
    this.#arguments = 0;
    lua.lua_sethook(this.L, () => this.#look(), lua.LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    pushValue(this.L, fn);
  }

  /** Pushes one more argument for the start. */
  addArgument(push: (L: LuaState) => void): void {
    push(this.L);
    this.#arguments++;
  }

  /** Computes until it ends, waits or `untilMs` (of `performance.now()`) is over. */
  step(untilMs: number, isWaiting: () => boolean): StepResult {
    this.#turnStartMs = performance.now();
    this.#turnEndMs = untilMs;
    const args = this.#arguments;
    this.#arguments = 0;
    const status = lua.lua_resume(this.L, null, args);
    this.cpuMs = this.#computedMs(performance.now());
    if (status === lua.LUA_OK) return "done";
    if (status !== lua.LUA_YIELD) return "raised";
    return isWaiting() ? "waiting" : "sliced";
  }

  /** Raises an error that `pcall` lets through. */
  end(L: LuaState, ending: Ending): never {
    this.ending ??= ending;
    // At every instruction from now on, and in error handlers too: code that swallows errors gets no further.
    lua.lua_sethook(this.L, () => this.#look(), lua.LUA_MASKCOUNT, 1);
    L.allowhook = 1;
    return raise(L, this.ending.message);
  }

  #computedMs(nowMs: number): number {
    // A machine that slept did not compute; a longer stretch without a look would have been stopped from outside.
    return this.cpuMs + Math.min(nowMs - this.#turnStartMs, this.#limits.stallMs + this.#limits.sliceMs * 2);
  }

  #look(): void {
    const L = this.L;
    if (this.ending) this.end(L, this.ending);
    const nowMs = performance.now();
    const cpuMs = this.#computedMs(nowMs);
    this.#meter.tick(cpuMs);
    if (cpuMs > this.#limits.handlerTimeoutMs) {
      this.end(L, {
        reason: "timeout",
        message: `computed for more than ${this.#limits.handlerTimeoutMs} ms`,
      });
    }
    if (nowMs < this.#turnEndMs) return;
    if (lua.lua_isyieldable(L)) {
      lua.lua_yield(L, 0);
    } else if (nowMs - this.#turnEndMs > this.#limits.stallMs) {
      this.end(L, {
        reason: "timeout",
        message: `computed for more than ${this.#limits.stallMs} ms where it can't be interrupted, such as in a callback of table.sort or string.gsub`,
      });
    }
  }
}
