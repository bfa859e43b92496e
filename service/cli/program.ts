import { type Argument, Command } from "commander";
import { nearest } from "../lib/nearest.ts";
import type { Context } from "./context.ts";
import { examples } from "./examples.ts";
import { toJson } from "./text.ts";
import { UsageError } from "./usage.ts";

interface CommandModule {
  register(program: Command, context: Context): void;
}

/**
 * Modules by the commands they bring, under the headings and in the order of the help: only the one that is called is
 * loaded.
 */
const modules: readonly { group: string; names: readonly string[]; load: () => Promise<CommandModule> }[] = [
  { group: "Events and the queue:", names: ["push"], load: () => import("./commands/push.ts") },
  {
    group: "Events and the queue:",
    names: ["pull", "reply", "extend", "complete", "fail", "release"],
    load: () => import("./commands/pull.ts"),
  },
  { group: "Events and the queue:", names: ["query", "search"], load: () => import("./commands/query.ts") },
  { group: "Events and the queue:", names: ["watch"], load: () => import("./commands/watch.ts") },
  { group: "Events and the queue:", names: ["ask"], load: () => import("./commands/ask.ts") },
  { group: "Events and the queue:", names: ["topics"], load: () => import("./commands/topics.ts") },
  { group: "Events and the queue:", names: ["events"], load: () => import("./commands/events.ts") },
  {
    group: "Workflows and schedules:",
    names: ["workflow", "workflows", "runs"],
    load: () => import("./commands/workflow.ts"),
  },
  { group: "Workflows and schedules:", names: ["types"], load: () => import("./commands/types.ts") },
  { group: "Workflows and schedules:", names: ["schedules"], load: () => import("./commands/schedules.ts") },
  { group: "Workflows and schedules:", names: ["away"], load: () => import("./commands/away.ts") },
  {
    group: "Workflows and schedules:",
    names: ["run", "exec"],
    load: () => import("./commands/run.ts"),
  },
  { group: "Workflows and schedules:", names: ["repl"], load: () => import("./commands/repl.ts") },
  { group: "Workflows and schedules:", names: ["actions"], load: () => import("./commands/actions.ts") },
  { group: "What is done outside:", names: ["effects"], load: () => import("./commands/effects.ts") },
  { group: "What is done outside:", names: ["approvals"], load: () => import("./commands/approvals.ts") },
  { group: "What is done outside:", names: ["audit"], load: () => import("./commands/audit.ts") },
  { group: "What is done outside:", names: ["policy"], load: () => import("./commands/policy.ts") },
  {
    group: "What is done outside:",
    names: ["agents", "connectors"],
    load: () => import("./commands/agents.ts"),
  },
  { group: "Agents and editors:", names: ["mcp"], load: () => import("./commands/mcp.ts") },
  { group: "Agents and editors:", names: ["opencode"], load: () => import("./commands/opencode.ts") },
  { group: "Agents and editors:", names: ["skill"], load: () => import("./commands/skill.ts") },
  {
    group: "The service:",
    names: ["up", "down", "status", "doctor", "config", "backup", "cleanup"],
    load: () => import("./commands/service.ts"),
  },
  { group: "The service:", names: ["completion", "version"], load: () => import("./commands/completion.ts") },
];

/** The command that `args` call, or all of them where that is not clear (help, a mistyped name). */
export async function createProgram(
  args: readonly string[],
  context: Context,
  name: string,
): Promise<Command> {
  const noun = args.find((word) => !word.startsWith("-"));
  const called = modules.filter((module) => noun !== undefined && module.names.includes(noun));
  const program = bareProgram(context, name);
  // A completion script is made from all of them.
  const wanted = called.length === 0 || noun === "completion" ? modules : called;
  for (const { group, load } of wanted) {
    program.commandsGroup(group);
    (await load()).register(program, context);
  }
  program.helpCommand("help [command]", "show the help of a command");
  for (const command of program.commands) addHints(command, name, context);
  refuseUnknown(program, args);
  return program;
}

/** Says where the help of this very command is when it was not used as it is meant to be, and adds its examples. */
function addHints(command: Command, above: string, context: Context): void {
  const path = `${above} ${command.name()}`;
  const hint = `${path} --help ${command.commands.length > 0 ? "lists its commands" : "shows its options"}.`;
  command.showHelpAfterError(context.out.isJson() ? false : hint);
  command.configureOutput(errorOutput(context, hint));
  const shown = examples[path.split(" ").slice(1).join(" ")];
  if (shown) command.addHelpText("after", `\nExamples:\n${shown.map((one) => `  ${one}`).join("\n")}`);
  for (const below of command.commands) addHints(below, path, context);
}

/** Before commander, which shows all of the help, or takes the word for an argument of the noun's default command. */
function refuseUnknown(program: Command, args: readonly string[]): void {
  let at = program;
  for (const word of args.filter((one) => one !== "--json")) {
    if (word === "help" && at === program) continue;
    if (word.startsWith("-") || at.commands.length === 0) return;
    const found = at.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (found === undefined) throw unknownCommand(at, word);
    at = found;
  }
}

function unknownCommand(at: Command, word: string): UsageError {
  const path = at.parent === null ? at.name() : `${at.parent.name()} ${at.name()}`;
  const meant = nearest(
    word,
    at.commands.map((one) => one.name()),
  );
  const guess = meant === null ? "" : `Did you mean ${path} ${meant}? `;
  return new UsageError(`There is no command ${path} ${word}.`, `${guess}${path} --help lists the commands.`);
}

function bareProgram(context: Context, name: string): Command {
  const { out } = context;
  const hint = `${name} --help lists the commands, ${name} COMMAND --help its options.`;
  const program = new Command(name)
    .description("Durable events, workflows and agents on one SQLite file.")
    .option("--json", "print JSON: one document, or one a line for streams")
    .exitOverride()
    .showHelpAfterError(out.isJson() ? false : hint)
    .configureHelp({
      showGlobalOptions: true,
      // That nearly each has options as well goes without saying.
      subcommandTerm: (command) =>
        [command.name(), ...command.registeredArguments.map((one) => termOf(one))].join(" "),
    })
    .configureOutput({
      writeOut: (text) => out.raw(text),
      writeErr: (text) => out.rawError(text),
      getOutHelpWidth: () => Math.min(out.width(), 110),
      getErrHelpWidth: () => Math.min(out.width(), 110),
      ...errorOutput(context, hint),
    });
  program.addHelpText("after", `\n${name} COMMAND --help shows the options of a command, with examples.`);
  return program;
}

function termOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

const errorOutput = ({ out }: Context, hint: string) => ({
  outputError: (text: string, write: (text: string) => void) => {
    const message = text.trim().replace(/^error: /, "");
    const error = { error: { code: "wrong_usage", message, hint } };
    write(out.isJson() ? `${toJson(error)}\n` : text.replace(/^error: /, ""));
  },
});
