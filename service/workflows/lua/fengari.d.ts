/** The part of fengari 0.1.5 that this folder uses; the package brings no types of its own. */

declare module "fengari/src/luaconf.js" {
  const luaconf: {
    LUA_COMPAT_FLOATSTRING: boolean;
    LUA_IDSIZE: number;
    LUAI_MAXSTACK: number;
    lua_number2str(value: number): string;
  };
  export default luaconf;
}

declare module "fengari/src/lstring.js" {
  import type { LuaState } from "fengari";
  export interface TString {
    hash: string | null;
    realstring: Uint8Array;
  }
  const lstring: {
    TString: new (L: LuaState | null, bytes: Uint8Array) => TString;
    luaS_hash(bytes: Uint8Array): string;
    luaS_hashlongstr(text: TString): string;
    luaS_bless(L: LuaState | null, bytes: Uint8Array): TString;
    luaS_new(L: LuaState | null, bytes: Uint8Array): TString;
  };
  export default lstring;
}

declare module "fengari/src/lobject.js" {
  import type { LuaState } from "fengari";
  export class TValue {
    type: number;
    value: unknown;
    constructor(type: number, value: unknown);
    ttisinteger(): boolean;
    ttisfloat(): boolean;
  }
  const lobject: {
    TValue: typeof TValue;
    luaO_str2num(bytes: Uint8Array, into: TValue): number;
    pushobj2s(L: LuaState, value: TValue): void;
  };
  export default lobject;
}

declare module "fengari/src/ltable.js" {
  import type { LuaState } from "fengari";
  import type { TValue } from "fengari/src/lobject.js";
  /** Entries hang together in the order they were added: `p` previous, `n` next. */
  export interface Entry {
    key: TValue;
    value: TValue;
    p: Entry | undefined;
    n: Entry | undefined;
  }
  /** `f` first, `l` last entry. */
  export interface Table {
    f: Entry | undefined;
    l: Entry | undefined;
    strong: Map<unknown, Entry>;
    metatable: Table | null;
  }
  const ltable: {
    Table: new (L: LuaState) => Table;
    luaH_new(L: LuaState): Table;
    luaH_setfrom(L: LuaState, table: Table, key: TValue, value: TValue): void;
    luaH_setint(table: Table, key: number, value: TValue): void;
  };
  export default ltable;
}

declare module "fengari/src/defs.js" {
  const defs: { constant_types: { LUA_TLNGSTR: number; LUA_TNUMINT: number; LUA_TNUMFLT: number } };
  export default defs;
}

declare module "fengari/src/ldebug.js" {
  import type { LuaState } from "fengari";

  const ldebug: { luaG_runerror(L: LuaState, format: Uint8Array): never };
  export default ldebug;
}

declare module "fengari" {
  import type { TValue } from "fengari/src/lobject.js";
  export interface LuaState {
    stack: TValue[];
    top: number;
    allowhook: number;
    hookcount: number;
  }
  export interface LuaDebug {
    currentline: number;
    short_src: Uint8Array;
  }
  export type LuaFunction = (L: LuaState) => number;
  export type LuaContinuation = (L: LuaState, status: number, context: number) => number;

  const fengari: {
    lua: {
      LUA_OK: number;
      LUA_YIELD: number;
      LUA_MULTRET: number;
      LUA_MASKCOUNT: number;
      LUA_REGISTRYINDEX: number;
      LUA_TNONE: number;
      LUA_TNIL: number;
      LUA_TBOOLEAN: number;
      LUA_TLIGHTUSERDATA: number;
      LUA_TNUMBER: number;
      LUA_TSTRING: number;
      LUA_TTABLE: number;
      LUA_TFUNCTION: number;
      lua_Debug: new () => LuaDebug;
      lua_atnativeerror(L: LuaState, handler: LuaFunction): LuaFunction | null;
      lua_call(L: LuaState, args: number, results: number): void;
      lua_concat(L: LuaState, count: number): void;
      lua_createtable(L: LuaState, list: number, record: number): void;
      lua_error(L: LuaState): never;
      lua_getfield(L: LuaState, index: number, key: Uint8Array): number;
      lua_getglobal(L: LuaState, name: Uint8Array): number;
      lua_geti(L: LuaState, index: number, key: number): number;
      lua_getinfo(L: LuaState, what: Uint8Array, into: LuaDebug): number;
      lua_getmetatable(L: LuaState, index: number): boolean;
      lua_getstack(L: LuaState, level: number, into: LuaDebug): number;
      lua_gettable(L: LuaState, index: number): number;
      lua_gettop(L: LuaState): number;
      lua_insert(L: LuaState, index: number): void;
      lua_isyieldable(L: LuaState): boolean;
      lua_load(
        L: LuaState,
        reader: (L: LuaState, data: unknown) => Uint8Array | null,
        data: unknown,
        name: Uint8Array,
        mode: Uint8Array,
      ): number;
      lua_newthread(L: LuaState): LuaState;
      lua_newuserdata(L: LuaState, size: number): Record<string, unknown>;
      lua_pcallk(
        L: LuaState,
        args: number,
        results: number,
        handler: number,
        context: number,
        then: LuaContinuation,
      ): number;
      lua_pop(L: LuaState, count: number): void;
      lua_pushboolean(L: LuaState, value: boolean): void;
      lua_pushcfunction(L: LuaState, fn: LuaFunction): void;
      lua_pushlightuserdata(L: LuaState, value: object): void;
      lua_pushnil(L: LuaState): void;
      lua_pushnumber(L: LuaState, value: number): void;
      lua_pushstring(L: LuaState, bytes: Uint8Array): void;
      lua_pushvalue(L: LuaState, index: number): void;
      lua_rawset(L: LuaState, index: number): void;
      lua_rawlen(L: LuaState, index: number): number;
      lua_replace(L: LuaState, index: number): void;
      lua_resume(L: LuaState, from: LuaState | null, args: number): number;
      lua_rotate(L: LuaState, index: number, count: number): void;
      lua_setfield(L: LuaState, index: number, key: Uint8Array): void;
      lua_setglobal(L: LuaState, name: Uint8Array): void;
      lua_sethook(
        L: LuaState,
        hook: ((L: LuaState, info: LuaDebug) => void) | null,
        mask: number,
        count: number,
      ): void;
      lua_setmetatable(L: LuaState, index: number): boolean;
      lua_settop(L: LuaState, top: number): void;
      lua_toboolean(L: LuaState, index: number): boolean;
      lua_tonumberx(L: LuaState, index: number): number | false;
      lua_topointer(L: LuaState, index: number): unknown;
      lua_tostring(L: LuaState, index: number): Uint8Array | null;
      lua_touserdata(L: LuaState, index: number): unknown;
      lua_type(L: LuaState, index: number): number;
      lua_typename(L: LuaState, type: number): Uint8Array;
      lua_upvalueindex(index: number): number;
      lua_yield(L: LuaState, results: number): void;
      lua_yieldk(L: LuaState, results: number, context: number, then: LuaContinuation | null): number;
    };
    lauxlib: {
      luaL_argerror(L: LuaState, argument: number, message: Uint8Array): never;
      luaL_checkany(L: LuaState, argument: number): void;
      luaL_checktype(L: LuaState, argument: number, type: number): void;
      luaL_newstate(): LuaState;
      luaL_requiref(L: LuaState, name: Uint8Array, open: LuaFunction, global: number): void;
      luaL_tolstring(L: LuaState, index: number): Uint8Array;
      luaL_traceback(L: LuaState, of: LuaState, message: Uint8Array | null, level: number): void;
      luaL_where(L: LuaState, level: number): void;
    };
    lualib: {
      luaopen_base: LuaFunction;
      luaopen_table: LuaFunction;
      luaopen_string: LuaFunction;
      luaopen_math: LuaFunction;
    };
  };
  export default fengari;
}
