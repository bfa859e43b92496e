import { l10n, window } from "vscode";
import type { Client } from "../../service/client/call.ts";

const NAME = /^[\p{L}\p{N}_@:./+-]{1,200}$/u;

/** Null: fine. */
export function whyNoName(value: string): string | null {
  return NAME.test(value) ? null : l10n.t("May hold letters, digits and _ @ : . / + - only");
}

/** One of the topics there are, or a new one. */
export async function chooseTopic(client: Client, title: string): Promise<string | undefined> {
  const { topics } = await client.listTopics();
  if (topics.length === 0) return askForTopic(title);
  const other = { label: `$(add) ${l10n.t("Another topic…")}`, name: null };
  const picks = topics.map(({ name, counts }) => ({
    label: name,
    description: counts.pending > 0 ? l10n.t("{0} pending", counts.pending) : "",
    name,
  }));
  const chosen = await window.showQuickPick([...picks, other], { title, ignoreFocusOut: true });
  if (chosen === undefined) return undefined;
  return chosen.name ?? askForTopic(title);
}

export function askForTopic(title: string): Thenable<string | undefined> {
  return window.showInputBox({
    title,
    prompt: l10n.t("Name of the topic"),
    value: "inbox",
    ignoreFocusOut: true,
    validateInput: whyNoName,
  });
}

/** A modal question whose only answer but no is `action`. */
export async function confirm(question: string, detail: string, action: string): Promise<boolean> {
  return (await window.showWarningMessage(question, { modal: true, detail }, action)) === action;
}
