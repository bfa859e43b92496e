import type { ActionLibrary } from "../../actions/repository.ts";
import { popValue, pushValue, type StoredValue } from "./sandbox.ts";
import {
  compile,
  constant,
  type LuaContinuation,
  type LuaState,
  lauxlib,
  lua,
  raise,
  toDisplayText,
} from "./vm.ts";

/** What `require` has loaded in one state, and the function itself. */
export interface Modules {
  /** Calls `require(name)`; its result is on the stack when `then` is called. May yield. */
  load(L: LuaState, name: string, then: (L: LuaState) => number): number;
}

/** A `require` that sees the modules of the library and nothing else: no path, no C, no `package`. */
export function installRequire(L: LuaState, library: ActionLibrary): Modules {
  const loaded = new Map<string, StoredValue>();
  const underWay = new Set<string>();

  const load = (state: LuaState, name: string, then: (L: LuaState) => number): number => {
    const known = loaded.get(name);
    if (known) {
      pushValue(state, known);
      return then(state);
    }
    if (library.problem !== null) return raise(state, library.problem);
    const module = Object.hasOwn(library.modules, name) ? library.modules[name] : undefined;
    if (!module) {
      const path = name.replaceAll(".", "/");
      return raise(
        state,
        `module '${name}' not found: the actions repository has neither ${path}.lua nor ${path}/init.lua`,
      );
    }
    if (underWay.has(name))
      return raise(state, `module '${name}' requires itself, over ${[...underWay].join(", ")}`);
    // A syntax error names its own file and line.
    if (!compile(state, module.source, module.file)) return lua.lua_error(state);
    underWay.add(name);
    const finish: LuaContinuation = (ended, status) => {
      underWay.delete(name);
      if (status !== lua.LUA_OK && status !== lua.LUA_YIELD) {
        // Stock pcall leaves a coroutine without its instruction hook (engines.md §3).
        ended.allowhook = 1;
        return lua.lua_error(ended);
      }
      if (lua.lua_type(ended, -1) === lua.LUA_TNIL) {
        lua.lua_pop(ended, 1);
        lua.lua_pushboolean(ended, true);
      }
      const value = popValue(ended);
      loaded.set(name, value);
      pushValue(ended, value);
      return then(ended);
    };
    // Protected, so that a module that failed is tried anew and not taken for one that requires itself.
    return finish(state, lua.lua_pcallk(state, 0, 1, 0, 0, finish), 0);
  };

  lua.lua_pushcfunction(L, (state) => {
    lauxlib.luaL_checktype(state, 1, lua.LUA_TSTRING);
    const name = toDisplayText(lua.lua_tostring(state, 1) ?? new Uint8Array());
    return load(state, moduleName(name), () => 1);
  });
  lua.lua_setglobal(L, constant("require"));
  return { load };
}

/** `a/b` is `a.b`, as in any Lua. */
function moduleName(text: string): string {
  return text.replaceAll("/", ".");
}
