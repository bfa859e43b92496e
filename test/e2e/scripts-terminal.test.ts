/** Scripts and the REPL as a person at a terminal has them: the built command line in a pseudo-terminal. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { openTerminal, type Terminal } from "../harness/opencode/terminal.ts";

const bin = resolve(import.meta.dirname, "../../bin/signalbox.cjs");
let home: string;
const environment = () => ({ PATH: process.env.PATH ?? "", HOME: home, SIGNALBOX_HOME: home });

function cli(...args: string[]): string {
  return execFileSync(process.execPath, [bin, ...args], {
    cwd: home,
    env: environment(),
    encoding: "utf8",
    stdio: "pipe",
  });
}

function terminal(...args: string[]): Terminal {
  const opened = openTerminal(process.execPath, [bin, ...args], { cwd: home, env: environment() });
  onTestFinished(() => opened.kill());
  return opened;
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "signalbox-terminal-"));
  return () => {
    cli("down");
    rmSync(home, { recursive: true, force: true, maxRetries: 10 });
  };
});

it("K22 the REPL takes blocks, completes names, asks, remembers, and ends what runs on Ctrl-C", async () => {
  cli("actions", "init");
  const repl = terminal("repl");
  await repl.until(/^>/m);
  repl.type("for i = 1, 2 do\r");
  await repl.until("…");
  repl.type("print('line ' .. i) end\r");
  await repl.until(/^line 2$/m);
  repl.type("actions.hel\t");
  await repl.until("> actions.hello.");
  repl.type("gr\t");
  await repl.until("> actions.hello.greet");
  repl.type("({ name = 'you' })\r");
  await repl.until("Run exactly this? [y/N]");
  repl.type("y\r");
  await repl.until('greeting = "hello, you"');
  repl.type("while true do end\r");
  await repl.until("> while true do end");
  repl.type("\x03");
  await repl.until("Stopped.");
  repl.type("\x1b[A\x1b[A");
  await repl.until(/> actions\.hello\.greet\(\{ name = 'you' \}\)[\s\S]*Stopped\.\n> actions\.hello\.greet/);
  repl.type("\x03");
  repl.type(".exit\r");
  expect(await repl.ended).toBe(0);
  expect(readFileSync(join(home, "repl-history"), "utf8").split("\n")[0]).toBe("while true do end");
});

it("U30 Ctrl-C at the question ends the script, and nothing of it runs", async () => {
  cli("actions", "init");
  writeFileSync(join(home, "hello.lua"), "print(actions.hello.greet().greeting)");
  const asked = terminal("run", "hello.lua");
  await asked.until("Run exactly this? [y/N]");
  asked.type("\x03");
  await asked.until("Stopped.");
  expect(await asked.ended).toBe(130);
  expect(JSON.parse(cli("effects", "list", "--json"))).toMatchObject({ effects: [{ state: "skipped" }] });
  const answered = terminal("run", "hello.lua");
  await answered.until("Run exactly this? [y/N]");
  answered.type("y\r");
  await answered.until("hello, world");
  expect(await answered.ended).toBe(0);
});
