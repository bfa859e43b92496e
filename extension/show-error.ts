import { commands, l10n, window } from "vscode";
import { type ErrorCode, SignalboxError } from "../service/contract/errors.ts";
import type { Log } from "./service.ts";

/** What the button beside an error does, where something does what its hint says. */
function remedyFor(code: ErrorCode): { readonly title: string; readonly command: string } {
  if (code === "service_unreachable" || code === "unavailable")
    return { title: l10n.t("Start Service"), command: "signalbox.service.start" };
  if (code === "protocol_mismatch" || code === "unauthorized")
    return { title: l10n.t("Restart Service"), command: "signalbox.service.restart" };
  if (code === "connection_expired" || code === "secret_missing")
    return { title: l10n.t("Set Secret…"), command: "signalbox.secret.set" };
  if (code === "invalid_config")
    return { title: l10n.t("Open Configuration File"), command: "signalbox.service.config" };
  return { title: l10n.t("Show Log"), command: "signalbox.service.log" };
}

/** Message and hint, with one button that helps. */
export async function showError(error: unknown, log: Log): Promise<void> {
  const failure = SignalboxError.is(error)
    ? error
    : new SignalboxError("internal", error instanceof Error ? error.message : String(error), {
        cause: error,
      });
  log.error(`${failure.code}: ${error instanceof Error ? (error.stack ?? error.message) : failure.message}`);
  const remedy = remedyFor(failure.code);
  const chosen = await window.showErrorMessage(`${failure.message} — ${failure.hint}`, remedy.title);
  if (chosen === remedy.title) await commands.executeCommand(remedy.command);
}
