import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { SignalboxError } from "../../contract/errors.ts";
import type { Context } from "../context.ts";
import { collect } from "../parse.ts";
import { UsageError } from "../usage.ts";

interface SkillOptions {
  dir?: string;
  for?: string[];
  project?: boolean;
  force?: boolean;
}

/** Where each program looks for skills, in the user's folder and in a project, and the folder that tells it is there. */
const places = {
  claude: { user: ".claude/skills", project: ".claude/skills", sign: ".claude" },
  opencode: { user: ".config/opencode/skills", project: ".opencode/skills", sign: ".config/opencode" },
  codex: { user: ".agents/skills", project: ".agents/skills", sign: ".codex" },
} as const;
type Program = keyof typeof places;
const programs = Object.keys(places) as Program[];

export function register(program: Command, context: Context): void {
  const skill = program.command("skill").description("what teaches an agent to use this command line");
  place(skill.command("install").description("put it where agents' programs look for skills"))
    .option("--force", "replace one that was changed")
    .action((options: SkillOptions) => install(context, options));
  skill
    .command("show", { isDefault: true })
    .description("print it")
    .action(() => {
      const text = shipped();
      context.out.result({ name: "signalbox", text }, () => context.out.raw(text));
    });
  place(skill.command("uninstall").description("take it away again"))
    .option("--force", "also one that was changed")
    .action((options: SkillOptions) => uninstall(context, options));
}

function place(command: Command): Command {
  return command
    .addOption(
      command
        .createOption("--for <program>", "for this program; repeat for more; default: those found here")
        .choices(programs)
        .argParser((word, earlier: string[] | undefined) => {
          if (!programs.includes(word as Program))
            throw new UsageError(
              `There is no place known for ${word}.`,
              `Known are ${programs.join(", ")}; else give --dir.`,
            );
          return collect(word, earlier);
        }),
    )
    .option("--project", "in the present folder instead of the user's")
    .option("--dir <folder>", "in this folder of skills");
}

function filesOf({ io }: Context, options: SkillOptions): string[] {
  const home = io.env.HOME || homedir();
  if (options.dir !== undefined) return [fileIn(resolve(io.cwd, options.dir))];
  const named =
    (options.for as Program[] | undefined) ??
    programs.filter((one) => existsSync(join(home, places[one].sign)));
  if (named.length === 0)
    throw new UsageError(
      "No program that reads skills was found.",
      `Name one: --for ${programs.join(", --for ")}; or give --dir.`,
    );
  return named.map((one) =>
    fileIn(options.project ? join(io.cwd, places[one].project) : join(home, places[one].user)),
  );
}

/** A skill's folder has its name. */
const fileIn = (folder: string) => join(folder, "signalbox", "SKILL.md");

function install(context: Context, options: SkillOptions): void {
  const text = shipped();
  const files = filesOf(context, options);
  if (!options.force) refuseChanged(files, text);
  for (const file of files) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  context.out.result({ files }, () => {
    for (const file of files) context.out.line(file);
  });
}

function uninstall(context: Context, options: SkillOptions): void {
  const files = filesOf(context, options).filter((file) => existsSync(file));
  if (!options.force) refuseChanged(files, shipped());
  for (const file of files) {
    rmSync(file);
    if (readdirSync(dirname(file)).length === 0) rmdirSync(dirname(file));
  }
  context.out.result({ files }, () => {
    if (files.length === 0) context.out.remark("It is not there.");
    for (const file of files) context.out.line(`${file} is removed`);
  });
}

/** Somebody may have made it their own. */
function refuseChanged(files: string[], text: string): void {
  const changed = files.find((file) => existsSync(file) && readFileSync(file, "utf8") !== text);
  if (changed === undefined) return;
  throw new SignalboxError("conflict", `${changed} is not the one of this version`, {
    hint: "If nobody changed it by hand, it is from another version: add --force.",
  });
}

/** In the package beside `dist`, or in the sources. */
function shipped(): string {
  const here = import.meta.dirname;
  const found = ["..", "../../.."]
    .map((up) => join(here, up, "skills/signalbox/SKILL.md"))
    .find((file) => existsSync(file));
  if (found === undefined)
    throw new SignalboxError("not_found", "the skill is not in this installation", {
      hint: "Install Signalbox again.",
    });
  return readFileSync(found, "utf8");
}
