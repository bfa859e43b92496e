import { type LogOutputChannel, window } from "vscode";

/** The "Signalbox" output, with levels that the editor filters. */
export function createLog(): LogOutputChannel {
  return window.createOutputChannel("Signalbox", { log: true });
}
