import { MAX_STRING_BYTES } from "./fengari-patches.ts";
import { installValues } from "./values.ts";
import {
  constant,
  currentLine,
  type LuaContinuation,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lobject,
  lua,
  lualib,
  raise,
  type Table,
  type TString,
  toBytes,
  toDisplayText,
} from "./vm.ts";

/** What a sandbox asks of the one who runs it. */
export interface SandboxHost {
  print(message: string, line: number | null): void;
  /** A number in [0, 1), the same sequence each time a run is repeated. */
  random(): number;
  seedRandom(seed: number): void;
  /** True once the code must end: errors then pass through `pcall`. */
  isEnding(): boolean;
}

/** S28, plus what can reach files, compile code or look into functions. */
const removed = ["dofile", "load", "loadfile", "loadstring", "require", "collectgarbage"];

/** Calls that can take long inside one instruction: after such a one the time is looked at at once. */
const slow: Record<string, string[]> = {
  string: ["find", "match", "gsub", "rep", "format", "lower", "upper", "reverse", "byte"],
  table: ["concat", "sort", "insert", "remove", "unpack", "move"],
};

/**
 * A Lua state that holds base, table, string and math, without anything that reaches out of it, and with the words
 * of Lua 5.1 that workflows use. Its functions run under the caller's instruction hook, also after a `pcall`.
 */
export function openSandbox(host: SandboxHost): LuaState {
  const L = lauxlib.luaL_newstate();
  const libraries: [string, LuaFunction][] = [
    ["_G", lualib.luaopen_base],
    ["table", lualib.luaopen_table],
    ["string", lualib.luaopen_string],
    ["math", lualib.luaopen_math],
  ];
  for (const [name, open] of libraries) {
    lauxlib.luaL_requiref(L, toBytes(name), open, 1);
    lua.lua_pop(L, 1);
  }
  lua.lua_atnativeerror(L, describeNativeError);
  for (const name of removed) {
    lua.lua_pushnil(L);
    lua.lua_setglobal(L, constant(name));
  }
  setField(L, "string", "dump", null);
  installValues(L);
  installBase(L, host);
  installMath(L, host);
  installText(L);
  for (const [library, names] of Object.entries(slow)) {
    for (const name of names) wrap(L, library, name, watchTime);
  }
  shim(L);
  lockStrings(L);
  return L;
}

/** Lua sees what JavaScript threw as an ordinary error. */
const describeNativeError: LuaFunction = (L) => {
  const error = lua.lua_touserdata(L, 1);
  const text = error instanceof Error ? error.message : String(error);
  const isStack = error instanceof RangeError && /call stack/i.test(text);
  lauxlib.luaL_where(L, 2);
  lua.lua_pushstring(L, toBytes(isStack ? "stack overflow" : text));
  lua.lua_concat(L, 2);
  return 1;
};

function installBase(L: LuaState, host: SandboxHost): void {
  // Stock pcall disarms the instruction hook of a coroutine for good, so both are built anew (engines.md §3).
  const finish: LuaContinuation = (state, status, extra) => {
    if (status === lua.LUA_OK || status === lua.LUA_YIELD) return lua.lua_gettop(state) - extra;
    state.allowhook = 1;
    if (host.isEnding()) return lua.lua_error(state);
    lua.lua_pushboolean(state, false);
    lua.lua_pushvalue(state, -2);
    return 2;
  };
  setGlobal(L, "pcall", (state) => {
    lauxlib.luaL_checkany(state, 1);
    lua.lua_pushboolean(state, true);
    lua.lua_insert(state, 1);
    const args = lua.lua_gettop(state) - 2;
    return finish(state, lua.lua_pcallk(state, args, lua.LUA_MULTRET, 0, 0, finish), 0);
  });
  setGlobal(L, "xpcall", (state) => {
    const args = lua.lua_gettop(state) - 2;
    lauxlib.luaL_checktype(state, 2, lua.LUA_TFUNCTION);
    lua.lua_pushboolean(state, true);
    lua.lua_pushvalue(state, 1);
    lua.lua_rotate(state, 3, 2);
    return finish(state, lua.lua_pcallk(state, args, lua.LUA_MULTRET, 2, 2, finish), 2);
  });
  setGlobal(L, "print", (state) => {
    const words: string[] = [];
    for (let index = 1; index <= lua.lua_gettop(state); index++) {
      words.push(toDisplayText(lauxlib.luaL_tolstring(state, index)));
      lua.lua_pop(state, 1);
    }
    host.print(words.join("\t"), currentLine(state));
    return 0;
  });
  wrapGlobal(L, "tonumber", (original) => (state) => {
    if (lua.lua_type(state, 2) <= lua.LUA_TNIL) return original(state);
    return numberInBase(state);
  });
}

/** `tonumber(text, base)` without fengari's wrap at 32 bits. */
const numberInBase: LuaFunction = (L) => {
  lauxlib.luaL_checktype(L, 1, lua.LUA_TSTRING);
  const base = lua.lua_tonumberx(L, 2);
  if (base === false || !Number.isInteger(base) || base < 2 || base > 36) {
    return lauxlib.luaL_argerror(L, 2, constant("base out of range"));
  }
  const text = toDisplayText(lua.lua_tostring(L, 1) ?? constant("")).trim();
  const parts = /^([+-]?)([0-9A-Za-z]+)$/.exec(text);
  let value = 0;
  for (const digit of parts?.[2] ?? "!") {
    const number = Number.parseInt(digit, 36);
    value = number < base ? value * base + number : Number.NaN;
  }
  if (Number.isNaN(value)) lua.lua_pushnil(L);
  else lua.lua_pushnumber(L, parts?.[1] === "-" ? -value : value);
  return 1;
};

function installMath(L: LuaState, host: SandboxHost): void {
  // The run's own sequence: a run that starts again after a crash must decide the same.
  setField(L, "math", "random", (state) => {
    const count = lua.lua_gettop(state);
    if (count === 0) {
      lua.lua_pushnumber(state, host.random());
      return 1;
    }
    const low = count === 1 ? 1 : wholeNumber(state, 1);
    const high = wholeNumber(state, count === 1 ? 1 : 2);
    if (low > high) return lauxlib.luaL_argerror(state, count === 1 ? 1 : 2, constant("interval is empty"));
    lua.lua_pushnumber(state, low + Math.floor(host.random() * (high - low + 1)));
    return 1;
  });
  setField(L, "math", "randomseed", (state) => {
    host.seedRandom(wholeNumber(state, 1));
    return 0;
  });
  setField(L, "math", "type", (state) => {
    lauxlib.luaL_checkany(state, 1);
    if (lua.lua_type(state, 1) !== lua.LUA_TNUMBER) lua.lua_pushnil(state);
    else {
      const isWhole = Number.isInteger(lua.lua_tonumberx(state, 1));
      lua.lua_pushstring(state, constant(isWhole ? "integer" : "float"));
    }
    return 1;
  });
}

function wholeNumber(L: LuaState, index: number): number {
  const value = lua.lua_tonumberx(L, index);
  if (value === false || !Number.isFinite(value)) {
    return lauxlib.luaL_argerror(L, index, toBytes("number expected"));
  }
  return Math.floor(value);
}

function installText(L: LuaState): void {
  wrap(L, "string", "rep", (original) => (state) => {
    const length = lua.lua_rawlen(state, 1) + lua.lua_rawlen(state, 3);
    const count = lua.lua_tonumberx(state, 2);
    if (count !== false && length * count > MAX_STRING_BYTES) {
      raise(state, `string.rep would make a string of more than ${MAX_STRING_BYTES} bytes`);
    }
    return original(state);
  });
  wrap(L, "table", "concat", (original) => (state) => {
    if (lua.lua_type(state, 1) === lua.LUA_TTABLE && lua.lua_gettop(state) <= 2) {
      const table = lua.lua_topointer(state, 1) as Table;
      const separator = lua.lua_rawlen(state, 2);
      let bytes = 0;
      for (let entry = table.f; entry; entry = entry.n) {
        if ((entry.value.type & 0x0f) === lua.LUA_TSTRING) {
          bytes += (entry.value.value as TString).realstring.length + separator;
        }
      }
      if (bytes > MAX_STRING_BYTES) {
        raise(state, `table.concat would make a string of more than ${MAX_STRING_BYTES} bytes`);
      }
    }
    return original(state);
  });
  wrap(L, "string", "format", (original) => (state) => {
    formatLargeNumbers(state);
    return original(state);
  });
}

/** Fengari's `%d` refuses what needs more than 32 bits; `%.0f` prints the same digits. */
function formatLargeNumbers(L: LuaState): void {
  const format = lua.lua_type(L, 1) === lua.LUA_TSTRING ? lua.lua_tostring(L, 1) : null;
  if (!format?.includes(0x64) && !format?.includes(0x69)) return;
  let argument = 1;
  let isChanged = false;
  const latin1 = Buffer.from(format.buffer, format.byteOffset, format.length).toString("latin1");
  const changed = latin1.replace(
    /%(%|([-+ #0]*\d*)(\.\d*)?([A-Za-z]))/g,
    (item, all, flags, precision, kind) => {
      if (all === "%") return item;
      argument++;
      if ((kind !== "d" && kind !== "i") || precision !== undefined) return item;
      const value = lua.lua_tonumberx(L, argument);
      if (value === false || !Number.isInteger(value) || Math.abs(value) < 2 ** 31) return item;
      isChanged = true;
      return `%${flags}.0f`;
    },
  );
  if (!isChanged) return;
  lua.lua_pushstring(L, new Uint8Array(Buffer.from(changed, "latin1")));
  lua.lua_replace(L, 1);
}

const watchTime =
  (original: LuaFunction): LuaFunction =>
  (L) => {
    const before = performance.now();
    const results = original(L);
    if (performance.now() - before > 1) L.hookcount = 1;
    return results;
  };

/** Words of Lua 5.1, which Sekia's workflows are written in. */
function shim(L: LuaState): void {
  lua.lua_getglobal(L, constant("table"));
  lua.lua_getfield(L, -1, constant("unpack"));
  lua.lua_setglobal(L, constant("unpack"));
  lua.lua_pop(L, 1);
  setField(L, "table", "getn", (state) => {
    lauxlib.luaL_checktype(state, 1, lua.LUA_TTABLE);
    lua.lua_pushnumber(state, lua.lua_rawlen(state, 1));
    return 1;
  });
  setField(L, "math", "pow", (state) => {
    const [base, exponent] = [lua.lua_tonumberx(state, 1), lua.lua_tonumberx(state, 2)];
    if (base === false) return lauxlib.luaL_argerror(state, 1, constant("number expected"));
    if (exponent === false) return lauxlib.luaL_argerror(state, 2, constant("number expected"));
    lua.lua_pushnumber(state, base ** exponent);
    return 1;
  });
}

/** `getmetatable("")` gives false, so that no script changes what `("x"):upper()` means. */
function lockStrings(L: LuaState): void {
  lua.lua_pushstring(L, constant(""));
  lua.lua_getmetatable(L, -1);
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, constant("__metatable"));
  lua.lua_pop(L, 2);
}

function setGlobal(L: LuaState, name: string, fn: LuaFunction): void {
  lua.lua_pushcfunction(L, fn);
  lua.lua_setglobal(L, constant(name));
}

function setField(L: LuaState, library: string, name: string, fn: LuaFunction | null): void {
  lua.lua_getglobal(L, constant(library));
  if (fn) lua.lua_pushcfunction(L, fn);
  else lua.lua_pushnil(L);
  lua.lua_setfield(L, -2, constant(name));
  lua.lua_pop(L, 1);
}

type Wrapper = (original: LuaFunction) => LuaFunction;

function wrapGlobal(L: LuaState, name: string, wrapper: Wrapper): void {
  lua.lua_getglobal(L, constant(name));
  const original = topFunction(L);
  lua.lua_pop(L, 1);
  setGlobal(L, name, wrapper(original));
}

function wrap(L: LuaState, library: string, name: string, wrapper: Wrapper): void {
  lua.lua_getglobal(L, constant(library));
  lua.lua_getfield(L, -1, constant(name));
  const original = topFunction(L);
  lua.lua_pop(L, 2);
  setField(L, library, name, wrapper(original));
}

function topFunction(L: LuaState): LuaFunction {
  const value = L.stack[L.top - 1]?.value;
  if (typeof value !== "function")
    throw new TypeError("this build of fengari lacks a function of Lua's library");
  return value as LuaFunction;
}

/** The value on top of the stack, to be pushed again later with `pushValue`; taken off. */
export function popValue(L: LuaState): StoredValue {
  const top = L.stack[L.top - 1];
  const stored = new lobject.TValue(top?.type ?? lua.LUA_TNIL, top?.value ?? null);
  lua.lua_pop(L, 1);
  return stored;
}

export type StoredValue = InstanceType<typeof lobject.TValue>;

export function pushValue(L: LuaState, stored: StoredValue): void {
  lobject.pushobj2s(L, stored);
}
