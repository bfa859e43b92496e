import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { commands, l10n, ProgressLocation, type TextEditor, Uri, window } from "vscode";
import { showFindings } from "../documents/findings.ts";
import type { Parts } from "../parts.ts";
import { readSecretNames, removeSecret, storeSecret } from "../secrets.ts";
import { showServiceMenu } from "../status-bar.ts";
import type { Commands } from "./command.ts";

export const serviceCommands: Commands = {
  "service.start": async ({ link }) => {
    await link.start();
    await link.ready();
  },
  "service.stop": ({ link }) => link.stop(),
  "service.restart": async ({ link }) => {
    await link.restart();
    await link.ready();
  },
  "service.menu": ({ link, approvals }) => showServiceMenu(link.state, approvals.waiting),
  "service.log": ({ log }) => log.show(),
  "service.serviceLog": openServiceLog,
  "service.doctor": runDoctor,
  "service.config": async ({ link }) => void (await openConfig(link.paths.configFile)),
  "secret.set": async (parts) => {
    const known = await readSecretNames(parts.context.secrets);
    const name = await window.showInputBox({
      title: l10n.t("Set Secret (1/2)"),
      prompt: l10n.t("The name of the variable that the settings refer to, such as GITHUB_TOKEN"),
      value: known.length === 0 ? "GITHUB_TOKEN" : "",
      ignoreFocusOut: true,
      validateInput: (value) =>
        /^[A-Z][A-Z0-9_]{0,100}$/.test(value)
          ? null
          : l10n.t("Capital letters, digits and _ only, beginning with a letter"),
    });
    if (name !== undefined) await setSecret(parts, name, l10n.t("Set Secret (2/2)"));
  },
  "secret.remove": async ({ context, link }) => {
    const names = await readSecretNames(context.secrets);
    if (names.length === 0) {
      await window.showInformationMessage(l10n.t("No secret is kept."));
      return;
    }
    const name = await window.showQuickPick(names, { title: l10n.t("Remove Secret"), ignoreFocusOut: true });
    if (name === undefined) return;
    await removeSecret(context.secrets, name);
    await offerRestart({ link });
  },
  openWalkthrough: ({ context }) =>
    commands.executeCommand("workbench.action.openWalkthrough", `${context.extension.id}#start`, false),
  "approvals.open": ({ approvals }) => approvals.show(),
  "views.refresh": ({ views }) => views.refresh(),
};

async function openServiceLog({ link }: Parts): Promise<void> {
  const { logFile } = link.paths;
  if (existsSync(logFile)) await window.showTextDocument(Uri.file(logFile));
  else await window.showInformationMessage(l10n.t("The service has not written a log yet."));
}

/** Checks everything and shows what is wrong first. */
export async function runDoctor({ link }: Pick<Parts, "link">): Promise<void> {
  const client = await link.ready();
  const { findings } = await window.withProgress(
    { location: ProgressLocation.Window, title: l10n.t("Signalbox checks itself") },
    () => client.doctor(),
  );
  await showFindings(findings);
}

/** Opens the settings, which are made where there are none yet. */
export async function openConfig(file: string): Promise<TextEditor> {
  if (!existsSync(file)) {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, "# Settings of Signalbox; docs/configuration.md lists them all.\n", {
      mode: 0o600,
    });
  }
  return window.showTextDocument(Uri.file(file));
}

/** @param name the variable that the settings refer to */
export async function setSecret(
  { context, link }: Pick<Parts, "context" | "link">,
  name: string,
  title: string,
): Promise<void> {
  const value = await window.showInputBox({
    title,
    prompt: l10n.t(
      "{0} is kept in the editor's secret storage and given to the service when it starts",
      name,
    ),
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => (text === "" ? l10n.t("Must not be empty") : null),
  });
  if (value === undefined) return;
  await storeSecret(context.secrets, name, value);
  await offerRestart({ link });
}

/** A running service has the environment it was started with. */
async function offerRestart({ link }: Pick<Parts, "link">): Promise<void> {
  if (link.client === null) return;
  const restart = l10n.t("Restart Service");
  const chosen = await window.showInformationMessage(l10n.t("The service gets it when it starts."), restart);
  if (chosen === restart) await link.restart();
}
