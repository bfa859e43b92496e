import * as z from "zod";
import {
  type ActionDefinition,
  type CallOptions,
  callOptions,
  DefinitionError,
  type Flavour,
  flavours,
  parseDefinition,
} from "../../actions/definition.ts";
import { schemaFailure } from "../../actions/failure.ts";
import type { ActionLibrary, FoundAction } from "../../actions/repository.ts";
import { mergeDefaults, mismatch } from "../../actions/schema.ts";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { WaitEnd } from "./activity.ts";
import { installRequire, type Modules } from "./modules.ts";
import { type ApiContext, effectId, record, wait, waiting } from "./operations.ts";
import { popValue, pushValue, type StoredValue } from "./sandbox.ts";
import { pushJson, readObject, readStored, ValueError } from "./values.ts";
import {
  constant,
  currentPlace,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lua,
  raise,
  type Table,
  type TString,
  type TValue,
  toBytes,
  toDisplayText,
} from "./vm.ts";

/** One `define_action`; named once the repository's tables are there. */
interface Entry {
  name: string | null;
  readonly definition: ActionDefinition;
  readonly file: string;
  readonly line: number;
}

/** Names of `actions` itself, which no namespace may have. */
const own = ["all"];
const MAX_TABLES = 10_000;
const MAX_PARALLEL = 100;

/** Puts `require`, `define_action`, `tools`, `actions` and `kit` into a state (K3, K4, B19). */
export function installActions(L: LuaState, library: ActionLibrary, context: ApiContext): Actions {
  const modules = installRequire(L, library);
  return new Actions(L, library, modules, context);
}

/** The actions of one state: defined by the repository's files, loaded when one is used for the first time. */
export class Actions {
  readonly #library: ActionLibrary;
  readonly #modules: Modules;
  readonly #context: ApiContext;
  readonly #entries = new WeakMap<LuaFunction, Entry>();
  #root: StoredValue | null = null;
  #found: FoundAction[] = [];

  constructor(L: LuaState, library: ActionLibrary, modules: Modules, context: ApiContext) {
    this.#library = library;
    this.#modules = modules;
    this.#context = context;
    for (const flavour of flavours) {
      const define: LuaFunction = (state) => this.#define(state, flavour);
      const [table, name] = flavour.split(".");
      if (name === undefined) lua.lua_pushcfunction(L, define);
      else {
        lua.lua_createtable(L, 0, 1);
        lua.lua_pushcfunction(L, define);
        lua.lua_setfield(L, -2, constant(name));
      }
      lua.lua_setglobal(L, constant(table ?? flavour));
    }
    this.#pushProxy(L);
    lua.lua_pushvalue(L, -1);
    lua.lua_setglobal(L, constant("actions"));
    lua.lua_setglobal(L, constant("kit"));
  }

  /** Those of the repository, once something has used it; by name. */
  get found(): FoundAction[] {
    return this.#found;
  }

  #define(L: LuaState, flavour: Flavour): number {
    let definition: ActionDefinition;
    try {
      if (lua.lua_type(L, 1) !== lua.LUA_TTABLE)
        throw new DefinitionError(`${flavour} needs a table of fields`);
      definition = parseDefinition(flavour, readObject(L, 1, "the definition"));
    } catch (error) {
      if (error instanceof DefinitionError) return raise(L, error.message);
      if (error instanceof ValueError) return raise(L, `${flavour}: ${error.message}`);
      throw error;
    }
    const entry: Entry = { name: null, definition, ...currentPlace(L) };
    const call: LuaFunction = (state) => this.#call(state, entry);
    this.#entries.set(call, entry);
    lua.lua_pushcfunction(L, call);
    return 1;
  }

  /** A userdata, which `rawset` can't reach: what the repository says is what everybody sees. */
  #pushProxy(L: LuaState): void {
    lua.lua_newuserdata(L, 0);
    lua.lua_createtable(L, 0, 0);
    const all: LuaFunction = (state) => this.#all(state);
    const methods: Record<string, LuaFunction> = {
      __index: (state) => {
        lua.lua_rotate(state, 1, -1);
        lua.lua_settop(state, 1);
        if (textAt(state, 1) === "all") {
          lua.lua_pushcfunction(state, all);
          return 1;
        }
        return this.#withRoot(state, () => {
          lua.lua_pushvalue(state, 1);
          lua.lua_gettable(state, -2);
          return 1;
        });
      },
      __newindex: (state) => raise(state, "actions can't be changed here: edit the actions repository"),
      __pairs: (state) =>
        this.#withRoot(state, () => {
          lua.lua_getglobal(state, constant("next"));
          lua.lua_rotate(state, -2, 1);
          lua.lua_pushnil(state);
          return 3;
        }),
    };
    for (const [name, method] of Object.entries(methods)) {
      lua.lua_pushcfunction(L, method);
      lua.lua_setfield(L, -2, constant(name));
    }
    lua.lua_pushboolean(L, false);
    lua.lua_setfield(L, -2, constant("__metatable"));
    lua.lua_setmetatable(L, -2);
  }

  /** Pushes what `init.lua` returned and goes on with `then`. */
  #withRoot(L: LuaState, then: () => number): number {
    if (this.#root) {
      pushValue(L, this.#root);
      return then();
    }
    if (this.#library.problem !== null) return raise(L, this.#library.problem);
    return this.#modules.load(L, "init", (state) => {
      if (lua.lua_type(state, -1) !== lua.LUA_TTABLE)
        return raise(state, "init.lua of the actions repository must return a table of namespaces");
      this.#name(state, lua.lua_topointer(state, -1) as Table);
      this.#root = popValue(state);
      pushValue(state, this.#root);
      return then();
    });
  }

  /** Walks the tables, nearest first: an action is called by the shortest path that leads to it. */
  #name(L: LuaState, root: Table): void {
    const found: FoundAction[] = [];
    const seen = new Set<Table>([root]);
    const queue = [{ table: root, path: "" }];
    for (let next = queue.shift(); next; next = queue.shift()) {
      for (const { path, value } of namedItems(next.table, next.path)) {
        if (own.includes(path))
          raise(L, `init.lua: "${path}" can't be a namespace: actions.${path} is a function`);
        const table = (value.type & 0x0f) === lua.LUA_TTABLE ? (value.value as Table) : null;
        if (table === null) found.push(...this.#named(value.value as LuaFunction, path));
        else if (!seen.has(table) && seen.size < MAX_TABLES) {
          seen.add(table);
          queue.push({ table, path });
        }
      }
    }
    this.#found = found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #named(value: LuaFunction, path: string): FoundAction[] {
    const entry = this.#entries.get(value);
    if (!entry || entry.name !== null) return [];
    entry.name = path;
    return [{ name: path, definition: entry.definition, file: entry.file, line: entry.line }];
  }

  #call(L: LuaState, entry: Entry): number {
    const name = entry.name ?? `the action of ${entry.file}:${entry.line}`;
    const activity = waiting(L, this.#context, name);
    const call = this.#prepared(L, entry, { params: stored(L, 1), options: stored(L, 2) });
    const operation = { kind: "action" as const, effect_id: effectId(activity), ...call, wait: true };
    return wait(L, activity, record(L, this.#context, activity, operation), pushEnd);
  }

  /** `actions.all{ { actions.a.b, params }, … }`: all at once, the answers in the same places. */
  #all(L: LuaState): number {
    const activity = waiting(L, this.#context, "actions.all");
    const calls = this.#callsOf(L);
    const started = calls.map(({ key, entry, params, options }) => {
      const call = this.#prepared(L, entry, { params, options });
      const effect_id = effectId(activity);
      record(L, this.#context, activity, { kind: "action", effect_id, ...call, wait: false });
      return { key, effect_id, action: call.action };
    });
    const ends: WaitEnd[] = [];
    const next = (state: LuaState): number => {
      const one = started[ends.length];
      if (!one) return pushAll(state, started, ends);
      const { effect_id, action } = one;
      const entry = record(state, this.#context, activity, { kind: "join", effect_id, action });
      return wait(state, activity, entry, (later, end) => {
        ends.push(end);
        return next(later);
      });
    };
    return next(L);
  }

  #callsOf(L: LuaState) {
    lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
    const calls: {
      key: string | number;
      entry: Entry;
      params: StoredValue | null;
      options: StoredValue | null;
    }[] = [];
    for (let item = (lua.lua_topointer(L, 1) as Table).f; item; item = item.n) {
      const isText = (item.key.type & 0x0f) === lua.LUA_TSTRING;
      const key = isText ? toDisplayText((item.key.value as TString).realstring) : (item.key.value as number);
      const isTable = (item.value.type & 0x0f) === lua.LUA_TTABLE;
      const parts = isTable ? partsOf(item.value.value as Table) : new Map<number, StoredValue>();
      const entry = this.#entries.get(parts.get(1)?.value as LuaFunction);
      if (!entry)
        raise(
          L,
          `actions.all: ${key} must be { action, params }, such as { actions.web.fetch, { url = … } }`,
        );
      calls.push({ key, entry, params: parts.get(2) ?? null, options: parts.get(3) ?? null });
    }
    const names = new Set(calls.map(({ key }) => typeof key));
    if (names.size > 1) raise(L, "actions.all takes either a list or named calls, not both");
    if (calls.length > MAX_PARALLEL) raise(L, `actions.all takes at most ${MAX_PARALLEL} calls`);
    return calls.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The call as it is recorded: defaults below what was given, and checked against the schema. */
  #prepared(L: LuaState, entry: Entry, given: { params: StoredValue | null; options: StoredValue | null }) {
    const { name, definition } = entry;
    if (name === null) {
      return raise(
        L,
        "this action is in no table that init.lua of the actions repository returns, so it can't be called",
      );
    }
    const params = mergeDefaults(
      definition.defaults as JsonObject,
      objectOf(L, given.params, `params of ${name}`),
    );
    const wrong = mismatch(definition.schema.input, params);
    if (wrong !== null) return fail(L, schemaFailure(wrong));
    const parsed = callOptions.safeParse(objectOf(L, given.options, `options of ${name}`));
    if (!parsed.success) return raise(L, `bad options for ${name}: ${z.prettifyError(parsed.error)}`);
    return { action: name, params, options: parsed.data satisfies CallOptions };
  }
}

/** What stands under a name in a table, with the path to it. */
function namedItems(table: Table, above: string): { path: string; value: TValue }[] {
  const items: { path: string; value: TValue }[] = [];
  for (let item = table.f; item; item = item.n) {
    if ((item.key.type & 0x0f) !== lua.LUA_TSTRING) continue;
    const key = toDisplayText((item.key.value as TString).realstring);
    items.push({ path: above === "" ? key : `${above}.${key}`, value: item.value });
  }
  return items;
}

function stored(L: LuaState, index: number): StoredValue | null {
  if (lua.lua_type(L, index) <= lua.LUA_TNIL) return null;
  lua.lua_pushvalue(L, index);
  return popValue(L);
}

function objectOf(L: LuaState, value: StoredValue | null, what: string): JsonObject {
  if (value === null) return {};
  try {
    const read = readStored(L, value, what);
    if (typeof read === "object" && read !== null && !Array.isArray(read)) return read;
    if (Array.isArray(read) && read.length === 0) return {};
  } catch (error) {
    if (error instanceof ValueError) return raise(L, error.message);
    throw error;
  }
  return raise(L, `${what} must be a table with named fields`);
}

function partsOf(table: Table): Map<number, StoredValue> {
  const parts = new Map<number, StoredValue>();
  for (let item = table.f; item; item = item.n)
    parts.set(item.key.value as number, item.value as StoredValue);
  return parts;
}

/** Without the caller's place: `prometheus.query failed: connection refused` is the whole message (K16). */
function fail(L: LuaState, message: string): never {
  lua.lua_pushstring(L, toBytes(message));
  return lua.lua_error(L);
}

function pushEnd(L: LuaState, end: WaitEnd): number {
  if (!end.ok) return fail(L, end.message);
  return pushValueOf(L, end.value);
}

function pushAll(L: LuaState, started: { key: string | number }[], ends: WaitEnd[]): number {
  const failed = ends.find((end) => !end.ok);
  if (failed && !failed.ok) return fail(L, failed.message);
  const values = ends.map((end) => (end.ok ? end.value : null));
  if (typeof started[0]?.key !== "string") return pushValueOf(L, values);
  return pushValueOf(L, Object.fromEntries(started.map(({ key }, index) => [key, values[index] ?? null])));
}

function pushValueOf(L: LuaState, value: Json): number {
  try {
    pushJson(L, value);
  } catch (error) {
    if (error instanceof ValueError) return raise(L, error.message);
    throw error;
  }
  return 1;
}

function textAt(L: LuaState, index: number): string | null {
  if (lua.lua_type(L, index) !== lua.LUA_TSTRING) return null;
  return toDisplayText(lua.lua_tostring(L, index) ?? new Uint8Array());
}
