import { join } from "node:path";
import { commands, type ExtensionContext, workspace } from "vscode";
import { registerCommands } from "./commands/index.ts";
import { registerDrafts } from "./documents/drafts.ts";
import { createEventDocuments } from "./documents/events.ts";
import { registerPrompts } from "./documents/prompts.ts";
import { registerTexts } from "./documents/text.ts";
import { createLog } from "./log.ts";
import { registerLua } from "./lua/providers.ts";
import { registerMcp } from "./mcp.ts";
import { Approvals } from "./panels/approvals.ts";
import { secretVariables } from "./secrets.ts";
import { ServiceLink } from "./service.ts";
import { readSettings } from "./settings.ts";
import { createStatusBar } from "./status-bar.ts";
import { registerWorkflowTests } from "./testing.ts";
import { createViews } from "./views/index.ts";

/** Makes the parts and hands them to each other. Nothing is started here that nobody asked for. */
export function activate(context: ExtensionContext): void {
  const log = createLog();
  const link = new ServiceLink({
    entry: join(context.extensionPath, "dist/service.js"),
    node: process.execPath,
    env: process.env,
    home: () => readSettings().home,
    restartAfterCrash: () => readSettings().restartAfterCrash,
    secrets: () => secretVariables(context.secrets),
    log,
  });
  const showState = () => commands.executeCommand("setContext", "signalbox.service", link.state.kind);
  void showState();
  context.subscriptions.push(log, link, link.onState(showState));
  const statusBar = createStatusBar(link);
  const views = createViews(link, log);
  const eventDocuments = createEventDocuments(link);
  const approvals = new Approvals({
    context,
    link,
    log,
    onWaiting: (waiting) => statusBar.setWaiting(waiting),
  });
  context.subscriptions.push(
    statusBar,
    views,
    approvals,
    eventDocuments,
    registerCommands({ context, log, link, views, approvals, eventDocuments }),
    registerPrompts(link),
    registerTexts(),
    registerDrafts(link, log),
    registerLua(context, { link, log }),
    registerMcp(context),
    registerWorkflowTests(link),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("signalbox.service.home")) void link.reopen();
    }),
  );
  const open = () => openService(link);
  context.subscriptions.push(workspace.onDidGrantWorkspaceTrust(open));
  if (workspace.isTrusted) void open();
}

async function openService(link: ServiceLink): Promise<void> {
  await link.open();
  if (readSettings().start === "onStartup") await link.start();
}
