import { CodeLens, commands, l10n, languages, Range, type TextDocument, window, workspace } from "vscode";
import type { JsonObject } from "../../service/contract/common.ts";
import { newEvent } from "../../service/contract/events.ts";
import type { Disposable } from "../emitter.ts";
import type { Log, ServiceLink } from "../service.ts";
import { showError } from "../show-error.ts";

/** The first line of a draft, by which it is known also after the window was loaded again. */
const MARK = "// Signalbox event: edit it, then push it.";

/** Opens a new event as a document with comments, to be pushed by the lens at its top. */
export async function openDraft(event: JsonObject): Promise<void> {
  const content = `${MARK}\n${JSON.stringify({ ...event, source: "vscode" }, null, 2)}\n`;
  await window.showTextDocument(await workspace.openTextDocument({ language: "jsonc", content }));
}

export function registerDrafts(link: ServiceLink, log: Log): Disposable {
  const lenses = languages.registerCodeLensProvider(
    { scheme: "untitled" },
    {
      provideCodeLenses(document) {
        if (!isDraft(document)) return [];
        const title = `$(cloud-upload) ${l10n.t("Push Event")}`;
        const command = { title, command: "signalbox.draft.push", arguments: [document.uri.toString()] };
        return [new CodeLens(new Range(0, 0, 0, 0), command)];
      },
    },
  );
  const command = commands.registerCommand("signalbox.draft.push", async (address: unknown) => {
    const document = workspace.textDocuments.find(({ uri }) => uri.toString() === address);
    if (document === undefined) return;
    try {
      await push(document, link);
    } catch (error) {
      await showError(error, log);
    }
  });
  return {
    dispose() {
      lenses.dispose();
      command.dispose();
    },
  };
}

function isDraft(document: TextDocument): boolean {
  return document.lineCount > 0 && document.lineAt(0).text === MARK;
}

async function push(document: TextDocument, link: ServiceLink): Promise<void> {
  const text = document.getText().slice(MARK.length);
  let written: unknown;
  try {
    written = JSON.parse(text);
  } catch (error) {
    await window.showWarningMessage(l10n.t("The event is not JSON yet: {0}", (error as Error).message));
    return;
  }
  const parsed = newEvent.safeParse(written);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    await window.showWarningMessage(`${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`.trim());
    return;
  }
  const client = await link.ready();
  const { event_id } = await client.pushEvent(parsed.data);
  await window.showInformationMessage(l10n.t("Pushed as {0}", event_id));
}
