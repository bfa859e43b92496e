import type { Json } from "../../contract/common.ts";
import type { LocalName, ScriptSettings } from "./host.ts";
import { type ApiContext, record, wait, waiting } from "./operations.ts";
import { popValue, type StoredValue } from "./sandbox.ts";
import { pushJson, readJson, ValueError } from "./values.ts";
import {
  compile,
  constant,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lua,
  raise,
  toBytes,
  toText,
} from "./vm.ts";

/** Words that Kael's scripts have (B19), in Lua: they touch nothing but values. The last one shows a line's results. */
const PRELUDE = `
local function sorted(tbl)
  local list = {}
  for key in pairs(tbl) do list[#list + 1] = key end
  table.sort(list, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
    return type(a) < type(b)
  end)
  return list
end

local function show(value, depth, indent, above)
  if type(value) == "string" then return string.format("%q", value):gsub("\\\\\\n", "\\\\n") .. "" end
  if type(value) ~= "table" then return tostring(value) end
  if above[value] then return "<itself>" end
  if next(value) == nil then return "{}" end
  if depth <= 0 then return "{…}" end
  above[value] = true
  local inner, lines, length = indent .. "  ", {}, #value
  for index = 1, length do lines[index] = inner .. show(value[index], depth - 1, inner, above) end
  for _, key in ipairs(sorted(value)) do
    if not (type(key) == "number" and key >= 1 and key <= length and key % 1 == 0) then
      local name = type(key) == "string" and key:match("^[%a_][%w_]*$") or "[" .. show(key, 1, "", {}) .. "]"
      lines[#lines + 1] = inner .. name .. " = " .. show(value[key], depth - 1, inner, above)
    end
  end
  above[value] = nil
  return "{\\n" .. table.concat(lines, ",\\n") .. "\\n" .. indent .. "}"
end

function inspect(value) return show(value, 64, "", {}) end
function pp(value, depth) print(show(value, depth or 4, "", {})) end
function keys(tbl) return sorted(tbl) end
function count(tbl)
  local n = 0
  for _ in pairs(tbl) do n = n + 1 end
  return n
end
function pluck(list, field)
  local found = {}
  for _, item in ipairs(list) do
    if type(item) == "table" and item[field] ~= nil then found[#found + 1] = item[field] end
  end
  return found
end

local function shown(n, ...)
  for index = 1, n do print(inspect((select(index, ...)))) end
end
return function(line) 
  local function results(...) shown(select("#", ...), ...) end
  results(line())
end
`;

/** Puts a script's words into a state. @returns the function that runs a line of the REPL and prints its results */
export function installScriptWords(
  L: LuaState,
  script: ScriptSettings,
  file: string,
  context: ApiContext,
): StoredValue {
  if (!compile(L, PRELUDE, "signalbox")) throw new Error("the words of scripts do not compile");
  lua.lua_call(L, 0, 1);
  const evaluate = popValue(L);
  lua.lua_createtable(L, script.args.length, 1);
  [file, ...script.args].forEach((word, index) => {
    lua.lua_pushnumber(L, index);
    lua.lua_pushstring(L, toBytes(word));
    lua.lua_rawset(L, -3);
  });
  lua.lua_setglobal(L, constant("arg"));
  installPretty(L);
  const words: [LocalName, (L: LuaState) => Json[]][] = [
    ["readfile", (state) => [text(state, 1, "path")]],
    ["writefile", (state) => [text(state, 1, "path"), content(state, 2)]],
    ["jq", (state) => [value(state, 1, "value"), text(state, 2, "filter")]],
  ];
  for (const [name, read] of words) {
    lua.lua_pushcfunction(L, (state) => {
      const args = read(state);
      const activity = waiting(state, context, name);
      const entry = record(state, context, activity, { kind: "local", name, args });
      return wait(state, activity, entry, (later, end) => {
        if (!end.ok) return raise(later, end.message);
        pushJson(later, end.value);
        return 1;
      });
    });
    lua.lua_setglobal(L, constant(name));
  }
  return evaluate;
}

/** `json.pretty(value)`: indented. */
function installPretty(L: LuaState): void {
  const pretty: LuaFunction = (state) => {
    lua.lua_pushstring(state, toBytes(JSON.stringify(value(state, 1, "value"), null, 2)));
    return 1;
  };
  lua.lua_getglobal(L, constant("json"));
  lua.lua_pushcfunction(L, pretty);
  lua.lua_setfield(L, -2, constant("pretty"));
  lua.lua_pop(L, 1);
}

function text(L: LuaState, index: number, what: string): string {
  lauxlib.luaL_checktype(L, index, lua.LUA_TSTRING);
  return toText(lua.lua_tostring(L, index) ?? new Uint8Array()) ?? raise(L, `${what} is not valid UTF-8`);
}

/** What is written: texts as they are, anything else as indented JSON. */
function content(L: LuaState, index: number): string {
  if (lua.lua_type(L, index) === lua.LUA_TSTRING) return text(L, index, "content");
  return `${JSON.stringify(value(L, index, "content"), null, 2)}\n`;
}

function value(L: LuaState, index: number, what: string): Json {
  try {
    return readJson(L, index, what);
  } catch (error) {
    if (error instanceof ValueError) return raise(L, error.message);
    throw error;
  }
}
