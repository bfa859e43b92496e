import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SignalboxError } from "../contract/errors.ts";

/** `infra.kubernetes`, or with the action's own name behind it. */
const NAME = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;

export function assertName(name: string): void {
  if (NAME.test(name)) return;
  throw new SignalboxError("invalid_request", `${name} is no name of an action or a namespace`, {
    hint: "Write words of letters, digits and _, joined by dots: infra.ssl_check",
  });
}

/** Writes a repository that works at once. Nothing that is there is changed. @returns the files, relative */
export function writeStarter(dir: string): string[] {
  if (existsSync(join(dir, "init.lua"))) {
    throw new SignalboxError("conflict", `${dir} is an actions repository already`, {
      hint: "Add to it: signalbox actions add SOURCE NAME",
    });
  }
  for (const [file, text] of Object.entries(starter)) write(join(dir, file), text);
  return Object.keys(starter);
}

const starter = {
  "init.lua": `-- What this returns is \`actions\` in workflows and scripts.
local M = {}

M.hello = require("hello")

return M
`,
  "hello/init.lua": `local M = {}

M.greet = require("hello.greet")

return M
`,
  "hello/greet.lua": `---@class GreetParams
---@field name? string Who is greeted

--- Greets somebody, by a Python program that reads JSON and writes JSON.
---@param params GreetParams
---@return { greeting: string }
return define_action({
  source = "./programs/hello",
  entrypoint = "greet.py",
  executor = "native",
  defaults = { name = "world" },
  timeout = 20,
  schema = { input = { name = "string?" }, output = { greeting = "string" } },
})
`,
  "programs/hello/greet.py": `import json
import sys

params = json.load(sys.stdin)
print("greeting", params["name"], file=sys.stderr)
json.dump({"greeting": "hello, " + params["name"]}, sys.stdout)
`,
  "scripts/hello.lua": `-- signalbox run scripts/hello.lua -- you
local answer = actions.hello.greet({ name = arg[1] })
print(answer.greeting)
`,
} as const;

/** Makes `a/init.lua` and `a/b/init.lua`, each required by the one above it. @returns the files that were written */
export function writeNamespace(dir: string, namespace: string): string[] {
  assertName(namespace);
  const written: string[] = [];
  const words = namespace.split(".");
  for (let depth = 1; depth <= words.length; depth++) {
    const path = words.slice(0, depth);
    const file = join(...path, "init.lua");
    if (!existsSync(join(dir, file)) && !existsSync(join(dir, `${join(...path)}.lua`))) {
      write(join(dir, file), "local M = {}\n\nreturn M\n");
      written.push(file);
    }
    const above = join(...path.slice(0, -1), "init.lua");
    if (requireIn(join(dir, above), path.at(-1) ?? "", path.join("."))) written.push(above);
  }
  return written;
}

/** Writes an action's file and the line that requires it. @returns the files that were written */
export function writeAction(dir: string, name: string, text: string): string[] {
  assertName(name);
  const words = name.split(".");
  const namespace = words.slice(0, -1);
  const file = `${join(...words)}.lua`;
  if (existsSync(join(dir, file))) {
    throw new SignalboxError("conflict", `${name} is there already: ${join(dir, file)}`, {
      hint: "Choose another name, or edit it: signalbox actions edit NAME",
    });
  }
  const written = namespace.length === 0 ? [] : writeNamespace(dir, namespace.join("."));
  write(join(dir, file), text);
  const above = join(...namespace, "init.lua");
  if (requireIn(join(dir, above), words.at(-1) ?? "", name)) written.push(above);
  return [...new Set([...written, file])];
}

/** Takes an action's file away and the line that requires it. @returns the files that were changed */
export function removeAction(dir: string, name: string, file: string): string[] {
  const words = name.split(".");
  const above = join(...words.slice(0, -1), "init.lua");
  const whole = join(dir, above);
  const text = readFileSync(whole, "utf8");
  const line = new RegExp(
    `^[ \\t]*(M\\.)?${words.at(-1)}\\s*=\\s*require\\(?\\s*["']${name.replaceAll(".", "[./]")}["']\\s*\\)?,?[ \\t]*\\r?\\n`,
    "m",
  );
  if (!line.test(text)) {
    throw new SignalboxError("conflict", `${above} does not require ${name} in a line of its own`, {
      hint: `Take it out of ${whole} yourself, then remove ${file}.`,
    });
  }
  writeFileSync(whole, text.replace(line, ""));
  rmSync(join(dir, file));
  return [above, file];
}

/** Puts a line before the last `return M`, or into the table that is returned. False when it is there already. */
function requireIn(file: string, key: string, module: string): boolean {
  if (!existsSync(file)) throw cannotEdit(file, key, module);
  const text = readFileSync(file, "utf8");
  if (new RegExp(`require\\(?\\s*["']${module.replaceAll(".", "[./]")}["']`).test(text)) return false;
  const bottom = /^return M[ \t]*\r?\n?$/m.exec(text);
  const table = /^return \{[ \t]*\r?\n/m.exec(text);
  const empty = /^return \{\s*\}/m.exec(text);
  let changed: string;
  if (bottom) {
    const before = text.slice(0, bottom.index);
    changed = `${before}M.${key} = require("${module}")\n\n${text.slice(bottom.index)}`.replace(
      /\n{3,}(?=return M)/,
      "\n\n",
    );
    // Lines of the same kind stand together.
    changed = changed.replace(/(M\.\w+ = require\("[^"]+"\)\n)\n+(?=M\.\w+ = require)/g, "$1");
  } else if (empty) changed = text.replace(empty[0], `return {\n  ${key} = require("${module}"),\n}`);
  else if (table) {
    const at = table.index + table[0].length;
    changed = `${text.slice(0, at)}  ${key} = require("${module}"),\n${text.slice(at)}`;
  } else throw cannotEdit(file, key, module);
  writeFileSync(file, changed);
  return true;
}

function cannotEdit(file: string, key: string, module: string): SignalboxError {
  return new SignalboxError("conflict", `${file} is not of a form that can be added to`, {
    hint: `Add this to the table that it returns: ${key} = require("${module}")`,
  });
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { flag: "wx" });
}
