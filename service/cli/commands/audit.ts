import { closeSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { wholeNumber } from "../parse.ts";
import { printTable } from "../table.ts";
import { count, showTime, styled } from "../text.ts";
import { UsageError } from "../usage.ts";

export function register(program: Command, context: Context): void {
  const audit = program
    .command("audit")
    .description("the trail of decisions about effects and of their ends");
  audit
    .command("list", { isDefault: true })
    .description("list entries, oldest first")
    .option("--effect <id>", "of this effect")
    .option("--after <seq>", "after this entry", wholeNumber)
    .option("-n, --limit <count>", "at most so many", wholeNumber, 100)
    .action((options: { effect?: string; after?: number; limit: number }) => list(context, options));
  audit
    .command("verify")
    .description("see whether the trail is whole and unchanged")
    .option("--head <hash>", "a hash noted earlier, which has to be in it")
    .action((options: { head?: string }) => verify(context, options));
  audit
    .command("export")
    .description("write all entries to a file, one JSON document a line")
    .argument("<file>", "- writes to standard output")
    .action((file: string) => save(context, file));
}

async function list(
  { client, out }: Context,
  { effect, after, limit }: { effect?: string; after?: number; limit: number },
): Promise<void> {
  const page = await (await client()).listAudit({ limit, ...given({ effect_id: effect, after }) });
  out.result(page, () => {
    printTable(out, {
      head: ["#", "TIME", "WHAT", "EFFECT", "BY", "DETAIL"],
      rows: page.entries.map((entry) => [
        String(entry.seq),
        styled("dim", showTime(entry.time_ms)),
        entry.kind,
        entry.effect_id,
        entry.actor ?? "",
        String(entry.detail.rule ?? entry.detail.reason ?? entry.detail.error ?? ""),
      ]),
      flexible: [5],
      empty: "Nothing was decided yet.",
    });
    if (page.next !== null) out.remark(`There is more: --after ${page.next}`);
  });
}

async function verify(context: Context, { head }: { head?: string }): Promise<void> {
  const reply = await (await context.client()).verifyAudit(given({ head }));
  context.out.result(reply, () => {
    if (reply.ok)
      context.out.line(
        styled("green", "whole"),
        `  ${count(reply.entries, "entry", "entries")}  ${reply.head ?? ""}`,
      );
    else context.out.line(styled("red", "broken"), `  ${reply.problem}`);
  });
  if (!reply.ok) context.exit(1);
}

async function save({ client, out, io }: Context, file: string): Promise<void> {
  const entries = (await client()).exportAudit({});
  if (file === "-") {
    for await (const entry of entries) out.raw(`${JSON.stringify(entry)}\n`);
    return;
  }
  const target = openNew(resolve(io.cwd, file));
  let written = 0;
  try {
    for await (const entry of entries) {
      writeSync(target, `${JSON.stringify(entry)}\n`);
      written += 1;
    }
  } finally {
    closeSync(target);
  }
  out.result({ file, entries: written }, () => out.line(`${file}  ${count(written, "entry", "entries")}`));
}

function openNew(file: string): number {
  try {
    return openSync(file, "wx", 0o600);
  } catch (error) {
    throw new UsageError(`${file} can't be written: ${(error as Error).message}`, "Name a new file.");
  }
}
