import { ConfigurationTarget, type ExtensionContext, extensions, l10n, Uri, window, workspace } from "vscode";

const OTHERS = ["sumneko.lua"];
const ASKED = "signalbox.lua.libraryAsked";

/** Whether another Lua language server serves this window: we then say only what the service alone knows. */
export function hasOtherServer(): boolean {
  return OTHERS.some((id) => extensions.getExtension(id) !== undefined);
}

/**
 * Once for each folder: asks whether that server may read our annotations, and tells it where they are.
 * @param actionsFolder whose files `require` finds; null when there is none
 */
export async function offerLibrary(
  context: ExtensionContext,
  workflowsDir: string,
  actionsFolder: string | null,
): Promise<void> {
  if (context.workspaceState.get<boolean>(ASKED, false)) return;
  await context.workspaceState.update(ASKED, true);
  const folders = [
    Uri.joinPath(context.extensionUri, "workflows", "types").fsPath,
    Uri.joinPath(Uri.file(workflowsDir), "types").fsPath,
    ...(actionsFolder === null ? [] : [actionsFolder]),
  ];
  const settings = workspace.getConfiguration("Lua");
  const known = settings.get<string[]>("workspace.library", []);
  const missing = folders.filter((folder) => !known.includes(folder));
  if (missing.length === 0) return;
  const add = l10n.t("Add");
  const chosen = await window.showInformationMessage(
    l10n.t(
      "Let the Lua extension read the annotations of Signalbox's API and events? It then completes them too.",
    ),
    add,
    l10n.t("Not Now"),
  );
  if (chosen !== add) return;
  const target = workspace.workspaceFolders ? ConfigurationTarget.Workspace : ConfigurationTarget.Global;
  await settings.update("workspace.library", [...known, ...missing], target);
  await settings.update("runtime.version", "Lua 5.3", target);
}
