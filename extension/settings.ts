import { userInfo } from "node:os";
import { workspace } from "vscode";

export type StartMode = "onDemand" | "onStartup" | "never";

/** The settings as they are now. What is out of range is read as the default. */
export interface Settings {
  readonly start: StartMode;
  /** Undefined: the folders of the user. */
  readonly home: string | undefined;
  readonly restartAfterCrash: boolean;
  readonly notifyApprovals: boolean;
  /** Who decides, on record. */
  readonly person: string;
  readonly pageSize: number;
  readonly mcp: boolean;
}

export function readSettings(): Settings {
  const settings = workspace.getConfiguration("signalbox");
  const start = settings.get<StartMode>("service.start", "onDemand");
  const home = settings.get<string>("service.home", "");
  const person = settings.get<string>("approvals.person", "");
  const pageSize = settings.get<number>("events.pageSize", 100);
  return {
    start: ["onDemand", "onStartup", "never"].includes(start) ? start : "onDemand",
    home: home === "" ? undefined : home,
    restartAfterCrash: settings.get("service.restartAfterCrash", true),
    notifyApprovals: settings.get("approvals.notify", true),
    person: /^[\p{L}\p{N}_@:./+-]{1,200}$/u.test(person) ? person : userName(),
    pageSize: Number.isInteger(pageSize) && pageSize >= 20 && pageSize <= 500 ? pageSize : 100,
    mcp: settings.get("mcp.enabled", true),
  };
}

function userName(): string {
  try {
    const { username } = userInfo();
    return username.replaceAll(/[^\p{L}\p{N}_@:./+-]/gu, "-") || "me";
  } catch {
    return "me"; // A container may run under a number that has no name.
  }
}
