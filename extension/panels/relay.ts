import { randomBytes } from "node:crypto";
import { type ExtensionContext, env, Uri, type Webview } from "vscode";
import { type Request, request, type StateMessage } from "../../webview/messages.ts";
import type { Disposable } from "../emitter.ts";

export interface Relay extends Disposable {
  send(message: StateMessage): void;
}

/**
 * Sets up a webview and passes on what it asks for, if it is one of the few things it may ask. The webview has no token
 * and no network: it can only ask.
 */
export function createRelay(
  context: ExtensionContext,
  webview: Webview,
  mode: "inbox" | "panel",
  onRequest: (asked: Request) => Promise<void>,
): Relay {
  const folder = Uri.joinPath(context.extensionUri, "webview");
  webview.options = {
    enableScripts: true,
    localResourceRoots: [folder],
    enableForms: false,
    enableCommandUris: false,
  };
  webview.html = page(webview, folder, mode);
  const receiving = webview.onDidReceiveMessage((message: unknown) => {
    const parsed = request.safeParse(message);
    if (parsed.success) void onRequest(parsed.data);
  });
  return {
    send: (message) => void webview.postMessage(message),
    dispose: () => receiving.dispose(),
  };
}

function page(webview: Webview, folder: Uri, mode: "inbox" | "panel"): string {
  const nonce = randomBytes(18).toString("base64");
  const address = (file: string) => webview.asWebviewUri(Uri.joinPath(folder, file)).toString();
  const policy = [
    "default-src 'none'",
    `style-src ${webview.cspSource}`,
    `font-src ${webview.cspSource}`,
    `script-src 'nonce-${nonce}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="${env.language}">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Approvals</title>
<link rel="stylesheet" href="${address("codicon.css")}" id="vscode-codicon-stylesheet">
<link rel="stylesheet" href="${address("main.css")}">
</head>
<body data-mode="${mode}">
<main id="app"></main>
<script nonce="${nonce}" src="${address("main.js")}"></script>
</body>
</html>`;
}
