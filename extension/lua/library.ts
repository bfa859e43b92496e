/**
 * What the sandbox has of Lua itself, as annotated Lua: all of it and nothing more, which a test compares with the
 * engine. The API is in workflows/types/signalbox.lua, made from the same table as the engine's.
 */
export const sandboxLibrary = `---@meta
--- All globals, as a table.
---@type table<string, any>
_G = nil
---@type string
_VERSION = nil

--- Raises an error when \`v\` is nil or false; gives back all arguments otherwise.
---@generic T
---@param v T?
---@param message? any
---@return T
function assert(v, message) end

--- Raises an error with a message. \`level\` 2 names the caller's line.
---@param message any
---@param level? integer
function error(message, level) end

---@param object any
---@return table? metatable
function getmetatable(object) end

--- Goes through a list: 1, 2, 3, … up to the first nil.
---@generic V
---@param t V[]
---@return fun(t: V[], i: integer): integer, V
function ipairs(t) end

--- The key after this one, and its value; nil at the end.
---@param t table
---@param key? any
---@return any key, any value
function next(t, key) end

--- Goes through all entries of a table, in any order.
---@generic K, V
---@param t table<K, V>
---@return fun(t: table<K, V>, k: K): K, V
function pairs(t) end

--- Calls \`f\` and catches its error: true and its results, or false and the error.
---@param f function
---@param ... any
---@return boolean ok, any result
function pcall(f, ...) end

--- Writes to the workflow's log at level info.
---@param ... any
function print(...) end

---@param a any
---@param b any
---@return boolean
function rawequal(a, b) end

---@param t table
---@param key any
---@return any
function rawget(t, key) end

---@param v table | string
---@return integer
function rawlen(v) end

---@param t table
---@param key any
---@param value any
---@return table
function rawset(t, key, value) end

--- All arguments from number \`n\` on; their count with \`"#"\`.
---@param n integer | "#"
---@param ... any
---@return any
function select(n, ...) end

---@generic T
---@param t T
---@param metatable table?
---@return T
function setmetatable(t, metatable) end

--- The number that a text means, or nil.
---@param v any
---@param base? integer
---@return number?
function tonumber(v, base) end

--- The value as text. Whole numbers have no \`.0\`.
---@param v any
---@return string
function tostring(v) end

---@alias signalbox.TypeName "nil" | "number" | "string" | "boolean" | "table" | "function" | "thread" | "userdata"

--- The name of the value's type.
---@param v any
---@return signalbox.TypeName
function type(v) end

--- The entries of a list as several values.
---@generic T
---@param list T[]
---@param i? integer
---@param j? integer
---@return T...
function unpack(list, i, j) end

--- As \`pcall\`, with a function that gets the error.
---@param f function
---@param handler fun(error: any): any
---@param ... any
---@return boolean ok, any result
function xpcall(f, handler, ...) end

string = {}

--- Codes of the characters from \`i\` to \`j\`.
---@param s string
---@param i? integer
---@param j? integer
---@return integer
function string.byte(s, i, j) end

--- Text of character codes.
---@param ... integer
---@return string
function string.char(...) end

--- Where a pattern first matches: beginning, end and captures, or nil.
---@param s string
---@param pattern string
---@param init? integer
---@param plain? boolean \`true\`: the pattern is plain text
---@return integer? start, integer? finish
function string.find(s, pattern, init, plain) end

--- Fills values into a text: \`%s\`, \`%d\`, \`%.2f\`, \`%q\`.
---@param s string
---@param ... any
---@return string
function string.format(s, ...) end

--- Goes through all matches of a pattern.
---@param s string
---@param pattern string
---@return fun(): string
function string.gmatch(s, pattern) end

--- Replaces matches of a pattern; gives the new text and how many there were.
---@param s string
---@param pattern string
---@param replacement string | table | function
---@param n? integer
---@return string text, integer count
function string.gsub(s, pattern, replacement, n) end

--- Bytes of the text.
---@param s string
---@return integer
function string.len(s) end

---@param s string
---@return string
function string.lower(s) end

--- The first match of a pattern, or its captures; nil without one.
---@param s string
---@param pattern string
---@param init? integer
---@return string?
function string.match(s, pattern, init) end

--- Values as bytes.
---@param format string
---@param ... any
---@return string
function string.pack(format, ...) end

---@param format string
---@return integer
function string.packsize(format) end

--- The text \`n\` times.
---@param s string
---@param n integer
---@param separator? string
---@return string
function string.rep(s, n, separator) end

---@param s string
---@return string
function string.reverse(s) end

--- The characters from \`i\` to \`j\`; negative numbers count from the end.
---@param s string
---@param i integer
---@param j? integer
---@return string
function string.sub(s, i, j) end

--- Values from bytes.
---@param format string
---@param s string
---@param position? integer
---@return any
function string.unpack(format, s, position) end

---@param s string
---@return string
function string.upper(s) end

table = {}

--- The entries of a list as one text.
---@param list table
---@param separator? string
---@param i? integer
---@param j? integer
---@return string
function table.concat(list, separator, i, j) end

--- The length of a list, as in Lua 5.1.
---@param list table
---@return integer
---@deprecated \`#list\` is the same
function table.getn(list) end

--- Adds a value to a list, at its end or at a place.
---@param list table
---@param position integer
---@param value any
---@overload fun(list: table, value: any)
function table.insert(list, position, value) end

--- Copies entries from one list to another.
---@param from table
---@param first integer
---@param last integer
---@param at integer
---@param to? table
---@return table
function table.move(from, first, last, at, to) end

--- The arguments as a list, with their count in \`n\`.
---@param ... any
---@return table
function table.pack(...) end

--- Takes an entry out of a list, its last or that at a place, and gives it.
---@generic T
---@param list T[]
---@param position? integer
---@return T?
function table.remove(list, position) end

--- Sorts a list in place. Waiting is not possible in \`less\`.
---@generic T
---@param list T[]
---@param less? fun(a: T, b: T): boolean
function table.sort(list, less) end

--- The entries of a list as several values.
---@generic T
---@param list T[]
---@param i? integer
---@param j? integer
---@return T...
function table.unpack(list, i, j) end

math = {}

${mathFunctions("abs x:number:number acos x:number:number asin x:number:number atan y:number,x?:number:number ceil x:number:integer cos x:number:number deg x:number:number exp x:number:number floor x:number:integer fmod x:number,y:number:number log x:number,base?:number:number pow x:number,y:number:number rad x:number:number sin x:number:number sqrt x:number:number tan x:number:number tointeger x:any:integer? ult m:integer,n:integer:boolean")}
--- The largest of the numbers.
---@param x number
---@param ... number
---@return number
function math.max(x, ...) end

--- The smallest of the numbers.
---@param x number
---@param ... number
---@return number
function math.min(x, ...) end

--- The whole part and the rest.
---@param x number
---@return number whole, number rest
function math.modf(x) end

--- A number from 0 up to 1, or a whole one from \`m\` to \`n\`. The same numbers when a run is repeated.
---@param m? integer
---@param n? integer
---@return number
function math.random(m, n) end

--- Begins another sequence of random numbers.
---@param seed number
function math.randomseed(seed) end

--- \`"integer"\` for whole numbers, \`"float"\` for others, nil for what is none.
---@param v any
---@return ("integer" | "float")?
function math.type(v) end

---@type number
math.huge = nil
---@type integer
math.maxinteger = nil
---@type integer
math.mininteger = nil
---@type number
math.pi = nil
`;

/** \`name params:result\` as annotated functions; the mathematical ones say all by their names. */
function mathFunctions(list: string): string {
  const words = list.split(" ");
  const lines: string[] = [];
  for (let index = 0; index + 1 < words.length; index += 2) {
    const name = words[index] ?? "";
    const spec = words[index + 1] ?? "";
    const cut = spec.lastIndexOf(":");
    const params = spec
      .slice(0, cut)
      .split(",")
      .map((param) => param.split(":"));
    for (const [param, type] of params) lines.push(`---@param ${param} ${type}`);
    lines.push(`---@return ${spec.slice(cut + 1)}`);
    lines.push(
      `function math.${name}(${params.map(([param]) => param?.replace("?", "")).join(", ")}) end`,
      "",
    );
  }
  return lines.join("\n");
}

/** Names that other Luas have and the sandbox has not, and what to do instead. */
export const removedGlobals: Record<string, string> = {
  os: "There is no `os`: `signalbox.now_ms()` tells the time, and an agent's command or an action reaches the system.",
  io: "There is no `io`: workflows have no files. An action or an agent's command can read and write them.",
  debug: "There is no `debug`: an error carries its line and traceback.",
  package: "There is no `package`: `require` loads files of the actions folder.",
  coroutine: "There is no `coroutine`: `signalbox.call`, `ask` and `after` wait without holding up others.",
  utf8: "There is no `utf8`: texts are bytes, and `string` works on them.",
  bit32: "There is no `bit32`: use the operators `&`, `|`, `~`, `<<` and `>>`.",
  dofile: "There is no `dofile`: `require` loads files of the actions folder.",
  loadfile: "There is no `loadfile`: `require` loads files of the actions folder.",
  load: "There is no `load`: a workflow can't make code while it runs.",
  loadstring: "There is no `loadstring`: a workflow can't make code while it runs.",
  collectgarbage: "There is no `collectgarbage`: memory is watched from outside.",
  setfenv: "There is no `setfenv`: Lua 5.3 has no function environments.",
  getfenv: "There is no `getfenv`: Lua 5.3 has no function environments.",
};
