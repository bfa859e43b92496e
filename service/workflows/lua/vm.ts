import "./fengari-patches.ts";
import { isAscii, isUtf8 } from "node:buffer";
import fengari, { type LuaState } from "fengari";
import defs from "fengari/src/defs.js";
import ldebug from "fengari/src/ldebug.js";
import lobject, { type TValue } from "fengari/src/lobject.js";
import lstring from "fengari/src/lstring.js";
import ltable from "fengari/src/ltable.js";
import { MAX_STRING_BYTES, onLongString } from "./fengari-patches.ts";

export type { LuaContinuation, LuaFunction, LuaState } from "fengari";

export type { TValue } from "fengari/src/lobject.js";
export type { TString } from "fengari/src/lstring.js";
export type { Table } from "fengari/src/ltable.js";
/** Fengari's modules load each other in circles and only in one order, so they are handed out here. */
export { lobject, lstring, ltable };

/** Fengari's C-like interface, as patched. */
export const { lua, lauxlib, lualib } = fengari;

export const { LUA_TNUMINT, LUA_TNUMFLT, LUA_TLNGSTR } = defs.constant_types;
let compiling = false;

/**
 * One kind of number, as in Lua 5.1 and in Sekia (B7): doubles. Fengari's integers have 32 bits and wrap without a
 * word, which `event.time * 1000` would meet. The compiler alone keeps them, for its own tables.
 */
lobject.TValue.prototype.ttisinteger = function ttisinteger(this: TValue) {
  return compiling && this.type === LUA_TNUMINT;
};
lobject.TValue.prototype.ttisfloat = function ttisfloat(this: TValue) {
  return this.type === LUA_TNUMFLT || (!compiling && this.type === LUA_TNUMINT);
};
const readNumber = lobject.luaO_str2num;
lobject.luaO_str2num = (bytes, into) => {
  const length = readNumber(bytes, into);
  if (into.type === LUA_TNUMINT) into.type = LUA_TNUMFLT;
  return length;
};

const setInteger = ltable.luaH_setint;
/**
 * `{ "a", "b", "c" }` is filled from its end, and `pairs` goes by the order of filling; so a new entry goes before
 * the one that follows it, and lists are gone through from 1 as in any other Lua.
 */
ltable.luaH_setint = (table, key, value) => {
  setInteger(table, key, value);
  const [added, next] = [table.l, table.strong.get(key + 1)];
  if (!next || !added?.p || added.key.value !== key) return;
  table.l = added.p;
  added.p.n = undefined;
  added.p = next.p;
  added.n = next;
  if (next.p) next.p.n = added;
  else table.f = added;
  next.p = added;
};

onLongString.raise = (L) => {
  const message = `string is too long (the limit is ${MAX_STRING_BYTES} bytes)`;
  if (L === null) throw new RangeError(message);
  ldebug.luaG_runerror(L, toBytes(message));
};

const encoder = new TextEncoder();
const constants = new Map<string, Uint8Array>();

/** UTF-8 bytes of a text. */
export function toBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The same bytes each time; for the names in this program's own text, never for a workflow's. */
export function constant(text: string): Uint8Array {
  let bytes = constants.get(text);
  if (!bytes) {
    bytes = toBytes(text);
    constants.set(text, bytes);
  }
  return bytes;
}

/** Text of UTF-8 bytes, or undefined if they are not UTF-8. */
export function toText(bytes: Uint8Array): string | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isAscii(bytes)) return view.toString("latin1");
  return isUtf8(bytes) ? view.toString("utf8") : undefined;
}

/** Text for people: what is not UTF-8 becomes a replacement character. */
export function toDisplayText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

export function typeName(L: LuaState, index: number): string {
  return toDisplayText(lua.lua_typename(L, lua.lua_type(L, index)));
}

/** Raises a Lua error whose message begins with the place of the Lua code that called. */
export function raise(L: LuaState, message: string): never {
  lauxlib.luaL_where(L, 1);
  lua.lua_pushstring(L, toBytes(message));
  lua.lua_concat(L, 2);
  return lua.lua_error(L);
}

/** Line of the innermost Lua code that runs, or null. */
export function currentLine(L: LuaState): number | null {
  const info = new lua.lua_Debug();
  for (let level = 0; lua.lua_getstack(L, level, info); level++) {
    lua.lua_getinfo(L, constant("l"), info);
    if (info.currentline > 0) return info.currentline;
  }
  return null;
}

/** File and line of the innermost Lua code that runs. */
export function currentPlace(L: LuaState): { file: string; line: number } {
  const info = new lua.lua_Debug();
  for (let level = 0; lua.lua_getstack(L, level, info); level++) {
    lua.lua_getinfo(L, constant("Sl"), info);
    if (info.currentline > 0)
      return { file: toDisplayText(info.short_src).replace(/\0.*$/s, ""), line: info.currentline };
  }
  return { file: "?", line: 0 };
}

/** Compiles a text and leaves the function, or the error message, on the stack. Never bytecode. */
export function compile(L: LuaState, source: string, file: string): boolean {
  let rest: Uint8Array | null = toBytes(source);
  const reader = () => {
    const bytes = rest;
    rest = null;
    return bytes;
  };
  compiling = true;
  try {
    return lua.lua_load(L, reader, null, toBytes(`@${file}`), constant("t")) === lua.LUA_OK;
  } finally {
    compiling = false;
  }
}
