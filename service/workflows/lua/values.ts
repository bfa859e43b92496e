import type { Json, JsonObject } from "../../contract/common.ts";
import { limits } from "../../contract/common.ts";
import {
  constant,
  LUA_TLNGSTR,
  LUA_TNUMFLT,
  type LuaState,
  lobject,
  lstring,
  ltable,
  lua,
  type Table,
  type TString,
  type TValue,
  toBytes,
  toDisplayText,
  toText,
} from "./vm.ts";

/** A value that cannot cross between Lua and JSON; the message names the key. */
export class ValueError extends Error {}

const MAX_DEPTH = 64;
const NIL = new lobject.TValue(lua.LUA_TNIL, null);

/** JSON's null inside a list, where nil would leave a hole. `signalbox.null` in Lua. */
const nullValue = {};
const NULL = new lobject.TValue(lua.LUA_TLIGHTUSERDATA, nullValue);

/** Keys of events repeat; the cache spares making and hashing them again. Cleared when full. */
const keys = new Map<string, TValue>();
const MAX_CACHED_KEYS = 5_000;

/** The metatable that marks a table as a list, so that an empty one comes back as `[]`. One for each state. */
const arrayMarks = new WeakMap<object, Table>();

const globalOf = (L: LuaState) => (L as unknown as { l_G: object }).l_G;

/** Prepares a state for the functions below. */
export function installValues(L: LuaState): void {
  lua.lua_createtable(L, 0, 0);
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, constant("__metatable"));
  arrayMarks.set(globalOf(L), lua.lua_topointer(L, -1) as Table);
  lua.lua_pop(L, 1);

  lua.lua_pushlightuserdata(L, nullValue);
  lua.lua_createtable(L, 0, 0);
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, constant("__metatable"));
  lua.lua_pushcfunction(L, (state) => {
    lua.lua_pushstring(state, constant("null"));
    return 1;
  });
  lua.lua_setfield(L, -2, constant("__tostring"));
  lua.lua_setmetatable(L, -2);
  lua.lua_pop(L, 1);
}

export function pushNull(L: LuaState): void {
  lobject.pushobj2s(L, NULL);
}

/** Marks the table at `index` as a list. False if it has a metatable of its own. */
export function markArray(L: LuaState, index: number): boolean {
  const table = lua.lua_topointer(L, index) as Table;
  const mark = arrayMarks.get(globalOf(L)) ?? null;
  if (table.metatable !== null && table.metatable !== mark) return false;
  table.metatable = mark;
  return true;
}

/**
 * Pushes a JSON value: numbers as doubles, objects and lists as new tables. Null is nil, left out of objects, and
 * `signalbox.null` in lists.
 * @throws ValueError when it is nested deeper than 64
 */
export function pushJson(L: LuaState, value: Json): void {
  lobject.pushobj2s(L, toLua(L, value, 0));
}

function toLua(L: LuaState, value: Json, depth: number): TValue {
  switch (typeof value) {
    case "string":
      return new lobject.TValue(LUA_TLNGSTR, new lstring.TString(null, toBytes(value)));
    case "number":
      return new lobject.TValue(LUA_TNUMFLT, value);
    case "boolean":
      return new lobject.TValue(lua.LUA_TBOOLEAN, value);
  }
  if (value === null || value === undefined) return NIL;
  if (depth >= MAX_DEPTH) throw new ValueError(`the value is nested deeper than ${MAX_DEPTH} levels`);
  const table = ltable.luaH_new(L);
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      ltable.luaH_setint(table, index + 1, item === null ? NULL : toLua(L, item, depth + 1));
    });
    table.metatable = arrayMarks.get(globalOf(L)) ?? null;
  } else {
    for (const key of Object.keys(value)) {
      const field = value[key];
      if (field === null || field === undefined) continue;
      ltable.luaH_setfrom(L, table, toKey(key), toLua(L, field, depth + 1));
    }
  }
  return new lobject.TValue(lua.LUA_TTABLE, table);
}

function toKey(text: string): TValue {
  let key = keys.get(text);
  if (!key) {
    key = new lobject.TValue(LUA_TLNGSTR, new lstring.TString(null, toBytes(text)));
    if (keys.size >= MAX_CACHED_KEYS) keys.clear();
    if (text.length <= 64) keys.set(text, key);
  }
  return key;
}

interface Reading {
  L: LuaState;
  /** Tables above this one, to find a table inside itself. */
  above: Table[];
  bytesLeft: number;
}

/**
 * The JSON value at `index`. `what` is how messages call it, such as `payload`.
 * @throws ValueError that names the key: functions, mixed or sparse tables, invalid UTF-8, tables in themselves,
 * nesting over 64, NaN and infinity, more than the largest event
 */
export function readJson(L: LuaState, index: number, what: string): Json {
  lua.lua_pushvalue(L, index);
  const value = L.stack[L.top - 1] ?? NIL;
  lua.lua_pop(L, 1);
  return readStored(L, value, what);
}

/** Like `readJson`, for a value in hand. */
export function readStored(L: LuaState, value: TValue, what: string): Json {
  return fromLua({ L, above: [], bytesLeft: limits.eventBytes }, value, what);
}

/** Like `readJson`, for what must be an object. `{}` is one. */
export function readObject(L: LuaState, index: number, what: string): JsonObject {
  const value = readJson(L, index, what);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ValueError(`${what} must be a table with named fields, not ${describe(value)}`);
  }
  return value;
}

function describe(value: Json): string {
  if (value === null) return "nil";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function fromLua(reading: Reading, value: TValue, path: string): Json {
  const type = value.type & 0x0f;
  spend(reading, 8);
  switch (type) {
    case lua.LUA_TNIL:
      return null;
    case lua.LUA_TBOOLEAN:
      return Boolean(value.value);
    case lua.LUA_TNUMBER:
      return fromNumber(value.value as number, path);
    case lua.LUA_TSTRING:
      return fromString(reading, (value.value as TString).realstring, path);
    case lua.LUA_TTABLE:
      return fromTable(reading, value.value as Table, path);
  }
  if (value.value === nullValue) return null;
  const name = toDisplayText(lua.lua_typename(reading.L, type));
  throw new ValueError(`${path} is a ${name}, which JSON can't hold`);
}

function fromNumber(value: number, path: string): number {
  if (!Number.isFinite(value)) throw new ValueError(`${path} is ${value}, which JSON can't hold`);
  return value === 0 ? 0 : value;
}

function fromString(reading: Reading, bytes: Uint8Array, path: string): string {
  spend(reading, bytes.length);
  const text = toText(bytes);
  if (text === undefined) throw new ValueError(`${path} is not valid UTF-8`);
  return text;
}

function spend(reading: Reading, bytes: number): void {
  reading.bytesLeft -= bytes;
  if (reading.bytesLeft < 0) throw new ValueError(`the value is larger than ${limits.eventBytes} bytes`);
}

function fromTable(reading: Reading, table: Table, path: string): Json {
  if (reading.above.includes(table)) throw new ValueError(`${path} contains itself`);
  if (reading.above.length >= MAX_DEPTH) {
    throw new ValueError(`${path} is nested deeper than ${MAX_DEPTH} levels`);
  }
  const isMarked = table.metatable !== null && table.metatable === arrayMarks.get(globalOf(reading.L));
  const first = table.f;
  reading.above.push(table);
  const isList = isMarked || (first !== undefined && (first.key.type & 0x0f) === lua.LUA_TNUMBER);
  const result = isList ? fromList(reading, table, path) : fromRecord(reading, table, path);
  reading.above.pop();
  return result;
}

function fromList(reading: Reading, table: Table, path: string): Json[] {
  const items: Json[] = [];
  let count = 0;
  let highest = 0;
  for (let entry = table.f; entry; entry = entry.n) {
    const key = entry.key.value;
    if ((entry.key.type & 0x0f) !== lua.LUA_TNUMBER || typeof key !== "number") {
      throw new ValueError(`${path} mixes a list with the named field ${keyText(reading.L, entry.key)}`);
    }
    if (!Number.isInteger(key) || key < 1) {
      throw new ValueError(`${path} has the key ${key}; a list's keys are 1, 2, 3, …`);
    }
    count++;
    highest = Math.max(highest, key);
    // A sparse list would make JavaScript allocate up to its highest key.
    if (key <= reading.bytesLeft) items[key - 1] = fromLua(reading, entry.value, `${path}[${key}]`);
  }
  if (count !== highest) {
    let hole = 1;
    while (items[hole - 1] !== undefined) hole++;
    throw new ValueError(
      `${path} has nothing at ${hole} but something at ${highest}; fill it with signalbox.null`,
    );
  }
  return items;
}

function fromRecord(reading: Reading, table: Table, path: string): JsonObject {
  const record: JsonObject = {};
  for (let entry = table.f; entry; entry = entry.n) {
    if ((entry.key.type & 0x0f) !== lua.LUA_TSTRING) {
      const name = keyText(reading.L, entry.key);
      throw new ValueError(`${path} mixes named fields with the key ${name}`);
    }
    const key = fromString(reading, (entry.key.value as TString).realstring, `a key of ${path}`);
    const value = fromLua(reading, entry.value, `${path}.${key}`);
    if (key === "__proto__") {
      Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
    } else {
      record[key] = value;
    }
  }
  return record;
}

function keyText(L: LuaState, key: TValue): string {
  const type = key.type & 0x0f;
  if (type === lua.LUA_TSTRING) return `"${toDisplayText((key.value as TString).realstring)}"`;
  if (type === lua.LUA_TNUMBER || type === lua.LUA_TBOOLEAN) return String(key.value);
  return `(a ${toDisplayText(lua.lua_typename(L, type))})`;
}
