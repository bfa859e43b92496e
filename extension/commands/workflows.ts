import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { l10n, Selection, Uri, window } from "vscode";
import type { Client } from "../../service/client/call.ts";
import { openDryRun } from "../documents/dry-run.ts";
import { showLine } from "../documents/workflow-line.ts";
import { showWorkflowLog } from "../documents/workflow-log.ts";
import type { RowItem } from "../models/row.ts";
import type { Parts } from "../parts.ts";
import type { Command, Commands } from "./command.ts";
import { chooseEvent } from "./events.ts";

function withWorkflow(act: (parts: Parts, workflow: string, client: Client) => unknown): Command {
  return async (parts, item) => {
    if (item?.kind !== "workflow") return;
    await act(parts, item.workflow, await parts.link.ready());
    await parts.views.workflows.refresh();
  };
}

export const workflowCommands: Commands = {
  "workflow.open": async (_, item) => {
    if (item?.kind === "workflow") await showLine(item.file, item.line);
  },
  "workflow.enable": withWorkflow((_, workflow, client) => client.enableWorkflow({ workflow })),
  "workflow.disable": withWorkflow((_, workflow, client) => client.disableWorkflow({ workflow })),
  "workflow.dryRun": withWorkflow(async (parts, workflow, client) => {
    const event = await chooseEvent(
      parts,
      l10n.t("Dry run {0} on which event? Nothing happens outside.", workflow),
    );
    if (event !== undefined) await openDryRun(client, workflow, event.id);
  }),
  "workflow.logs": withWorkflow((_, workflow, client) => showWorkflowLog(client, workflow)),
  "workflow.new": newWorkflow,
  "workflows.reload": async ({ link, views, log }) => {
    const { workflows, failed } = await (await link.ready()).reloadWorkflows({});
    log.info(`${workflows} workflows were loaded, ${failed} did not load`);
    await views.workflows.refresh();
  },
};

async function newWorkflow({ link }: Parts, _item: RowItem | undefined): Promise<void> {
  const client = await link.ready();
  const folder = await workflowsFolder(client, link.paths.workflowsDir);
  const name = await window.showInputBox({
    title: l10n.t("New Workflow"),
    prompt: l10n.t("Its name, and that of its file"),
    ignoreFocusOut: true,
    validateInput: (value) => {
      if (!/^[a-z][a-z0-9_-]{0,60}$/.test(value)) return l10n.t("Small letters, digits, - and _ only");
      return existsSync(join(folder, `${value}.lua`)) ? l10n.t("There is one of that name") : null;
    },
  });
  if (name === undefined) return;
  const file = join(folder, `${name}.lua`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(file, template(name), { flag: "wx", mode: 0o600 });
  const editor = await window.showTextDocument(Uri.file(file));
  const end = editor.document.lineAt(1).range.end;
  editor.selection = new Selection(end, end);
}

async function workflowsFolder(client: Client, otherwise: string): Promise<string> {
  const { entries } = await client.getConfig();
  const dir = entries.find(({ key }) => key === "workflows.dir")?.value;
  return typeof dir === "string" && dir !== "" ? dir : otherwise;
}

function template(name: string): string {
  return [
    `-- ${name}: what it is for, in a line.`,
    'signalbox.on("topics.inbox", function(event)',
    '  signalbox.log("info", event.type .. " " .. event.id)',
    "end)",
    "",
  ].join("\n");
}
