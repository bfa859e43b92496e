import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import type { Action, ActionDetail } from "../../contract/actions.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Output as Reply } from "../../contract/routes.ts";
import { assertName, removeAction, writeAction, writeNamespace, writeStarter } from "../action-files.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { requirePerson } from "../person.ts";
import { approvalPart, printAction } from "../script-view.ts";
import { printTable } from "../table.ts";
import { count, styled } from "../text.ts";
import { UsageError } from "../usage.ts";
import { printProblem } from "../workflow-view.ts";
import { repositoryOf } from "./run.ts";

interface SourceOptions {
  actions?: string;
}
interface AddOptions extends SourceOptions {
  entrypoint?: string;
  executor: "native" | "docker" | "envyr";
  subdir?: string;
  tag?: string;
  description?: string;
}

export function register(program: Command, context: Context): void {
  const actions = program.command("actions").description("programs that workflows and scripts call");
  looking(actions, context);
  deciding(actions, context);
  changing(actions, context);
}

const FROM = [
  "--actions <source>",
  "this repository, a folder or a git URL; default: the one that is set",
] as const;

function looking(actions: Command, context: Context): void {
  actions
    .command("list", { isDefault: true })
    .description("list them")
    .option(...FROM)
    .action((options: SourceOptions) => list(context, options));
  actions
    .command("describe")
    .description("show an action: what runs, what it may do, whether that was approved")
    .argument("<name>")
    .option(...FROM)
    .action(async (name: string, options: SourceOptions) => {
      const action = await fetchAction(context, name, options);
      context.out.result(action, () => printAction(context.out, action));
    });
  actions
    .command("validate")
    .description("load a repository and look at the files of each action")
    .argument("[dir]", "default: the one that is set")
    .action((dir: string | undefined) => validate(context, dir));
  actions
    .command("reload")
    .description("read the repository again, from its remote where it is a git URL")
    .action(async () => {
      const reply = await (await context.client()).reloadActions();
      if (reply.repository.problem !== null) context.exit(1);
      context.out.result(reply, () => {
        context.out.line(`${count(reply.actions, "action")} of ${reply.repository.dir ?? "no repository"}`);
        if (reply.repository.problem !== null) printProblem(context.out, reply.repository.problem);
      });
    });
}

function deciding(actions: Command, context: Context): void {
  actions
    .command("approve")
    .description("approve an action as it is now, ahead of its first run")
    .argument("<name>")
    .option(...FROM)
    .option("-y, --yes", "do not ask")
    .option("--sha256 <hash>", "only if it is still what describe showed")
    .option("--reason <text>", "for the audit trail")
    .action((name: string, options: SourceOptions & { yes?: boolean; sha256?: string; reason?: string }) =>
      approve(context, name, options),
    );
  actions
    .command("update")
    .description(
      "take the newest commit of an action's source, and show what changed; it is asked about again",
    )
    .argument("[name]", "default: all whose source is a git URL")
    .option(...FROM)
    .action((name: string | undefined, options: SourceOptions) => update(context, name, options));
}

function changing(actions: Command, context: Context): void {
  actions
    .command("init")
    .description("write a repository that works at once; with --namespace only a namespace")
    .argument("[dir]", "default: the one that is set")
    .option("--namespace <name>", "such as infra.kubernetes, in a repository that is there")
    .action((dir: string | undefined, options: { namespace?: string }) => init(context, dir, options));
  const add = actions
    .command("add")
    .description("add an action; a git source is pinned to its present commit")
    .argument("<source>", "a folder, a script, or a git URL")
    .argument("<name>", "such as web.fetch");
  add
    .option(...FROM)
    .option("--entrypoint <file>", "the program among its files")
    .addOption(
      add
        .createOption("--executor <id>", "how it runs")
        .choices(["native", "docker", "envyr"])
        .default("native"),
    )
    .option("--subdir <path>", "a folder inside the source")
    .option("--tag <ref>", "branch, tag or commit of a git source, which update follows")
    .option("--description <text>", "what it does")
    .action((source: string, name: string, options: AddOptions) => addAction(context, source, name, options));
  actions
    .command("edit")
    .description("open an action's file in $VISUAL or $EDITOR")
    .argument("<name>")
    .option(...FROM)
    .action((name: string, options: SourceOptions) => edit(context, name, options));
  actions
    .command("remove")
    .description("remove an action from the repository; its program stays")
    .argument("<name>")
    .option(...FROM)
    .option("-y, --yes", "do not ask")
    .action((name: string, options: SourceOptions & { yes?: boolean }) => remove(context, name, options));
}

async function list(context: Context, options: SourceOptions): Promise<void> {
  const { out } = context;
  const reply = await (await context.client()).listActions({ ...from(context, options), detail: true });
  const { repository, actions } = reply;
  if (repository.problem !== null) context.exit(1);
  out.result(reply, () => {
    printTable(out, {
      head: ["NAME", "EXECUTOR", "APPROVAL", "SOURCE", "ABOUT"],
      rows: actions.map(({ name, executor, source, description, approval, problem }) => [
        styled("bold", name),
        executor,
        problem != null
          ? styled("red", "broken")
          : approval === "approved"
            ? styled("green", approval)
            : "new",
        source,
        problem ?? description ?? "",
      ]),
      flexible: [3, 4],
      empty:
        repository.dir === null
          ? "There is no actions repository yet. signalbox actions init writes one to begin with."
          : `${repository.dir} has no actions. Add one: signalbox actions add SOURCE NAME`,
    });
    if (repository.problem !== null) printProblem(out, repository.problem);
  });
}

async function validate(context: Context, dir: string | undefined): Promise<void> {
  const { out, io } = context;
  const repository = repositoryOf(io.cwd, dir);
  const reply = await (await context.client()).validateActions(given({ repository }));
  if (!reply.ok) context.exit(1);
  out.result(reply, () => {
    if (reply.repository.problem !== null) printProblem(out, reply.repository.problem);
    for (const { name, file, line, problem } of reply.actions) {
      const mark = problem === null ? styled("green", "ok ") : styled("red", "bad");
      out.line(mark, `  ${name}  `, styled("dim", `${file}:${line}`));
      if (problem !== null) out.line(`     ${problem}`);
    }
    if (reply.actions.length === 0) out.remark("It defines no actions.");
  });
}

async function approve(
  context: Context,
  name: string,
  options: SourceOptions & { yes?: boolean; sha256?: string; reason?: string },
): Promise<void> {
  const { out } = context;
  requirePerson(context);
  const shown = await fetchAction(context, name, options);
  if (shown.sha256 === null)
    throw new SignalboxError("action_source", shown.problem ?? `${name} can't be looked at`);
  if (!out.isJson()) printAction(out, shown);
  if (options.yes !== true && options.sha256 === undefined)
    await confirm(context, "Approve exactly this? [y/N] ");
  const reply = await (await context.client()).approveAction({
    action: name,
    sha256: options.sha256 ?? shown.sha256,
    by: "cli",
    ...given({ reason: options.reason }),
    ...from(context, options),
  });
  out.result(reply, () =>
    out.line(approvalPart(reply.approval, reply.approved_by), `  ${name}  ${reply.sha256}`),
  );
}

async function update(context: Context, name: string | undefined, options: SourceOptions): Promise<void> {
  const { out } = context;
  const client = await context.client();
  const { actions, repository } = await client.listActions(from(context, options));
  const wanted = actions.filter((one) => (name === undefined ? isGit(one.source) : one.name === name));
  if (name !== undefined && wanted.length === 0)
    await client.getAction({ action: name, ...from(context, options) });
  const updates: ({ action: string } & Reply<"updateAction">)[] = [];
  for (const action of wanted) {
    const reply = await client.updateAction({ action: action.name, ...from(context, options) });
    const pinned = /#([0-9a-f]{40,64})$/.exec(action.source)?.[1];
    const moved = pinned !== undefined && reply.after.commit !== null && reply.after.commit !== pinned;
    if (moved) repin(repository.dir, action, pinned, reply.after.commit ?? "");
    updates.push({ action: action.name, ...reply });
  }
  if (updates.length > 0) await client.reloadActions();
  out.result({ updates }, () => {
    if (updates.length === 0) out.remark("No action has a git source, so there is nothing to update.");
    for (const { action, before, after, changes } of updates) {
      if (before.digest === after.digest) {
        out.line(
          styled("bold", action),
          "  unchanged",
          styled("dim", after.commit === null ? "" : `  ${after.commit}`),
        );
        continue;
      }
      out.line(styled("bold", action), `  ${before.commit ?? "folder"} → ${after.commit ?? "folder"}`);
      for (const change of changes) out.line(`  ${change}`);
      out.line(styled("yellow", "  It is asked about again before it runs."));
    }
  });
}

/** Writes the new commit where the old one stands in the action's file. */
function repin(dir: string | null, { file, name }: Action, before: string, after: string): void {
  const whole = join(localDir(dir), file);
  const text = readFileSync(whole, "utf8");
  if (!text.includes(`#${before}`)) {
    throw new SignalboxError("conflict", `${file} does not hold the commit of ${name}`, {
      hint: `Its source is put together elsewhere; write #${after} there.`,
    });
  }
  writeFileSync(whole, text.replaceAll(`#${before}`, `#${after}`));
}

async function init(
  context: Context,
  dir: string | undefined,
  { namespace }: { namespace?: string },
): Promise<void> {
  const { out, io } = context;
  const target = dir === undefined ? await setDir(context) : resolve(io.cwd, dir);
  const files = namespace === undefined ? writeStarter(target) : writeNamespace(target, namespace);
  const isSet = dir === undefined;
  if (isSet) await (await context.client()).reloadActions();
  out.result({ dir: target, files }, () => {
    for (const file of files) out.line(join(target, file));
    if (namespace !== undefined) return;
    const where = isSet ? "" : ` --actions ${target}`;
    out.remark(
      `\nTry it:  signalbox run ${join(target, "scripts/hello.lua")}${where} -- you\n         signalbox actions describe hello.greet${where}`,
    );
  });
}

async function addAction(context: Context, source: string, name: string, options: AddOptions): Promise<void> {
  const { out } = context;
  assertName(name);
  const dir = await editableDir(context, options);
  const found = await lookAt(context, source, options);
  const shown = found.folder === null ? found.source : sourceFrom(dir, found.folder);
  const text = actionText({ ...options, source: shown, entrypoint: options.entrypoint ?? found.entrypoint });
  const files = writeAction(dir, name, text);
  const client = await context.client();
  if (options.actions === undefined) await client.reloadActions();
  const action = await client.getAction({ action: name, ...from(context, options) });
  out.result({ action, files }, () => {
    for (const file of files) out.line(join(dir, file));
    if (action.problem !== null) out.remark(styled("red", action.problem));
    if (action.identity?.commit) out.remark(`Pinned to ${action.identity.commit}.`);
    out.remark(`Look at it:  signalbox actions describe ${name}`);
  });
}

/** Where the files of a new action are: a git URL with its commit, or a folder with perhaps the file that runs. */
async function lookAt(context: Context, source: string, { subdir, tag }: AddOptions) {
  const repository = repositoryOf(context.io.cwd, source) ?? source;
  if (!isAbsolute(repository)) {
    const wanted = tag === undefined || source.includes("#") ? source : `${source}#${tag}`;
    const client = await context.client();
    const { commit } = await client.resolveActionSource({ source: wanted, ...given({ subdir }) });
    return { source: `${source.replace(/#.*$/, "")}#${commit}`, folder: null, entrypoint: undefined };
  }
  if (!existsSync(repository))
    throw new UsageError(`There is no ${source}.`, "Give a folder, a script, or a git URL.");
  const isFile = statSync(repository).isFile();
  return {
    source,
    folder: isFile ? dirname(repository) : repository,
    entrypoint: isFile ? basename(repository) : undefined,
  };
}

/** Relative where it lies in the repository, so that it goes along. */
function sourceFrom(dir: string, folder: string): string {
  const path = relative(dir, folder);
  return path.startsWith("..") || isAbsolute(path) ? folder : `./${path}`;
}

function actionText(
  options: Omit<AddOptions, "entrypoint"> & { source: string; entrypoint: string | undefined },
): string {
  const fields = [
    ["source", options.source],
    ["entrypoint", options.entrypoint],
    ["subdir", options.subdir],
    ["tag", options.tag],
    ["executor", options.executor],
    ["description", options.description],
  ] as const;
  const lines = fields.flatMap(([key, value]) =>
    value === undefined ? [] : [`  ${key} = ${JSON.stringify(value)},`],
  );
  return `return define_action({\n${lines.join("\n")}\n})\n`;
}

async function edit(context: Context, name: string, options: SourceOptions): Promise<void> {
  const { out, io } = context;
  const dir = await editableDir(context, options);
  const { file } = await fetchAction(context, name, options);
  const whole = join(dir, file);
  const editor = io.env.VISUAL ?? io.env.EDITOR;
  if (editor === undefined || editor === "" || io.stdin.isTTY !== true) {
    out.result({ file: whole }, () => out.line(whole));
    return;
  }
  const [program = "", ...words] = editor.split(" ");
  const { status } = spawnSync(program, [...words, whole], { stdio: "inherit" });
  if (status !== 0) context.exit(1);
}

async function remove(
  context: Context,
  name: string,
  options: SourceOptions & { yes?: boolean },
): Promise<void> {
  const { out } = context;
  const dir = await editableDir(context, options);
  const { file } = await fetchAction(context, name, options);
  if (options.yes !== true) await confirm(context, `Remove ${join(dir, file)}? [y/N] `);
  const files = removeAction(dir, name, file);
  if (options.actions === undefined) await (await context.client()).reloadActions();
  out.result({ removed: name, files }, () => out.line(`${name} is gone; changed: ${files.join(", ")}`));
}

async function fetchAction(context: Context, name: string, options: SourceOptions): Promise<ActionDetail> {
  return (await context.client()).getAction({ action: name, ...from(context, options) });
}

function from({ io }: Context, { actions }: SourceOptions): { repository?: string } {
  return given({ repository: repositoryOf(io.cwd, actions) });
}

/** The folder of the repository that is set, there or not yet. */
async function setDir(context: Context): Promise<string> {
  const { entries } = await (await context.client()).getConfig();
  const path = entries.find(({ key }) => key === "actions.path")?.value;
  return localDir(typeof path === "string" ? path : null);
}

async function editableDir(context: Context, options: SourceOptions): Promise<string> {
  if (options.actions !== undefined) return localDir(repositoryOf(context.io.cwd, options.actions) ?? null);
  const dir = await setDir(context);
  if (!existsSync(join(dir, "init.lua")))
    throw new SignalboxError("action_repository", `${dir} has no init.lua yet`);
  return dir;
}

function localDir(dir: string | null): string {
  if (dir !== null && isAbsolute(dir)) return dir;
  throw new SignalboxError(
    "conflict",
    "the actions repository is a git URL, which is not changed from here",
    {
      hint: "Change it where it is worked on, then signalbox actions reload.",
    },
  );
}

const isGit = (source: string) =>
  /^(git\+)?[a-z][a-z0-9+.-]*:\/\//i.test(source) || /^[^/\\:]+@[^/\\:]+:/.test(source);

async function confirm({ io, out }: Context, question: string): Promise<void> {
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true)
    throw new UsageError("Nobody is here to ask.", "Look at it with actions describe, then add --yes.");
  out.rawError(question);
  const prompt = createInterface({ input: io.stdin });
  const answer = await prompt.question("");
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError("Nothing was changed.", "Answer y to go on.");
}
