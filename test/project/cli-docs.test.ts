import { readFileSync, rmSync } from "node:fs";
import type { Command } from "commander";
import { afterAll, expect, it } from "vitest";
import { settingsTables, withSettingsTables } from "../../scripts/settings-table.ts";
import { createContext } from "../../service/cli/context.ts";
import { examples } from "../../service/cli/examples.ts";
import { createOutput, type Io } from "../../service/cli/output.ts";
import { createProgram } from "../../service/cli/program.ts";
import { newHome } from "../harness/stub-service.ts";

const page = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
const home = newHome();
afterAll(() => rmSync(home, { recursive: true, force: true }));

function leaves(command: Command, path: string): string[] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((one) => leaves(one, `${path} ${one.name()}`));
}

function allCommands(): Promise<Command> {
  const sink = { write: () => undefined };
  const io = { stdout: sink, stderr: sink, env: { SIGNALBOX_HOME: home }, cwd: home } as unknown as Io;
  const context = createContext(
    io,
    createOutput(io, () => false),
  );
  return createProgram([], context, "signalbox");
}

it("U27 docs/cli.md has an example of every command", async () => {
  const program = await allCommands();
  const commands = leaves(program, "signalbox");
  expect(commands.length).toBeGreaterThan(50);
  const text = page("cli.md");
  expect(
    commands.filter((command) => !text.includes(`\`${command}`) && !text.includes(`| ${command}`)),
  ).toEqual([]);
});

it("the examples of the help are those of docs/cli.md, and of commands that there are", async () => {
  const text = page("cli.md").replaceAll("\\|", "|");
  expect(
    Object.values(examples)
      .flat()
      .filter((example) => !text.includes(`\`${example}\``)),
  ).toEqual([]);
  const program = await allCommands();
  const paths = leaves(program, "signalbox").map((path) => path.replace("signalbox ", ""));
  expect(Object.keys(examples).filter((path) => !paths.includes(path))).toEqual([]);
});

it("docs/configuration.md has the settings of the schema", () => {
  const text = page("configuration.md");
  expect(withSettingsTables(text)).toBe(text);
  expect(settingsTables()).toContain("| `hot_reload` | `true`, `false` | `true` |");
});

it("a changed table is noticed", () => {
  const text = page("configuration.md");
  expect(withSettingsTables(text.replace("`hot_reload`", "`hot`"))).not.toBe(
    text.replace("`hot_reload`", "`hot`"),
  );
  expect(() => withSettingsTables("no markers")).toThrow("markers");
});
