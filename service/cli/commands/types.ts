import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { eventAnnotations } from "../../client/event-annotations.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { wholeNumber } from "../parse.ts";
import { printTable } from "../table.ts";
import { count, showTime, styled } from "../text.ts";
import { workflowsDir } from "../workflow-actions.ts";

interface TypeOptions {
  subject?: string;
  type?: string;
  limit: number;
}

export function register(program: Command, context: Context): void {
  const types = program.command("types").description("what payloads of recorded events look like");
  filters(
    types.command("list", { isDefault: true }).description("list types with the fields of their payloads"),
  ).action((options: TypeOptions) => list(context, options));
  filters(types.command("export").description("write them as EmmyLua classes, for editors"))
    .option(
      "-o, --output <file>",
      "- writes to standard output; default: types/events.lua in the workflow folder",
    )
    .action((options: TypeOptions & { output?: string }) => save(context, options));
}

function filters(command: Command): Command {
  return command
    .option("--subject <pattern>", "of events whose subject matches")
    .option("--type <type>", "of this type")
    .option("-n, --limit <count>", "look at so many events, the newest", wholeNumber, 200);
}

async function find({ client }: Context, { subject, type, limit }: TypeOptions) {
  return (await client()).listTypes({ limit, ...given({ subject, type }) });
}

async function list(context: Context, options: TypeOptions): Promise<void> {
  const { out } = context;
  const reply = await find(context, options);
  out.result(reply, () =>
    printTable(out, {
      head: ["TYPE", "LOOKED AT", "LAST", "PAYLOAD"],
      rows: reply.types.map(({ type, sampled, last_ms, payload }) => [
        type,
        String(sampled),
        styled("dim", showTime(last_ms)),
        Object.entries(payload.fields ?? {})
          .map(([name, { presence }]) => (presence < 1 ? `${name}?` : name))
          .join(" "),
      ]),
      empty: "No event was recorded yet.",
    }),
  );
}

async function save(
  context: Context,
  { output, ...options }: TypeOptions & { output?: string },
): Promise<void> {
  const { out, io } = context;
  const { types } = await find(context, options);
  const text = eventAnnotations(types);
  if (output === "-") {
    out.raw(text);
    return;
  }
  const file =
    output === undefined ? join(await workflowsDir(context), "types", "events.lua") : resolve(io.cwd, output);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  out.result({ file, types: types.length }, () =>
    out.line(`${count(types.length, "type")} written to ${file}`),
  );
}
