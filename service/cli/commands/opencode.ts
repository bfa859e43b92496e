import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import packageJson from "../../../package.json" with { type: "json" };
import type { JsonObject } from "../../contract/common.ts";
import { confirmed } from "../confirm.ts";
import type { Context } from "../context.ts";
import { printFindings } from "../doctor.ts";
import { given } from "../given.ts";
import {
  chooseFile,
  entryOf,
  globalFiles,
  type Key,
  keyFor,
  keysOf,
  lineDiff,
  newGlobalFile,
  newProjectFile,
  PACKAGE,
  projectFiles,
  readConfig,
  withEntry,
  withoutEntry,
} from "../opencode-config.ts";
import { examine, openCodeVersion } from "../opencode-doctor.ts";
import { collect } from "../parse.ts";
import { styled } from "../text.ts";

interface PlaceOptions {
  global?: boolean;
  file?: string;
  yes?: boolean;
  dryRun?: boolean;
}
interface InstallOptions extends PlaceOptions {
  topic?: string[];
  mode?: string;
  from?: string;
  opencode?: "1" | "2";
}

export function register(program: Command, context: Context): void {
  const opencode = program
    .command("opencode")
    .description("the plugin that gives OpenCode's sessions events to work on");
  const install = place(
    opencode.command("install").description("add the plugin to OpenCode's configuration, pinned"),
  );
  install
    .option("-t, --topic <topic>", "claim from this topic; repeat for more", collect)
    .addOption(
      install
        .createOption("--mode <mode>", "how events reach a session")
        .choices(["inject", "suggest", "dedicated"]),
    )
    .option("--from <spec>", "the package from there, such as file:/path/opencode-signalbox.tgz")
    .addOption(
      install
        .createOption("--opencode <major>", "for this version; default: the one on the PATH")
        .choices(["1", "2"]),
    )
    .action((options: InstallOptions) => add(context, options));
  opencode
    .command("doctor", { isDefault: true })
    .description("tell whether the plugin can work, and why it does not")
    .action(() => doctor(context));
  place(opencode.command("uninstall").description("take the plugin out again, and nothing else")).action(
    (options: PlaceOptions) => take(context, options),
  );
}

function place(command: Command): Command {
  return command
    .option("-g, --global", "in the configuration of all projects")
    .option("--file <file>", "in this configuration file")
    .option("-y, --yes", "do not ask")
    .option("--dry-run", "only show the change");
}

function fileOf({ io }: Context, options: PlaceOptions): string {
  if (options.file !== undefined) return resolve(io.cwd, options.file);
  return options.global
    ? chooseFile(globalFiles(io.env), newGlobalFile(io.env))
    : chooseFile(projectFiles(io.cwd), newProjectFile(io.cwd));
}

async function add(context: Context, options: InstallOptions): Promise<void> {
  const file = fileOf(context, options);
  const before = readConfig(file);
  const major = options.opencode ?? openCodeVersion(context.io.env) ?? majorOf(before, file);
  const wanted = {
    key: keyFor(Number.parseInt(major, 10)),
    spec: `${PACKAGE}@${options.from ?? packageJson.version}`,
    options: optionsOf(before, file, options),
  };
  const after = withEntry(before, file, wanted);
  const isNew = !existsSync(file);
  const change = { file, before, after, question: `Write this to ${file}?` };
  await apply(context, change, options, () => {
    const records = readRecords(context);
    const had = keysOf(before, file);
    const createdKeys = (["plugin", "plugins"] as const).filter((key) => !had.includes(key));
    records[file] ??= { createdFile: isNew, createdKeys };
    writeRecords(context, records);
    context.out.remark(
      "OpenCode loads it at its next start. signalbox opencode doctor tells whether it can.",
    );
  });
}

/** Where no OpenCode can be asked, what is written there tells. */
function majorOf(text: string, file: string): string {
  return keysOf(text, file).includes("plugins") ? "2" : "1";
}

/** Those there are, with what is given now. Null: leave them as they are. */
function optionsOf(text: string, file: string, { topic, mode }: InstallOptions): JsonObject | null {
  const wanted = given({ topics: topic, mode });
  if (Object.keys(wanted).length === 0) return null;
  return { ...entryOf(text, file)?.options, ...wanted } as JsonObject;
}

async function take(context: Context, options: PlaceOptions): Promise<void> {
  const file = fileOf(context, options);
  const before = readConfig(file);
  const records = readRecords(context);
  const record = records[file];
  const after = withoutEntry(before, file, (key) => record?.createdKeys.includes(key) === true);
  const isOurs = record?.createdFile === true && isBare(after);
  const change = { file, before, after: isOurs ? "" : after, question: `Write this to ${file}?` };
  await apply(context, change, options, () => {
    if (isOurs) rmSync(realpathSync(file));
    delete records[file];
    writeRecords(context, records);
  });
}

/** Nothing in it but what install begins a file with. */
function isBare(text: string): boolean {
  return /^\s*\{\s*"\$schema"\s*:\s*"https:\/\/opencode\.ai\/config\.json"\s*,?\s*\}\s*$/.test(text);
}

interface Change {
  file: string;
  before: string;
  after: string;
  question: string;
}

/** Shows the change, asks, keeps a copy of what was there, and writes it in one step. */
async function apply(
  context: Context,
  { file, before, after, question }: Change,
  options: PlaceOptions,
  done: () => void,
): Promise<void> {
  const { out } = context;
  const changed = before !== after;
  const diff = changed ? lineDiff(before, after) : [];
  const result = { file, changed: changed && options.dryRun !== true, diff };
  if (!changed) return out.result(result, () => out.remark(`There is nothing to change in ${file}.`));
  if (!out.isJson()) for (const line of diff) out.line(painted(line));
  if (options.dryRun) return out.result(result, () => out.remark(`${file} was not changed.`));
  await confirmed(context, question, options.yes, "Nobody is here to ask.");
  const copy = before === "" ? null : keepCopy(context, file);
  if (after !== "") write(file, after);
  done();
  out.result({ ...result, backup: copy }, () => {
    out.line(`${file} is changed`);
    if (copy !== null) out.remark(`What was there before: ${copy}`);
  });
}

function painted(line: string) {
  if (line.startsWith("+")) return styled("green", line);
  return line.startsWith("-") ? styled("red", line) : styled("dim", line);
}

/** Where it may be a link to a file elsewhere, that one is written, whole or not at all. */
function write(file: string, text: string): void {
  const real = existsSync(file) ? realpathSync(file) : file;
  mkdirSync(dirname(real), { recursive: true });
  const draft = `${real}.${process.pid}.tmp`;
  if (existsSync(real)) copyFileSync(real, draft); // With its permissions.
  writeFileSync(draft, text);
  renameSync(draft, real);
}

const stateFolder = ({ paths }: Context) => join(dirname(paths.logFile), "opencode");

function keepCopy(context: Context, file: string): string {
  const folder = join(stateFolder(context), "before");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const copy = join(folder, `${new Date().toISOString().replaceAll(":", "")}-${basename(file)}`);
  copyFileSync(file, copy);
  return copy;
}

/** What install has made, by file: an uninstall takes that away as well. */
type Records = Record<string, { createdFile: boolean; createdKeys: readonly Key[] }>;

function readRecords(context: Context): Records {
  const file = join(stateFolder(context), "installed.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Records) : {};
}

function writeRecords(context: Context, records: Records): void {
  mkdirSync(stateFolder(context), { recursive: true, mode: 0o700 });
  writeFileSync(join(stateFolder(context), "installed.json"), `${JSON.stringify(records, null, 2)}\n`);
}

async function doctor(context: Context): Promise<void> {
  printFindings(context, await examine(context, packageJson.version));
}
