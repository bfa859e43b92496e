import type { Command } from "commander";
import packageJson from "../../../package.json" with { type: "json" };
import type { Context } from "../context.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

export function register(program: Command, context: Context): void {
  const completion = program
    .command("completion")
    .description("print a script that completes commands in your shell");
  completion
    .addArgument(completion.createArgument("<shell>").choices(shells))
    .addHelpText("after", "\nAdd it for good: signalbox completion bash >> ~/.bashrc")
    .action(async (shell: Shell) => {
      const { completionScript } = await import("../completion-script.ts");
      context.out.raw(completionScript(shell, program));
    });
  program
    .command("version")
    .description("print the version, and that of the running service")
    .action(async () => {
      const service = (await (await context.runningClient())?.getInfo()) ?? null;
      const versions = {
        version: packageJson.version,
        node: process.version,
        service: service?.version ?? null,
      };
      context.out.result(versions, () => {
        context.out.line(packageJson.version);
        if (service !== null && service.version !== packageJson.version) {
          context.out.remark(`The running service is ${service.version}; signalbox down ends it.`);
        }
      });
    });
}
