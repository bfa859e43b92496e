import { createRequire } from "node:module";
import { type Issue, type Order, RULE } from "./handler.ts";

type LuaState = object;
type LuaFunction = (L: LuaState) => number;
type Bytes = Uint8Array;

/** The part of the package that this file uses; the product declares what it uses itself. */
interface Fengari {
  lua: {
    LUA_OK: number;
    lua_createtable(L: LuaState, items: number, fields: number): void;
    lua_getfield(L: LuaState, index: number, name: Bytes): number;
    lua_getglobal(L: LuaState, name: Bytes): number;
    lua_pcall(L: LuaState, given: number, returned: number, handler: number): number;
    lua_pop(L: LuaState, count: number): void;
    lua_pushcfunction(L: LuaState, fn: LuaFunction): void;
    lua_pushnumber(L: LuaState, value: number): void;
    lua_pushstring(L: LuaState, value: Bytes): void;
    lua_pushvalue(L: LuaState, index: number): void;
    lua_rawgeti(L: LuaState, index: number, place: number): number;
    lua_rawlen(L: LuaState, index: number): number;
    lua_rawseti(L: LuaState, index: number, place: number): void;
    lua_setfield(L: LuaState, index: number, name: Bytes): void;
    lua_setglobal(L: LuaState, name: Bytes): void;
    lua_tojsstring(L: LuaState, index: number): string | null;
    lua_tonumber(L: LuaState, index: number): number;
  };
  lauxlib: {
    luaL_loadstring(L: LuaState, source: Bytes): number;
    luaL_newstate(): LuaState;
    luaL_requiref(L: LuaState, name: Bytes, open: LuaFunction, isGlobal: number): void;
  };
  lualib: Record<"luaopen_base" | "luaopen_string" | "luaopen_table", LuaFunction>;
}

const { lua, lauxlib, lualib } = createRequire(import.meta.url)("fengari") as Fengari;
const bytes = (text: string) => new TextEncoder().encode(text);

/** The same rule in fengari alone, as its README shows it: no sandbox, no limits, fields set one by one. */
export function openBareFengari(): (issue: Issue) => Order {
  const L = lauxlib.luaL_newstate();
  for (const [name, open] of [
    ["_G", lualib.luaopen_base],
    ["string", lualib.luaopen_string],
    ["table", lualib.luaopen_table],
  ] as const) {
    lauxlib.luaL_requiref(L, bytes(name), open, 1);
    lua.lua_pop(L, 1);
  }
  let order: Order = { repository: "", number: 0, labels: [] };
  lua.lua_createtable(L, 0, 2);
  lua.lua_pushcfunction(L, (state: LuaState) => {
    lua.lua_pushvalue(state, 2);
    lua.lua_setglobal(state, bytes("rule"));
    return 0;
  });
  lua.lua_setfield(L, -2, bytes("on"));
  lua.lua_pushcfunction(L, (state: LuaState) => {
    order = readOrder(state, 3);
    return 0;
  });
  lua.lua_setfield(L, -2, bytes("command"));
  lua.lua_setglobal(L, bytes("sekia"));
  const failed = lauxlib.luaL_loadstring(L, bytes(RULE)) || lua.lua_pcall(L, 0, 0, 0);
  if (failed) throw new Error(lua.lua_tojsstring(L, -1) ?? "the rule did not load");
  return (issue) => {
    lua.lua_getglobal(L, bytes("rule"));
    pushValue(L, { type: "github.issue.opened", payload: issue });
    if (lua.lua_pcall(L, 1, 0, 0) !== lua.LUA_OK) throw new Error(lua.lua_tojsstring(L, -1) ?? "");
    return order;
  };
}

function pushValue(L: LuaState, value: unknown): void {
  if (typeof value === "number") lua.lua_pushnumber(L, value);
  else if (typeof value === "string") lua.lua_pushstring(L, bytes(value));
  else if (Array.isArray(value)) {
    lua.lua_createtable(L, value.length, 0);
    for (const [index, item] of value.entries()) {
      pushValue(L, item);
      lua.lua_rawseti(L, -2, index + 1);
    }
  } else {
    lua.lua_createtable(L, 0, 0);
    for (const [key, item] of Object.entries(value as object)) {
      pushValue(L, item);
      lua.lua_setfield(L, -2, bytes(key));
    }
  }
}

function readOrder(L: LuaState, index: number): Order {
  const labels: string[] = [];
  lua.lua_getfield(L, index, bytes("repository"));
  const repository = lua.lua_tojsstring(L, -1) ?? "";
  lua.lua_getfield(L, index, bytes("number"));
  const number = lua.lua_tonumber(L, -1);
  lua.lua_getfield(L, index, bytes("labels"));
  for (let at = 1; at <= lua.lua_rawlen(L, -1); at++) {
    lua.lua_rawgeti(L, -1, at);
    labels.push(lua.lua_tojsstring(L, -1) ?? "");
    lua.lua_pop(L, 1);
  }
  lua.lua_pop(L, 3);
  return { repository, number, labels };
}
