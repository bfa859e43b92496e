import type { Command } from "commander";
import type { Json } from "../../contract/common.ts";
import type { Context } from "../context.ts";
import { duration, json, jsonObject, wholeNumber } from "../parse.ts";
import * as actions from "../workflow-actions.ts";
import type { LogOptions, NewOptions, RunOptions, RunsOptions, TestOptions } from "../workflow-options.ts";
import * as views from "../workflow-view.ts";

const runStatuses = ["queued", "running", "waiting", "succeeded", "failed", "cancelled", "skipped"];

export function register(program: Command, context: Context): void {
  const workflow = program
    .command("workflow")
    .alias("workflows")
    .description("Lua files that react to events");
  looking(workflow, context);
  changing(workflow, context);

  const runs = program.command("runs").description("handlers' work on events");
  addRunFilters(runs.command("list", { isDefault: true }).description("list runs, newest first"))
    .option("--workflow <name>", "of this workflow")
    .action((options: RunsOptions) => views.printRuns(context, options));
  runs
    .command("show")
    .description("show a run; with an event's id, how far all its runs are")
    .argument("<id>")
    .action(
      async (run_id: string) => void (await views.showRun(context, (client) => client.getRun({ run_id }))),
    );
  runs
    .command("retry")
    .description("run a failed run again")
    .argument("<id>")
    .action(async (run_id: string) => {
      const run = await views.showRun(context, (client) => client.retryRun({ run_id }));
      if (run.status === "failed") context.exit(1);
    });
  runs
    .command("cancel")
    .description("end a waiting run")
    .argument("<id>")
    .action(
      async (run_id: string) => void (await views.showRun(context, (client) => client.cancelRun({ run_id }))),
    );
}

function looking(workflow: Command, context: Context): void {
  workflow
    .command("list", { isDefault: true })
    .description("list workflows")
    .action(() => views.printWorkflows(context));
  workflow
    .command("show")
    .description("show a workflow with its handlers")
    .argument("<name>")
    .action((name: string) => views.showWorkflow(context, name));
  addRunFilters(
    workflow.command("runs").description("list runs, newest first").argument("[name]", "of this workflow"),
  ).action((name: string | undefined, options: RunsOptions) =>
    views.printRuns(context, name === undefined ? options : { ...options, workflow: name }),
  );
  const logs = workflow.command("logs").description("read a workflow's log lines").argument("<name>");
  logs
    .option("-f, --follow", "go on with new ones until Ctrl-C")
    .addOption(
      logs
        .createOption("--level <level>", "quietest level")
        .choices(["debug", "info", "warn", "error"])
        .default("debug"),
    )
    .option("-n, --limit <count>", "at most so many", wholeNumber, 100)
    .action((name: string, options: LogOptions) => views.printLogs(context, name, options));
}

function addRunFilters(command: Command): Command {
  return command
    .addOption(command.createOption("--status <status>", "in this state").choices(runStatuses))
    .option("--event <id>", "on this event")
    .option("-n, --limit <count>", "at most so many", wholeNumber, 50)
    .option("--before <id>", "the page after the one that named this id");
}

function changing(workflow: Command, context: Context): void {
  // In the order of the words, whichever of the two options they stand behind.
  const answers: NonNullable<TestOptions["answers"]> = [];
  workflow
    .command("new")
    .description("write a workflow to begin with, from a template or from a recorded event")
    .argument("[name]")
    .option("-t, --template <name>", `what to begin with: ${actions.templateNames.join(", ")}`)
    .option("--event <id>", "hear events like this one")
    .option("--list-templates", "list the templates")
    .action((name: string | undefined, options: NewOptions) => actions.create(context, name, options));
  workflow
    .command("check")
    .description("load a file without running it; without one, all in the workflow folder")
    .argument("[files...]", "- reads standard input")
    .action((files: string[]) => actions.check(context, files));
  workflow
    .command("test")
    .description("run a workflow on an event and show what it would do; nothing is done")
    .argument("<file>", "a .lua file, or the name of a loaded workflow")
    .requiredOption(
      "--event <id|file>",
      "a recorded event's id, or a file with an event as JSON; - reads standard input",
    )
    .option("--result <json>", "what the next call, question or action gets; repeat for more", (text) => {
      answers.push({ result: json(text) as Json });
    })
    .option("--fail <message>", "the next one fails with this; repeat for more", (text) => {
      answers.push({ error: text });
    })
    .action((file: string, options: TestOptions) => actions.test(context, file, { ...options, answers }));
  workflow
    .command("run")
    .description("give a workflow a recorded event once more, or a new one with a payload")
    .argument("<name>")
    .option("--event <id>", "a recorded event")
    .option("-p, --payload <json>", "data of a new event, a JSON object", jsonObject)
    .option("-b, --body <text>", "text of a new event")
    .option("-t, --type <type>", "type of the new event; default: the first pattern without wildcards")
    .option(
      "-w, --wait [seconds]",
      "how long to wait; without a number as long as it takes (default: 10)",
      duration,
    )
    .option("--no-wait", "do not wait")
    .action((name: string, options: RunOptions) => actions.run(context, name, options));
  for (const verb of ["enable", "disable"] as const) {
    workflow
      .command(verb)
      .description(
        verb === "enable"
          ? "let a workflow run, and clear its strikes"
          : "give it no more events; what comes meanwhile is not made up for",
      )
      .argument("<name>")
      .action((name: string) => actions.toggle(context, verb, name));
  }
  workflow
    .command("reload")
    .description("load all files again")
    .action(() => actions.reload(context));
}
