import { join } from "node:path";
import { EventEmitter, type ExtensionContext, lm, McpStdioServerDefinition, workspace } from "vscode";
import type { Disposable } from "./emitter.ts";
import { readSettings } from "./settings.ts";

/** Offers the service to the editor's own agent: the command line that came with this extension speaks MCP. */
export function registerMcp(context: ExtensionContext): Disposable {
  const changed = new EventEmitter<void>();
  const registered = [
    changed,
    lm.registerMcpServerDefinitionProvider("signalbox.mcp", {
      onDidChangeMcpServerDefinitions: changed.event,
      provideMcpServerDefinitions: () =>
        readSettings().mcp && workspace.isTrusted ? [definition(context)] : [],
    }),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("signalbox")) changed.fire();
    }),
    workspace.onDidGrantWorkspaceTrust(() => changed.fire()),
  ];
  return {
    dispose() {
      for (const one of registered) one.dispose();
    },
  };
}

function definition(context: ExtensionContext): McpStdioServerDefinition {
  const { home } = readSettings();
  const program = join(context.extensionPath, "bin/signalbox.cjs");
  const { version } = context.extension.packageJSON as { version: string };
  return new McpStdioServerDefinition(
    "Signalbox",
    process.execPath,
    [program, "mcp"],
    { ELECTRON_RUN_AS_NODE: "1", ...(home === undefined ? {} : { SIGNALBOX_HOME: home }) },
    version,
  );
}
