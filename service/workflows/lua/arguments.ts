import * as z from "zod";
import { durationMs, limits, name, subject, subjectPattern, text } from "../../contract/common.ts";
import { shapedPayload } from "../../effects/kinds/schemas.ts";
import { type ApiFunction, type Parameter, type ParameterType, parameterTypes } from "./api-spec.ts";
import { popValue } from "./sandbox.ts";
import { readJson, readObject, ValueError } from "./values.ts";
import { type LuaState, lua, raise, toDisplayText, toText, typeName } from "./vm.ts";

export type Arguments = { [name: string]: unknown };

const publishOptions = z.strictObject({ topic: name.optional(), body: text(limits.eventBytes).optional() });
const question = z.strictObject({
  title: text(500).min(1),
  body: text(50_000).default(""),
  choices: z
    .array(text(200).min(1))
    .min(1)
    .max(20)
    .refine((choices) => new Set(choices).size === choices.length, "choices must differ")
    .default(["yes"]),
  timeout: z
    .number()
    .min(1)
    .max(366 * 24 * 3_600)
    .default(7 * 24 * 3_600),
});
const level = z.enum(["debug", "info", "warn", "error"]);
/** Tables with several fields: the complaint says which one is wrong. */
const explained: ReadonlySet<ParameterType> = new Set([
  ...(["publish_options", "question", "http_request", "mail", "shell_command", "answer"] as const),
]);
const MAX_MESSAGE_CHARS = 8_000;
const MAX_SECONDS = 366 * 24 * 3_600;

/** Reads the argument at `index` as `type`, or says in words what is wrong with it. */
const readers: { [Type in ParameterType]: (L: LuaState, index: number, parameter: string) => unknown } = {
  pattern: textBy(subjectPattern),
  subject: textBy(subject),
  name: textBy(name),
  kind: textBy(name),
  key: textBy(text(200).min(1)),
  level: textBy(level),
  text: (L, index) => readText(L, index),
  record: readObject,
  json: readJson,
  table: (L, index) => (lua.lua_type(L, index) === lua.LUA_TTABLE ? index : fail()),
  handler: readFunction,
  event_handler: readFunction,
  interval: secondsFrom(1),
  delay: secondsFrom(0),
  message: (L, index) => readMessage(L, index),
  no_options: (L, index, parameter) => z.strictObject({}).parse(readObject(L, index, parameter)),
  question: (L, index, parameter) => question.parse(readObject(L, index, parameter)),
  http_request: actOf("http"),
  mail: actOf("mail"),
  shell_command: actOf("shell"),
  answer: actOf("reply"),
  publish_options: (L, index, parameter) => publishOptions.parse(readObject(L, index, parameter)),
};

/**
 * The arguments on the stack by name, as `spec` describes them. Raises a Lua error that names function, argument
 * and what was expected.
 */
export function readArguments(L: LuaState, path: string, spec: ApiFunction): Arguments {
  const args: Arguments = {};
  spec.params.forEach((parameter, position) => {
    const index = position + 1;
    const isMissing = lua.lua_type(L, index) <= lua.LUA_TNIL;
    if (isMissing && parameter.optional) return;
    try {
      if (lua.lua_type(L, index) === lua.LUA_TNONE) throw new Error("nothing was given");
      args[parameter.name] = readers[parameter.type](L, index, parameter.name);
    } catch (error) {
      raise(L, `bad argument #${index} to '${path}' (${complaint(L, index, parameter, error)})`);
    }
  });
  return args;
}

function complaint(L: LuaState, index: number, parameter: Parameter, error: unknown): string {
  if (error instanceof ValueError) return error.message;
  const expected = `${parameter.name} must be ${parameterTypes[parameter.type].expected}`;
  if (lua.lua_type(L, index) <= lua.LUA_TNIL) return `${expected}; nothing was given`;
  if (error instanceof z.ZodError && explained.has(parameter.type)) {
    return `${expected}: ${error.issues.map((issue) => wordsOf(issue)).join(", ")}`;
  }
  return `${expected}, not ${given(L, index)}`;
}

function wordsOf({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

function given(L: LuaState, index: number): string {
  const isText = lua.lua_type(L, index) === lua.LUA_TSTRING;
  const isNumber = lua.lua_type(L, index) === lua.LUA_TNUMBER;
  if (!isText) return isNumber ? String(lua.lua_tonumberx(L, index)) : `a ${typeName(L, index)}`;
  const shown = toDisplayText(lua.lua_tostring(L, index) ?? new Uint8Array());
  return `"${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}"`;
}

function actOf(kind: string) {
  return (L: LuaState, index: number, parameter: string) =>
    shapedPayload(kind, readObject(L, index, parameter));
}

function fail(): never {
  throw new Error("another type was expected");
}

function readText(L: LuaState, index: number): string {
  if (lua.lua_type(L, index) !== lua.LUA_TSTRING) return fail();
  return toText(lua.lua_tostring(L, index) ?? new Uint8Array()) ?? fail();
}

function textBy<T>(schema: z.ZodType<T>) {
  return (L: LuaState, index: number) => schema.parse(readText(L, index));
}

function secondsFrom(least: number) {
  return (L: LuaState, index: number) => {
    const value = lua.lua_type(L, index) === lua.LUA_TNUMBER ? lua.lua_tonumberx(L, index) : false;
    if (value === false || !(value >= least && value <= MAX_SECONDS)) return fail();
    return durationMs.parse(Math.round(value * 1_000));
  };
}

function readFunction(L: LuaState, index: number) {
  if (lua.lua_type(L, index) !== lua.LUA_TFUNCTION) return fail();
  lua.lua_pushvalue(L, index);
  return popValue(L);
}

/** What a log line says: texts and numbers as they are, anything else as its JSON or its type. */
function readMessage(L: LuaState, index: number): string {
  const type = lua.lua_type(L, index);
  if (type === lua.LUA_TSTRING) {
    return toDisplayText(lua.lua_tostring(L, index) ?? new Uint8Array()).slice(0, MAX_MESSAGE_CHARS);
  }
  if (type === lua.LUA_TNIL) return "nil";
  try {
    const value = readJson(L, index, "message");
    return (typeof value === "object" ? JSON.stringify(value) : String(value)).slice(0, MAX_MESSAGE_CHARS);
  } catch (error) {
    if (error instanceof ValueError) return typeName(L, index);
    throw error;
  }
}
