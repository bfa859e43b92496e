import { isAbsolute, resolve } from "node:path";
import type { Command } from "commander";
import type { ScriptRequest } from "../../contract/actions.ts";
import type { Json, JsonObject } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Run } from "../../contract/workflows.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { readAll, readInput } from "../input.ts";
import { jsonObject } from "../parse.ts";
import { createAsk, followScript, interruptOf } from "../script-run.ts";
import { printEnd } from "../script-view.ts";
import { count, styled } from "../text.ts";
import { UsageError } from "../usage.ts";
import { printProposed } from "../workflow-view.ts";

export interface RunOptions {
  actions?: string;
  yes?: boolean;
  dryRun?: boolean;
}
interface ExecOptions extends RunOptions {
  params?: JsonObject;
}

const INTERRUPTED = 130;

export function register(program: Command, context: Context): void {
  withActions(program.command("run").description("run a Lua script over actions"))
    .argument("<script>", "a .lua file; - reads standard input")
    .argument("[args...]", "what the script finds in arg; words that begin with - go behind --")
    .option("--dry-run", "do nothing; show what would be done, with made-up answers")
    .action((file: string, args: string[], options: RunOptions) => runScript(context, file, args, options));
  withActions(program.command("exec").description("run one action and print its answer as JSON"))
    .argument("<action>", "such as prometheus.query")
    .argument("[words...]", "parameters as --name value, behind --")
    .option("-p, --params <json>", "parameters, a JSON object; or pipe one in", jsonObject)
    .action((action: string, words: string[], options: ExecOptions) => exec(context, action, words, options));
}

export function withActions(command: Command): Command {
  return command
    .option(
      "--actions <source>",
      "an actions repository, a folder or a git URL; default: the one that is set",
    )
    .option("-y, --yes", "approve what this run asks for; recorded in the audit trail");
}

async function runScript(context: Context, file: string, args: string[], options: RunOptions): Promise<void> {
  const request: ScriptRequest = {
    file: file === "-" ? "stdin.lua" : file,
    source: withoutShebang(await readInput(context.io, file)),
    args,
    ...scriptSettings(context, options),
  };
  if (options.dryRun) await dryRun(context, request);
  else await runToEnd(context, request, options.yes ?? false);
}

/** What all scripts of this command line have in common. */
export function scriptSettings(context: Context, { actions }: RunOptions) {
  const { io } = context;
  return {
    ...{ cwd: io.cwd, by: context.agent(undefined) ?? "cli" },
    ...given({ repository: repositoryOf(io.cwd, actions) }),
  };
}

/** Folders from here; git URLs as they are. */
export function repositoryOf(cwd: string, source: string | undefined): string | undefined {
  if (source === undefined || isAbsolute(source)) return source;
  const isUrl = /^(git\+)?[a-z][a-z0-9+.-]*:\/\//i.test(source) || /^[^/\\:]+@[^/\\:]+:/.test(source);
  return isUrl ? source : resolve(cwd, source);
}

async function runToEnd(context: Context, request: ScriptRequest, yes: boolean): Promise<void> {
  const run = await follow(context, request, yes, (text) => printRaw(context, text));
  if (!context.out.isJson()) printEnd(context.out, run);
  finish(context, run);
}

async function follow(
  context: Context,
  request: ScriptRequest,
  yes: boolean,
  onPrint: (text: string) => void,
): Promise<Run> {
  const client = await context.client();
  const started = await client.startScript(request).catch((error: unknown) => {
    throw asScriptError(error);
  });
  const [asking, interrupt] = [createAsk(context), interruptOf(context)];
  try {
    const options = { yes, ask: asking.ask, signal: interrupt.signal, onPrint };
    return await followScript(context, started.run_id, options);
  } finally {
    asking.close();
    interrupt.close();
  }
}

function finish(context: Context, run: Run): void {
  if (run.status === "cancelled") context.exit(INTERRUPTED);
  else if (run.status !== "succeeded") context.exit(1);
}

/** A text that does not load is an error of the script like any other (K16). */
function asScriptError(error: unknown): unknown {
  if (!SignalboxError.is(error, "workflow_load_failed")) return error;
  const { message, details } = error;
  return new SignalboxError(error.code, `Error: ${message}`, { details, hint: "Nothing of it has run." });
}

/** As the script says it into a pipe or a file; on a terminal without what a terminal would obey. */
export function printRaw({ io, out }: Context, text: string): void {
  if (io.stdout.isTTY) out.line(text);
  else out.raw(`${text}\n`);
}

function withoutShebang(text: string): string {
  return text.replace(/^\uFEFF/, "").replace(/^#!/, "--");
}

async function dryRun(context: Context, request: ScriptRequest): Promise<void> {
  const { out } = context;
  const client = await context.client();
  const dry = await client.dryRunScript(request).catch((error: unknown) => {
    throw asScriptError(error);
  });
  if (dry.status === "failed") context.exit(1);
  out.result(dry, () => {
    for (const effect of dry.effects) printProposed(out, effect);
    out.remark(
      `${count(dry.effects.length, "act")} outside, none of them done. Answers were made up, so others may follow.`,
    );
    if (dry.waiting_for !== null) out.remark(`It ends here, waiting for ${dry.waiting_for}.`);
    if (dry.error !== null) out.remark(styled("red", `Error: ${dry.error.message}`));
  });
}

async function exec(context: Context, action: string, words: string[], options: ExecOptions): Promise<void> {
  if (!/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$/.test(action) && !/^[A-Za-z_]\w*$/.test(action))
    throw new UsageError(`${action} is no action's name.`, "signalbox actions lists them.");
  const params = await paramsOf(context, action, words, options);
  const request: ScriptRequest = {
    file: `${action}.lua`,
    source: `return actions.${action}(json.decode(arg[1]))`,
    args: [JSON.stringify(params)],
    ...scriptSettings(context, options),
  };
  const run = await follow(context, request, options.yes ?? false, (text) => context.out.remark(text));
  if (!context.out.isJson()) {
    if (run.status === "succeeded") context.out.json(run.output);
    else printEnd(context.out, run);
  }
  finish(context, run);
}

/** Words over the piped object over nothing; words become numbers and switches where the schema says so. */
async function paramsOf(
  context: Context,
  action: string,
  words: string[],
  options: ExecOptions,
): Promise<JsonObject> {
  const piped = options.params === undefined && words.length === 0 && context.io.hasPipedInput();
  const text = piped ? (await readAll(context.io)).trim() : "";
  const params: JsonObject = { ...options.params, ...(text === "" ? {} : jsonObject(text)) };
  if (words.length === 0) return params;
  const client = await context.client();
  const shown = await client.getAction({
    action,
    ...given({ repository: repositoryOf(context.io.cwd, options.actions) }),
  });
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const [, name, inline] = /^--([\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) throw new UsageError(`${word} is no parameter.`, "Write --name value.");
    const type = shown.schema.input?.[name]?.type;
    const next = words[index + 1];
    if (inline === undefined && (type === "boolean" || next === undefined || next.startsWith("--")))
      params[name] = true;
    else {
      params[name] = asType(inline ?? next ?? "", type);
      if (inline === undefined) index += 1;
    }
  }
  return params;
}

function asType(text: string, type: string | undefined): Json {
  if (type === undefined || type === "string") return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text; // The schema says what is wrong with it.
  }
}
