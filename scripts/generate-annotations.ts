/** Writes workflows/types/signalbox.lua, which editors complete the Lua API from. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { generateAnnotations } from "../service/workflows/lua/annotations.ts";

const file = resolve(import.meta.dirname, "../workflows/types/signalbox.lua");
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, generateAnnotations());
console.log(`${file} written`);
