import * as z from "zod";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { LogLine } from "../../contract/workflows.ts";
import { shapedPayload } from "../../effects/kinds/schemas.ts";
import type { WaitEnd } from "./activity.ts";
import { type ApiName, apiAliases, apiFunctions } from "./api-spec.ts";
import { type Arguments, readArguments } from "./arguments.ts";
import { type ApiContext, effectId, record, running, wait, waiting } from "./operations.ts";
import { popValue, type StoredValue } from "./sandbox.ts";
import { markArray, pushJson, pushNull, ValueError } from "./values.ts";
import {
  constant,
  currentLine,
  type LuaFunction,
  type LuaState,
  lua,
  raise,
  toBytes,
  toDisplayText,
} from "./vm.ts";

type Implementation = (L: LuaState, args: Arguments) => number;

/** Puts `sekia`, `signalbox` and the aliases into a state. */
export function installApi(L: LuaState, context: ApiContext): void {
  const implementations = {
    ...registrations(context),
    ...operations(context),
    ...waits(context),
    ...acts(context),
    ...logs(context),
    ...tools(context),
    ...stateFunctions(context),
  } satisfies Record<ApiName, Implementation>;
  const tree: Tree = { sekia: {}, signalbox: {} };
  for (const [path, implementation] of Object.entries(implementations)) {
    plant(tree, path.split("."), checked(path as ApiName, implementation));
  }
  pushTree(L, tree);
  lua.lua_getfield(L, -1, constant("signalbox"));
  setNullAndNames(L, context);
  replaceState(L, context);
  for (const [alias, path] of Object.entries(apiAliases)) {
    lua.lua_getfield(L, -1, constant(path.replace("signalbox.", "")));
    lua.lua_setglobal(L, constant(alias));
  }
  lua.lua_setglobal(L, constant("signalbox"));
  lua.lua_getfield(L, -1, constant("sekia"));
  lua.lua_pushstring(L, toBytes(context.name));
  lua.lua_setfield(L, -2, constant("name"));
  lua.lua_setglobal(L, constant("sekia"));
  lua.lua_pop(L, 1);
}

function checked(path: ApiName, implementation: Implementation): LuaFunction {
  const spec = apiFunctions[path];
  return (L) => {
    // Options may be left out before a handler.
    if (path === "signalbox.on" && lua.lua_type(L, 2) === lua.LUA_TFUNCTION && lua.lua_gettop(L) === 2) {
      lua.lua_pushnil(L);
      lua.lua_insert(L, 2);
    }
    if (path === "signalbox.log" && lua.lua_gettop(L) === 1) {
      lua.lua_pushstring(L, constant("info"));
      lua.lua_insert(L, 1);
    }
    return implementation(L, readArguments(L, path, spec));
  };
}

function registrations(context: ApiContext) {
  const add = (L: LuaState, what: string, pattern: string | null, every_ms: number | null, fn: unknown) => {
    if (context.activity()) raise(L, `${what} works only while the file loads, not in a handler`);
    context.addHandler({ pattern, every_ms, line: currentLine(L) ?? 0, fn: fn as StoredValue });
    return 0;
  };
  const on =
    (path: string): Implementation =>
    (L, args) =>
      add(L, path, args.pattern as string, null, args.handler);
  const schedule =
    (path: string): Implementation =>
    (L, args) =>
      add(L, path, null, args.seconds as number, args.handler);
  return {
    "sekia.on": on("sekia.on"),
    "signalbox.on": on("signalbox.on"),
    "sekia.schedule": schedule("sekia.schedule"),
    "signalbox.schedule": schedule("signalbox.schedule"),
  };
}

function operations(context: ApiContext) {
  const publish =
    (path: string): Implementation =>
    (L, args) => {
      const options = (args.options ?? {}) as { topic?: string; body?: string };
      record(L, context, running(L, context, path), {
        kind: "publish",
        subject: args.subject as string,
        type: args.type as string,
        payload: (args.payload ?? {}) as JsonObject,
        topic: options.topic ?? null,
        body: options.body ?? null,
      });
      return 0;
    };
  const command = (L: LuaState, args: Arguments, path: string): string => {
    const activity = running(L, context, path);
    const effect_id = effectId(activity);
    record(L, context, activity, { kind: "command", effect_id, ...addressee(args) });
    return effect_id;
  };
  return {
    "sekia.publish": publish("sekia.publish"),
    "signalbox.publish": publish("signalbox.publish"),
    "sekia.command": (L, args) => {
      command(L, args, "sekia.command");
      return 0;
    },
    "signalbox.command": (L, args) => {
      lua.lua_pushstring(L, toBytes(command(L, args, "signalbox.command")));
      return 1;
    },
  } satisfies Partial<Record<ApiName, Implementation>>;
}

/** Acts that the service does itself: asked for, or asked for and waited for. */
function acts(context: ApiContext) {
  const propose = (L: LuaState, path: string, effect_kind: string, payload: JsonObject): number => {
    const activity = running(L, context, path);
    const effect_id = effectId(activity);
    record(L, context, activity, { kind: "effect", effect_id, effect_kind, payload, wait: false });
    lua.lua_pushstring(L, toBytes(effect_id));
    return 1;
  };
  const perform = (L: LuaState, path: string, effect_kind: string, payload: JsonObject): number => {
    const activity = waiting(L, context, path);
    const effect_id = effectId(activity);
    const operation = { kind: "effect" as const, effect_id, effect_kind, payload, wait: true };
    return wait(L, activity, record(L, context, activity, operation), pushResult);
  };
  const given = (args: Arguments) => Object.values(args)[0] as JsonObject;
  return {
    "signalbox.http": (L, args) => propose(L, "signalbox.http", "http", given(args)),
    "signalbox.mail": (L, args) => propose(L, "signalbox.mail", "mail", given(args)),
    "signalbox.shell": (L, args) => propose(L, "signalbox.shell", "shell", given(args)),
    "signalbox.reply": (L, args) => propose(L, "signalbox.reply", "reply", given(args)),
    "signalbox.effect": (L, args) => propose(L, "signalbox.effect", ...ofKind(L, "signalbox.effect", args)),
    "signalbox.call.http": (L, args) => perform(L, "signalbox.call.http", "http", given(args)),
    "signalbox.call.mail": (L, args) => perform(L, "signalbox.call.mail", "mail", given(args)),
    "signalbox.call.shell": (L, args) => perform(L, "signalbox.call.shell", "shell", given(args)),
    "signalbox.call.reply": (L, args) => perform(L, "signalbox.call.reply", "reply", given(args)),
    "signalbox.call.effect": (L, args) =>
      perform(L, "signalbox.call.effect", ...ofKind(L, "signalbox.call.effect", args)),
    "signalbox.wait": (L, args) => {
      const activity = waiting(L, context, "signalbox.wait");
      const effect_id = args.effect_id as string;
      const action = activity.effectLabel(effect_id);
      if (action === undefined)
        return raise(L, `signalbox.wait: this run has asked for no effect ${effect_id.slice(0, 60)}`);
      const entry = record(L, context, activity, { kind: "join", effect_id, action });
      return wait(L, activity, entry, pushResult);
    },
  } satisfies Partial<Record<ApiName, Implementation>>;
}

/** Kind and payload of the functions that take any. */
function ofKind(L: LuaState, path: string, args: Arguments): [string, JsonObject] {
  const kind = args.kind as string;
  if (kind === "command" || kind === "ask") return raise(L, `${path}: use signalbox.${kind} for that`);
  try {
    return [kind, shapedPayload(kind, (args.payload ?? {}) as JsonObject)];
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const words = error.issues.map(({ path: at, message }) => [...at, message].join(": "));
    return raise(L, `${path}: ${words.join(", ")}`);
  }
}

interface Question {
  title: string;
  body: string;
  choices: string[];
  /** Seconds. */
  timeout: number;
}

function addressee(args: Arguments) {
  return {
    agent: args.agent as string,
    command: args.command as string,
    payload: (args.payload ?? {}) as JsonObject,
  };
}

function waits(context: ApiContext) {
  return {
    "signalbox.call": (L, args) => {
      const activity = waiting(L, context, "signalbox.call");
      const effect_id = effectId(activity);
      const entry = record(L, context, activity, { kind: "call", effect_id, ...addressee(args) });
      return wait(L, activity, entry, pushResult);
    },
    "signalbox.ask": (L, args) => {
      const activity = waiting(L, context, "signalbox.ask");
      const effect_id = effectId(activity);
      const { timeout, ...question } = args.question as Question;
      const timeout_ms = Math.round(timeout * 1_000);
      const entry = record(L, context, activity, { kind: "ask", effect_id, question, timeout_ms });
      return wait(L, activity, entry, pushResult);
    },
    "signalbox.after": (L, args) => {
      const activity = waiting(L, context, "signalbox.after");
      const entry = record(L, context, activity, { kind: "sleep", delay_ms: args.seconds as number });
      return wait(L, activity, entry, () => 0);
    },
  } satisfies Partial<Record<ApiName, Implementation>>;
}

function pushResult(L: LuaState, end: WaitEnd): number {
  if (!end.ok) return raise(L, end.message);
  pushJson(L, end.value);
  return 1;
}

function logs(context: ApiContext) {
  const write: Implementation = (L, args) => {
    context.log(args.level as LogLine["level"], args.message as string, currentLine(L));
    return 0;
  };
  const at =
    (level: LogLine["level"]): Implementation =>
    (L, args) =>
      write(L, { ...args, level });
  return {
    "sekia.log": write,
    "signalbox.log": write,
    "signalbox.log.debug": at("debug"),
    "signalbox.log.info": at("info"),
    "signalbox.log.warn": at("warn"),
    "signalbox.log.error": at("error"),
  };
}

function tools(context: ApiContext) {
  return {
    "signalbox.now_ms": (L) => {
      lua.lua_pushnumber(L, context.activity()?.nowMs ?? Date.now());
      return 1;
    },
    "signalbox.array": (L) => {
      if (!markArray(L, 1)) raise(L, "signalbox.array can't mark a table that has a metatable");
      lua.lua_settop(L, 1);
      return 1;
    },
    "signalbox.json.encode": (L, args) => {
      lua.lua_pushstring(L, toBytes(JSON.stringify(args.value)));
      return 1;
    },
    "signalbox.json.decode": (L, args) => {
      let value: Json;
      try {
        value = JSON.parse(args.text as string) as Json;
      } catch (error) {
        return raise(L, `json.decode: ${(error as Error).message}`);
      }
      return pushOrRaise(L, value);
    },
  } satisfies Partial<Record<ApiName, Implementation>>;
}

function pushOrRaise(L: LuaState, value: Json): number {
  try {
    pushJson(L, value);
  } catch (error) {
    if (error instanceof ValueError) return raise(L, error.message);
    throw error;
  }
  return 1;
}

function stateFunctions(context: ApiContext) {
  return {
    "signalbox.state.get": (L, args) => pushOrRaise(L, context.state.get(args.key as string) ?? null),
    "signalbox.state.set": (L, args) => {
      const key = args.key as string;
      const value = args.value as Json | undefined;
      const activity = running(L, context, "signalbox.state.set");
      const entry = record(L, context, activity, { kind: "state", key, value });
      // What an earlier attempt set is in the store already, perhaps changed again since.
      if (!entry) context.state.set(key, value);
      return 0;
    },
  } satisfies Partial<Record<ApiName, Implementation>>;
}

/**
 * `signalbox.state` is a userdata, which `rawset` can't reach: `state.count = 3` sets, `state.count` gets, `pairs`
 * lists. The keys `get` and `set` are its functions.
 */
function replaceState(L: LuaState, context: ApiContext): void {
  lua.lua_newuserdata(L, 0);
  lua.lua_createtable(L, 0, 0);
  lua.lua_getfield(L, -3, constant("state"));
  lua.lua_getfield(L, -1, constant("get"));
  const get = popValue(L).value as LuaFunction;
  lua.lua_getfield(L, -1, constant("set"));
  const set = popValue(L).value as LuaFunction;
  lua.lua_pop(L, 1);
  const methods: Record<string, LuaFunction> = {
    __index: (state) => {
      lua.lua_rotate(state, 1, -1);
      lua.lua_settop(state, 1);
      const key = lua.lua_type(state, 1) === lua.LUA_TSTRING ? lua.lua_tostring(state, 1) : null;
      const word = key ? toDisplayText(key) : "";
      if (word !== "get" && word !== "set") return get(state);
      lua.lua_pushcfunction(state, word === "get" ? get : set);
      return 1;
    },
    __newindex: (state) => {
      lua.lua_rotate(state, 1, -1);
      lua.lua_settop(state, 2);
      return set(state);
    },
    __pairs: (state) => {
      const keys = context.state.keys();
      let position = 0;
      lua.lua_pushcfunction(state, (iterating) => {
        const key = keys[position++];
        if (key === undefined) {
          lua.lua_pushnil(iterating);
          return 1;
        }
        lua.lua_pushstring(iterating, toBytes(key));
        pushOrRaise(iterating, context.state.get(key) ?? null);
        return 2;
      });
      return 1;
    },
  };
  for (const [name, method] of Object.entries(methods)) {
    lua.lua_pushcfunction(L, method);
    lua.lua_setfield(L, -2, constant(name));
  }
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, constant("__metatable"));
  lua.lua_setmetatable(L, -2);
  lua.lua_setfield(L, -2, constant("state"));
}

/** A function, or a table of such; the function at `""` is what the table itself does when it is called. */
interface Tree {
  [name: string]: LuaFunction | Tree;
}

function plant(tree: Tree, path: string[], fn: LuaFunction): void {
  const [head = "", ...rest] = path;
  const there = tree[head];
  if (rest.length > 0) {
    const branch: Tree = typeof there === "function" ? { "": there } : (there ?? {});
    tree[head] = branch;
    plant(branch, rest, fn);
  } else if (typeof there === "object") there[""] = fn;
  else tree[head] = fn;
}

function pushTree(L: LuaState, tree: Tree): void {
  lua.lua_createtable(L, 0, 0);
  for (const [name, node] of Object.entries(tree)) {
    if (name === "") continue;
    if (typeof node === "function") lua.lua_pushcfunction(L, node);
    else pushTree(L, node);
    lua.lua_setfield(L, -2, constant(name));
  }
  const call = tree[""];
  if (typeof call !== "function") return;
  lua.lua_createtable(L, 0, 0);
  lua.lua_pushcfunction(L, (state) => {
    lua.lua_rotate(state, 1, -1);
    lua.lua_pop(state, 1);
    return call(state);
  });
  lua.lua_setfield(L, -2, constant("__call"));
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, constant("__metatable"));
  lua.lua_setmetatable(L, -2);
}

function setNullAndNames(L: LuaState, context: ApiContext): void {
  lua.lua_pushstring(L, toBytes(context.name));
  lua.lua_setfield(L, -2, constant("name"));
  pushNull(L);
  lua.lua_setfield(L, -2, constant("null"));
  lua.lua_getfield(L, -1, constant("json"));
  pushNull(L);
  lua.lua_setfield(L, -2, constant("null"));
  lua.lua_pop(L, 1);
}
