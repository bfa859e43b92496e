import { commands, l10n, type QuickPickItem, StatusBarAlignment, ThemeColor, window } from "vscode";
import type { Disposable } from "./emitter.ts";
import type { ServiceLink, ServiceState } from "./service.ts";

interface Look {
  readonly text: string;
  readonly tooltip: string;
  readonly spoken: string;
  readonly color?: ThemeColor;
}

/** One item: how the service is, how many effects wait for a person, and on a click what can be done. */
export function createStatusBar(link: ServiceLink): Disposable & { setWaiting(count: number): void } {
  const item = window.createStatusBarItem("signalbox.service", StatusBarAlignment.Left, 0);
  item.name = l10n.t("Signalbox Service");
  item.command = "signalbox.service.menu";
  let waiting = 0;
  const show = () => {
    const look = lookOf(link.state, waiting);
    item.text = look.text;
    item.tooltip = look.tooltip;
    item.accessibilityInformation = { label: look.spoken, role: "button" };
    item.backgroundColor = look.color;
    item.show();
  };
  const listening = link.onState(show);
  show();
  return {
    setWaiting(count) {
      waiting = count;
      show();
    },
    dispose() {
      listening.dispose();
      item.dispose();
    },
  };
}

function lookOf(state: ServiceState, waiting: number): Look {
  if (state.kind === "ready" && waiting > 0) {
    const words = l10n.t("{0} waiting for you", waiting);
    return { text: `$(shield) Signalbox: ${waiting}`, tooltip: words, spoken: `Signalbox: ${words}` };
  }
  if (state.kind === "ready") {
    const words = l10n.t("Signalbox {0} runs", state.info.version);
    return { text: "$(pass) Signalbox", tooltip: words, spoken: words };
  }
  if (state.kind === "starting") {
    const words = l10n.t("Signalbox starts");
    return { text: "$(loading~spin) Signalbox", tooltip: words, spoken: words };
  }
  if (state.kind === "failed") {
    const words = l10n.t("Signalbox failed: {0}", state.error.message);
    const color = new ThemeColor("statusBarItem.warningBackground");
    return { text: "$(warning) Signalbox", tooltip: `${words}\n${state.error.hint}`, spoken: words, color };
  }
  const words =
    state.kind === "untrusted"
      ? l10n.t("Signalbox does nothing in a folder that is not trusted")
      : l10n.t("Signalbox does not run");
  return { text: "$(circle-slash) Signalbox", tooltip: words, spoken: words };
}

interface Choice extends QuickPickItem {
  readonly command: string;
}

/** What can be done in the present state. */
export async function showServiceMenu(state: ServiceState, waiting: number): Promise<void> {
  const choice = (label: string, command: string, detail?: string): Choice => ({
    label,
    command,
    ...(detail === undefined ? {} : { detail }),
  });
  const logs = [
    choice(`$(output) ${l10n.t("Show Log")}`, "signalbox.service.log"),
    choice(`$(output) ${l10n.t("Show Service Log")}`, "signalbox.service.serviceLog"),
  ];
  const config = choice(`$(settings-gear) ${l10n.t("Open Configuration File")}`, "signalbox.service.config");
  const restart = choice(`$(debug-restart) ${l10n.t("Restart Service")}`, "signalbox.service.restart");
  const choices: Record<ServiceState["kind"], Choice[]> = {
    untrusted: [choice(`$(shield) ${l10n.t("Manage Workspace Trust")}`, "workbench.trust.manage"), ...logs],
    stopped: [choice(`$(play) ${l10n.t("Start Service")}`, "signalbox.service.start"), config, ...logs],
    starting: logs,
    failed: [choice(`$(play) ${l10n.t("Try Again")}`, "signalbox.service.start"), restart, config, ...logs],
    ready: [
      ...(waiting > 0
        ? [
            choice(
              `$(shield) ${l10n.t("Open Approvals")}`,
              "signalbox.approvals.open",
              l10n.t("{0} waiting for you", waiting),
            ),
          ]
        : []),
      choice(`$(pulse) ${l10n.t("Run Doctor")}`, "signalbox.service.doctor"),
      restart,
      choice(`$(debug-stop) ${l10n.t("Stop Service")}`, "signalbox.service.stop", l10n.t("For all windows")),
      config,
      ...logs,
    ],
  };
  const title = lookOf(state, waiting).tooltip;
  const chosen = await window.showQuickPick(choices[state.kind], { title, placeHolder: title });
  if (chosen !== undefined) await commands.executeCommand(chosen.command);
}
