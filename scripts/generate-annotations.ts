/** Writes workflows/types/*.lua, which editors complete the Lua API from. */
import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { generateAnnotations, generateScriptAnnotations } from "../service/workflows/lua/annotations.ts";

const folder = resolve(import.meta.dirname, "../workflows/types");
mkdirSync(folder, { recursive: true });
for (const [name, text] of [
  ["signalbox.lua", generateAnnotations()],
  ["scripts.lua", generateScriptAnnotations()],
] as const) {
  writeFileSync(resolve(folder, name), text);
  console.log(`${resolve(folder, name)} written`);
}
