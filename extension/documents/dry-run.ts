import { l10n } from "vscode";
import type { Client } from "../../service/client/call.ts";
import { dryRunText } from "../models/event-text.ts";
import { showText } from "./text.ts";

/** Runs a loaded workflow on a recorded event and shows what it would do, beside what it did. */
export async function openDryRun(client: Client, workflow: string, event_id: string): Promise<void> {
  const [tested, detail] = await Promise.all([
    client.testWorkflow({ workflow, event_id }),
    client.getEvent({ event_id }),
  ]);
  await showText(`${l10n.t("Dry run of {0}", workflow)}.md`, dryRunText(workflow, tested, detail, l10n.t));
}
