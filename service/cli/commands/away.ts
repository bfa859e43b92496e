import type { Command } from "commander";
import type { AwayItem, AwayReply } from "../../contract/health.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { moment } from "../parse.ts";
import { count, type Style, showAge, showTime, styled } from "../text.ts";

interface AwayOptions {
  since?: number;
  by?: string;
  seen?: boolean;
}

export function register(program: Command, context: Context): void {
  program
    .command("away")
    .description("tell what happened since you last looked, and what settles it")
    .option("--since <time>", "since then instead: a date, or how long ago (8h)", moment)
    .option("--by <name>", "whose look it is; default: SIGNALBOX_AGENT, else you")
    .option("--seen", "remember that this was seen")
    .action((options: AwayOptions) => away(context, options));
}

async function away({ client, out, agent }: Context, options: AwayOptions): Promise<void> {
  const service = await client();
  const by = given({ by: agent(options.by) });
  const reply = await service.getAway({ ...by, ...given({ since_ms: options.since }) });
  if (options.seen) await service.markSeen({ ...by, until_ms: reply.until_ms });
  out.result(reply, () => {
    printBoard(out, reply);
    if (reply.items.length > 0 && !options.seen) {
      out.remark("\nsignalbox away --seen leaves these out the next time.");
    }
  });
}

const urgent: readonly AwayItem["kind"][] = [
  "effect_waiting",
  "effect_unknown",
  "part_degraded",
  "workflow_parked",
];

function printBoard(out: Context["out"], { items, since_ms }: AwayReply): void {
  const since = since_ms === null ? "so far" : `since ${showTime(since_ms)}`;
  if (items.length === 0) {
    out.remark(`Nothing has happened ${since} that waits for you.`);
    return;
  }
  out.line(styled("bold", `${count(items.length, "thing")} ${since}`));
  const width = Math.max(...items.flatMap(({ actions }) => actions.map(({ label }) => label.length)));
  for (const { kind, title, detail, time_ms, actions } of items) {
    const style: Style = urgent.includes(kind) ? "red" : "yellow";
    out.line("\n", styled(style, title), styled("dim", `  ${showAge(time_ms)}`));
    if (detail !== null) out.line(`  ${detail.split("\n")[0] ?? ""}`);
    for (const { label, command } of actions)
      out.line("  ", styled("dim", label.padEnd(width)), `  ${command}`);
  }
}
