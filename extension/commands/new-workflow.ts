import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { l10n, type QuickPickItem, QuickPickItemKind, Selection, Uri, window } from "vscode";
import type { Client } from "../../service/client/call.ts";
import { workflowFromEvent, workflowTemplates } from "../../service/client/workflow-templates.ts";
import { workflowNameFor } from "../models/workflows.ts";
import type { Parts } from "../parts.ts";
import { chooseEvent } from "./events.ts";

interface Beginning extends QuickPickItem {
  /** None: a recorded event is chosen next. */
  readonly write?: (workflow: string) => string;
}

/** Asks what to begin with and for a name, then writes the file and opens it. */
export async function newWorkflow(parts: Parts): Promise<void> {
  const templates: Beginning[] = workflowTemplates(l10n.t).map(({ title, description, write }) => ({
    label: title,
    detail: description,
    write,
  }));
  const fromEvent: Beginning = {
    label: `$(pulse) ${l10n.t("From a Recent Event…")}`,
    detail: l10n.t("Hears events like it, and lists what its payload holds"),
  };
  const separator = (label: string): Beginning => ({ label, kind: QuickPickItemKind.Separator });
  const chosen = await window.showQuickPick([fromEvent, separator(l10n.t("Templates")), ...templates], {
    title: l10n.t("New Workflow (1/2)"),
    placeHolder: l10n.t("What does it begin with?"),
    matchOnDetail: true,
    ignoreFocusOut: true,
  });
  if (chosen?.write !== undefined) return create(parts, chosen.write, "");
  if (chosen !== fromEvent) return;
  const event = await chooseEvent(parts, l10n.t("A workflow that hears events like which one?"));
  if (event !== undefined) await newWorkflowFromEvent(parts, event.id);
}

export async function newWorkflowFromEvent(parts: Parts, event_id: string): Promise<void> {
  const client = await parts.link.ready();
  const { event } = await client.getEvent({ event_id });
  await create(parts, (name) => workflowFromEvent(event, name), workflowNameFor(event));
}

async function create(
  { link }: Parts,
  write: (workflow: string) => string,
  suggested: string,
): Promise<void> {
  const folder = await workflowsFolder(await link.ready(), link.paths.workflowsDir);
  const name = await window.showInputBox({
    title: l10n.t("New Workflow (2/2)"),
    prompt: l10n.t("Its name, and that of its file"),
    value: suggested === "" ? "" : freeName(folder, suggested),
    ignoreFocusOut: true,
    validateInput: (value) => {
      if (!/^[a-z][a-z0-9_-]{0,60}$/.test(value)) return l10n.t("Small letters, digits, - and _ only");
      return existsSync(join(folder, `${value}.lua`)) ? l10n.t("There is one of that name") : null;
    },
  });
  if (name === undefined) return;
  const file = join(folder, `${name}.lua`);
  const text = write(name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(file, text, { flag: "wx", mode: 0o600 });
  const editor = await window.showTextDocument(Uri.file(file));
  const begin = editor.document.positionAt(text.search(/^signalbox\./m));
  const end = editor.document.lineAt(begin.line + 1).range.end;
  editor.selection = new Selection(end, end);
}

function freeName(folder: string, name: string): string {
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`;
    if (!existsSync(join(folder, `${candidate}.lua`))) return candidate;
  }
}

/** The folder that the running service loads from. */
async function workflowsFolder(client: Client, otherwise: string): Promise<string> {
  const { entries } = await client.getConfig();
  const dir = entries.find(({ key }) => key === "workflows.dir")?.value;
  return typeof dir === "string" && dir !== "" ? dir : otherwise;
}
