import type { SourceError } from "../../contract/workflows.ts";
import { readJson, ValueError } from "./values.ts";
import { currentLine, type LuaState, lauxlib, lobject, lua, toDisplayText, typeName } from "./vm.ts";

const MAX_MESSAGE_CHARS = 4_000;
const MAX_TRACEBACK_CHARS = 8_000;

/**
 * What a coroutine died of: its error is on top of its stack. `modules`: files besides its own. The message is without the `file:line` it began
 * with, which are fields of their own.
 */
export function describeFailure(
  L: LuaState,
  co: LuaState,
  file: string,
  modules: readonly string[] = [],
): SourceError {
  // The stack of a dead coroutine has no room left to work in.
  const error = co.stack[co.top - 1];
  if (error) lobject.pushobj2s(L, error);
  else lua.lua_pushnil(L);
  const message = describeError(L);
  lua.lua_pop(L, 1);
  lauxlib.luaL_traceback(L, co, null, 0);
  const traceback = toDisplayText(lua.lua_tostring(L, -1) ?? new Uint8Array());
  lua.lua_pop(L, 1);
  return {
    ...splitPlace(message, [file, ...modules], currentLine(co)),
    traceback: traceback.slice(0, MAX_TRACEBACK_CHARS),
  };
}

/** The error of a text that did not compile: the message is on top of the stack. */
export function describeSyntaxError(L: LuaState, file: string): SourceError {
  return { ...splitPlace(describeError(L), [file], null), traceback: null };
}

/**
 * `file:12: message` in its parts; `line` stands in when the message names none. `files`: the main one, then those
 * that it may have required.
 */
function splitPlace(
  message: string,
  files: readonly string[],
  line: number | null,
): Omit<SourceError, "traceback"> {
  for (const file of files) {
    if (!message.startsWith(`${file}:`)) continue;
    const rest = /^(\d+): ([\s\S]*)$/.exec(message.slice(file.length + 1));
    if (rest) return { message: rest[2] ?? "", file, line: Number(rest[1]) };
  }
  return { message, file: files[0] ?? null, line };
}

/** Texts as they are; a table by its `message`, with its `code` if it has one, else as JSON. */
function describeError(L: LuaState): string {
  const type = lua.lua_type(L, -1);
  if (type === lua.LUA_TSTRING || type === lua.LUA_TNUMBER) {
    return toDisplayText(lua.lua_tostring(L, -1) ?? new Uint8Array()).slice(0, MAX_MESSAGE_CHARS);
  }
  if (type !== lua.LUA_TTABLE) return `a ${typeName(L, -1)} was raised as an error`;
  try {
    const value = readJson(L, -1, "the error");
    return describeTable(value).slice(0, MAX_MESSAGE_CHARS);
  } catch (error) {
    if (error instanceof ValueError) return "a table was raised as an error";
    throw error;
  }
}

function describeTable(value: unknown): string {
  const { message, code } = value as { message?: unknown; code?: unknown };
  if (typeof message !== "string") return JSON.stringify(value);
  return typeof code === "string" || typeof code === "number" ? `${message} (${code})` : message;
}
