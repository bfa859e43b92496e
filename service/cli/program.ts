import { Command } from "commander";
import type { Context } from "./context.ts";
import { toJson } from "./text.ts";

interface CommandModule {
  register(program: Command, context: Context): void;
}

/** Modules by the commands they bring, in the order of the help: only the one that is called is loaded. */
const modules: readonly { names: readonly string[]; load: () => Promise<CommandModule> }[] = [
  { names: ["push"], load: () => import("./commands/push.ts") },
  {
    names: ["pull", "reply", "extend", "complete", "fail", "release"],
    load: () => import("./commands/pull.ts"),
  },
  { names: ["query", "search"], load: () => import("./commands/query.ts") },
  { names: ["watch"], load: () => import("./commands/watch.ts") },
  { names: ["ask"], load: () => import("./commands/ask.ts") },
  { names: ["topics"], load: () => import("./commands/topics.ts") },
  { names: ["events"], load: () => import("./commands/events.ts") },
  { names: ["workflow", "workflows", "runs"], load: () => import("./commands/workflow.ts") },
  { names: ["schedules"], load: () => import("./commands/schedules.ts") },
  { names: ["away"], load: () => import("./commands/away.ts") },
  { names: ["effects"], load: () => import("./commands/effects.ts") },
  { names: ["approvals"], load: () => import("./commands/approvals.ts") },
  { names: ["audit"], load: () => import("./commands/audit.ts") },
  { names: ["policy"], load: () => import("./commands/policy.ts") },
  { names: ["agents", "connectors"], load: () => import("./commands/agents.ts") },
  {
    names: ["up", "down", "status", "doctor", "config", "backup", "cleanup"],
    load: () => import("./commands/service.ts"),
  },
  { names: ["completion", "version"], load: () => import("./commands/completion.ts") },
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
  for (const { load } of wanted) (await load()).register(program, context);
  return program;
}

function bareProgram({ out }: Context, name: string): Command {
  const program = new Command(name)
    .description("Durable events, workflows and agents on one SQLite file.")
    .option("--json", "print JSON: one document, or one a line for streams")
    .exitOverride()
    .showHelpAfterError(
      out.isJson() ? false : `${name} --help lists the commands, ${name} COMMAND --help its options.`,
    )
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => out.raw(text),
      writeErr: (text) => out.rawError(text),
      getOutHelpWidth: () => Math.min(out.width(), 110),
      getErrHelpWidth: () => Math.min(out.width(), 110),
      outputError: (text, write) => write(out.isJson() ? usageJson(text) : text.replace(/^error: /, "")),
    });
  program.addHelpText("after", `\n${name} COMMAND --help shows the options of a command.`);
  return program;
}

function usageJson(text: string): string {
  const message = text.trim().replace(/^error: /, "");
  return `${toJson({ error: { code: "invalid_request", message, hint: "See --help." } })}\n`;
}
