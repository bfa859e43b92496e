import { existsSync } from "node:fs";
import type { Context } from "./context.ts";
import { styled } from "./text.ts";

/** Where nothing is configured or recorded yet, says how to begin. @returns whether it did */
export function welcome({ out, paths }: Context): boolean {
  if (existsSync(paths.databaseFile) || existsSync(paths.configFile)) return false;
  const step = (command: string, meaning: string) =>
    out.line("  ", styled("cyan", command.padEnd(44)), meaning);
  out.line("Signalbox keeps events, hands them to agents and runs your workflows on them.");
  out.line("Nothing is recorded here yet. Begin with:\n");
  step('signalbox push inbox --body "hello"', "record an event (this starts the service)");
  step("signalbox pull inbox", "look at it");
  step("signalbox workflow new hello", "write a workflow that reacts to events");
  step("signalbox watch", "follow what happens");
  out.line("\nsignalbox --help lists all commands, signalbox doctor checks the installation.");
  out.line(`Settings go to ${paths.configFile}; docs/configuration.md has them all.`);
  return true;
}
