import { Uri, ViewColumn, window, workspace } from "vscode";
import type { Disposable } from "../emitter.ts";

const SCHEME = "signalbox-text";

/**
 * Read-only texts that are made once. The text travels in the address's query, so that nothing has to be remembered
 * and the document is still there after the window was loaded again.
 */
export function registerTexts(): Disposable {
  return workspace.registerTextDocumentContentProvider(SCHEME, {
    provideTextDocumentContent: (uri) => Buffer.from(uri.query, "base64url").toString("utf8"),
  });
}

/** Opens a read-only text beside what is being looked at. */
export async function showText(name: string, text: string): Promise<void> {
  await window.showTextDocument(textUri(name, text), { preview: true, viewColumn: ViewColumn.Beside });
}

/** The address of a read-only text. */
export function textUri(name: string, text: string): Uri {
  return Uri.from({
    scheme: SCHEME,
    path: `/${name}`,
    query: Buffer.from(text, "utf8").toString("base64url"),
  });
}
