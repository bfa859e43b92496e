import { basename } from "node:path";
import { commands, type LogOutputChannel, l10n, Uri, window, workspace } from "vscode";
import type { Client } from "../../service/client/call.ts";
import { textUri } from "../documents/text.ts";
import type { ServiceLink } from "../service.ts";
import { showError } from "../show-error.ts";
import { actsRecorded, actsTested, sideText } from "./side-by-side.ts";

/** The handler that a code lens stands over. */
interface Target {
  workflow: string;
  pattern: string;
  /** Of the document. */
  uri: string;
}

const CHOICES = 50;

function isTarget(given: unknown): given is Target {
  const one = given as Partial<Target> | null;
  return typeof one === "object" && typeof one?.workflow === "string" && typeof one.pattern === "string";
}

/** Gives the saved workflow the newest event that the handler hears, for real. */
export async function runOnLast(link: ServiceLink, log: LogOutputChannel, given: unknown): Promise<void> {
  if (!isTarget(given)) return;
  try {
    const client = await link.ready();
    const [event] = await eventsOf(client, given.pattern, 1);
    if (!event) {
      await window.showInformationMessage(l10n.t("No recorded event has the subject {0}.", given.pattern));
      return;
    }
    const { runs } = await client.runWorkflow({ workflow: given.workflow, event_id: event.id });
    const message = l10n.t("{0} gets {1} once more: {2} queued.", given.workflow, event.type, runs.length);
    await window.showInformationMessage(message);
  } catch (error) {
    await showError(error, log);
  }
}

/** Runs the text as it stands in the editor on a chosen event, and shows what it would do; nothing is done. */
export async function dryRunOn(link: ServiceLink, log: LogOutputChannel, given: unknown): Promise<void> {
  if (!isTarget(given)) return;
  try {
    const client = await link.ready();
    const events = await eventsOf(client, given.pattern, CHOICES);
    if (events.length === 0) {
      await window.showInformationMessage(l10n.t("No recorded event has the subject {0}.", given.pattern));
      return;
    }
    const chosen = await window.showQuickPick(
      events.map((event) => ({
        label: event.type,
        description: new Date(event.time_ms).toLocaleString(),
        detail: event.body ?? JSON.stringify(event.payload).slice(0, 200),
        id: event.id,
      })),
      {
        title: l10n.t("Dry run {0} on which event? Nothing happens outside.", given.workflow),
        matchOnDescription: true,
        matchOnDetail: true,
      },
    );
    if (chosen) await showDryRun(client, given, chosen.id);
  } catch (error) {
    await showError(error, log);
  }
}

async function eventsOf(client: Client, subject: string, limit: number) {
  return (await client.findEvents({ subject, limit, within_ms: 1_000 })).events;
}

/** In two columns: what the deployed text did with the event, or would do, and what the text in the editor would. */
async function showDryRun(client: Client, { workflow, uri }: Target, event_id: string): Promise<void> {
  const document = await workspace.openTextDocument(Uri.parse(uri));
  const file = basename(document.uri.fsPath);
  const [tested, left] = await Promise.all([
    client.testWorkflow({ source: document.getText(), file, event_id }),
    deployedSide(client, workflow, event_id),
  ]);
  const title = l10n.t("The text in the editor would do this; nothing of it has happened");
  const right = sideText(title, actsTested(tested), l10n.t);
  await commands.executeCommand(
    "vscode.diff",
    textUri(l10n.t("{0} as deployed.md", workflow), left),
    textUri(l10n.t("{0} as edited.md", workflow), right),
    l10n.t("Dry run of {0}: deployed ↔ edited", workflow),
    { preview: true },
  );
}

async function deployedSide(client: Client, name: string, event_id: string): Promise<string> {
  const [{ workflows }, detail] = await Promise.all([
    client.listWorkflows({}),
    client.getEvent({ event_id }),
  ]);
  const workflow = workflows.find((one) => one.name === name);
  const did = workflow ? actsRecorded(workflow, detail) : null;
  if (did) return sideText(l10n.t("The deployed version did this when the event came"), did, l10n.t);
  if (!workflow || workflow.version === null) return sideText(l10n.t("Nothing is deployed"), [], l10n.t);
  const would = await client.testWorkflow({ workflow: name, event_id });
  const title = l10n.t("The deployed version has not had this event; it would do this");
  return sideText(title, actsTested(would), l10n.t);
}
