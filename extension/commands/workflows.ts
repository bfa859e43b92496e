import { l10n } from "vscode";
import type { Client } from "../../service/client/call.ts";
import { openDryRun } from "../documents/dry-run.ts";
import { showLine } from "../documents/workflow-line.ts";
import { showWorkflowLog } from "../documents/workflow-log.ts";
import type { Parts } from "../parts.ts";
import type { Command, Commands } from "./command.ts";
import { chooseEvent } from "./events.ts";
import { newWorkflow, newWorkflowFromEvent } from "./new-workflow.ts";

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
  "event.newWorkflow": async (parts, item) => {
    if (item?.kind === "event") await newWorkflowFromEvent(parts, item.event_id);
  },
  "workflows.reload": async ({ link, views, log }) => {
    const { workflows, failed } = await (await link.ready()).reloadWorkflows({});
    log.info(`${workflows} workflows were loaded, ${failed} did not load`);
    await views.workflows.refresh();
  },
};
