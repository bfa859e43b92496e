import { l10n, Range, Selection, TextEditorRevealType, window } from "vscode";
import type { Client } from "../../service/client/call.ts";
import type { ConnectorMend } from "../../service/contract/system.ts";
import { settingsPlace } from "../models/settings-place.ts";
import type { Parts } from "../parts.ts";
import type { Commands } from "./command.ts";
import { openConfig, runDoctor, setSecret } from "./service.ts";

export const connectorCommands: Commands = {
  "connector.mend": async (parts, item) => {
    const connector = item?.kind === "connector" || item?.kind === "agent" ? item.connector : null;
    if (connector === null) return;
    const client = await parts.link.ready();
    // As it is now: the row may be some seconds old.
    const { connectors } = await client.getStatus();
    const mend = connectors.find(({ id }) => id === connector)?.mend ?? null;
    if (mend === null) await runDoctor(parts);
    else await mendBy(parts, client, connector, mend);
    await parts.views.agents.refresh();
  },
};

/** Does what brings the connection back, or leads to where a person has to do it. */
async function mendBy(parts: Parts, client: Client, connector: string, mend: ConnectorMend): Promise<void> {
  if (mend.kind === "reconnect") {
    await client.reconnectConnector({ connector });
    return;
  }
  if (mend.kind === "settings") return openSettings(parts, client, mend.key);
  const [first, ...others] = mend.env;
  // A secret in a file is put there by hand; which file it is stands in the settings.
  if (first === undefined) return openSettings(parts, client, `connectors.${connector}`);
  const name =
    others.length === 0
      ? first
      : await window.showQuickPick(mend.env, {
          title: l10n.t("Which secret do you want to set?"),
          ignoreFocusOut: true,
        });
  if (name !== undefined) await setSecret(parts, name, l10n.t("Set Secret {0}", name));
}

async function openSettings({ link }: Parts, client: Client, key: string): Promise<void> {
  const { files, entries } = await client.getConfig();
  const place = settingsPlace(entries, key);
  const editor = await openConfig(place?.file ?? files[0] ?? link.paths.configFile);
  if (place === null) return;
  const { range } = editor.document.lineAt(Math.min(place.line, editor.document.lineCount) - 1);
  editor.selection = new Selection(range.end, range.end);
  editor.revealRange(new Range(range.start, range.end), TextEditorRevealType.InCenter);
}
