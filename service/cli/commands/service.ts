import { resolve } from "node:path";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { collect, duration } from "../parse.ts";
import { count } from "../text.ts";

interface UpOptions {
  background?: boolean;
  set?: string[];
  logLevel?: string;
}

export function register(program: Command, context: Context): void {
  const up = program.command("up").description("run the service here, or in the background");
  up.option("--background", "start it and come back once it is ready")
    .option("--set <section.key=value>", "a setting for this time; repeat for more", collect)
    .addOption(
      up
        .createOption("--log-level <level>", "quietest level that is logged")
        .choices(["debug", "info", "warn", "error"]),
    )
    .action(async (options: UpOptions) => (await import("../service-actions.ts")).up(context, options));
  program
    .command("down")
    .description("stop the service in an orderly way")
    .action(async () => (await import("../service-actions.ts")).down(context));
  program
    .command("status")
    .description("tell how the service is")
    .action(async () => (await import("../service-view.ts")).status(context));
  program
    .command("doctor")
    .description("check this installation: integrity, permissions, settings, older names in use")
    .action(async () => (await import("../doctor.ts")).doctor(context));
  program
    .command("config")
    .description("list effective settings and where each comes from")
    .argument("[text]", "only settings whose name contains this")
    .option("--changed", "only settings that somebody changed")
    .action(async (text: string | undefined, options: { changed?: boolean }) =>
      (await import("../service-view.ts")).config(context, text, options.changed === true),
    );
  upkeep(program, context);
}

function upkeep(program: Command, context: Context): void {
  program
    .command("backup")
    .description("copy the database while it runs")
    .argument("<file>")
    .option("--overwrite", "replace a file that is there already")
    .action(async (file: string, options: { overwrite?: boolean }) => {
      const client = await context.client();
      const target = resolve(context.io.cwd, file);
      const reply = await client.backup({ file: target, overwrite: options.overwrite === true });
      context.out.result(reply, () => {
        context.out.line(
          `${reply.file}  ${count(reply.events, "event")}, ${Math.ceil(reply.bytes / 1024)} KB`,
        );
      });
    });
  program
    .command("cleanup")
    .description("remove what is older than its retention")
    .option(
      "--older-than <time>",
      "finished events older than this, instead of the retention that is set",
      duration,
    )
    .option("--dry-run", "only count")
    .action(async (options: { olderThan?: number; dryRun?: boolean }) => {
      const client = await context.client();
      const older = options.olderThan === undefined ? {} : { completed_older_than_ms: options.olderThan };
      const reply = await client.cleanup({ ...older, dry_run: options.dryRun === true });
      context.out.result(reply, () => {
        const { events, raw, runs, effects } = reply;
        const what = [
          count(events, "event"),
          count(raw, "original message"),
          count(runs, "run"),
          count(effects, "effect"),
        ];
        context.out.line(`${what.join(", ")} ${reply.dry_run ? "would be removed" : "removed"}`);
      });
    });
}
