/**
 * What must be different in fengari before its other modules load, since they copy these functions when they do.
 * Imported by vm.ts alone, ahead of "fengari" itself.
 */
import type { LuaState } from "fengari";
import lstring from "fengari/src/lstring.js";
import luaconf from "fengari/src/luaconf.js";

/** Longest string a workflow may make, in bytes. Doubling a string ends here and not in the machine's memory. */
export const MAX_STRING_BYTES = 16 * 1024 * 1024;

/** How a string that is too long raises its error; set by vm.ts once the error functions are there. */
export const onLongString: { raise: (L: LuaState | null) => void } = { raise: () => {} };

/**
 * Whole numbers print as whole numbers, exactly, however large; others with 14 digits like Lua's own "%.14g".
 * So `10/2` is `5`, and a chat id of -1001234567890 keeps its digits.
 */
function numberText(value: number): string {
  if (Number.isInteger(value)) return String(value === 0 ? 0 : value);
  if (Number.isNaN(value)) return "nan";
  if (value === Number.POSITIVE_INFINITY) return "inf";
  if (value === Number.NEGATIVE_INFINITY) return "-inf";
  return String(Number(value.toPrecision(14)));
}

luaconf.LUA_COMPAT_FLOATSTRING = true;
luaconf.lua_number2str = numberText;
/** Room for a whole path in `file:line`. */
luaconf.LUA_IDSIZE = 500;
/** A runaway recursion ends at some 30,000 calls and not at a tenth of the machine's memory. */
luaconf.LUAI_MAXSTACK = 200_000;

/**
 * Fengari's own hash writes bytes without padding, so that "\n" .. "a" and "\xa6\x01" become one table key, and
 * texts with control characters compare wrongly. One character a byte keeps keys apart and the order of bytes.
 */
function hashBytes(bytes: Uint8Array): string {
  return `|${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")}`;
}

lstring.luaS_hash = hashBytes;
lstring.luaS_hashlongstr = (text) => {
  text.hash ??= hashBytes(text.realstring);
  return text.hash;
};

const { TString, luaS_new } = lstring;
lstring.luaS_bless = (L, bytes) => {
  if (bytes.length > MAX_STRING_BYTES) onLongString.raise(L);
  return new TString(L, bytes);
};
// Not an arrow function: fengari's ltm.js calls it with `new`.
lstring.luaS_new = function copyBytes(L, bytes) {
  if (bytes.length > MAX_STRING_BYTES) onLongString.raise(L);
  return luaS_new(L, bytes);
};
