import { l10n, window } from "vscode";
import type { JsonObject } from "../../service/contract/common.ts";
import type { RowItem } from "../models/row.ts";
import type { Parts } from "../parts.ts";
import { confirm } from "./choose.ts";
import type { Commands } from "./command.ts";
import { askForPayload } from "./form.ts";

export const agentCommands: Commands = {
  "agent.run": runCommand,
  "agent.showEvents": async ({ views }, item) => {
    if (item?.kind !== "agent") return;
    await views.events.setFilter({ agent: item.agent });
    await views.revealEvents();
  },
  "agent.remove": async ({ link, views }, item) => {
    if (item?.kind !== "agent") return;
    const isSure = await confirm(
      l10n.t("Forget {0}?", item.agent),
      l10n.t("It comes back when it registers again."),
      l10n.t("Forget"),
    );
    if (!isSure) return;
    await (await link.ready()).removeAgent({ agent: item.agent });
    await views.agents.refresh();
  },
  "effect.retry": async ({ link, views }, item) => {
    if (item?.kind !== "effect") return;
    await (await link.ready()).retryEffect({ effect_id: item.effect_id });
    await views.refresh();
  },
  "effect.skip": async ({ link, views }, item) => {
    if (item?.kind !== "effect") return;
    await (await link.ready()).skipEffect({ effect_id: item.effect_id });
    await views.refresh();
  },
};

/** Asks for the payload field by field, as the command's schema says, and sends it. */
async function runCommand({ link, views }: Parts, item: RowItem | undefined): Promise<void> {
  if (item?.kind !== "command") return;
  const { agent: name, command } = item;
  const client = await link.ready();
  const agent = await client.getAgent({ agent: name });
  const params = agent.commands.find((one) => one.name === command)?.params;
  const payload: JsonObject | undefined = await askForPayload(`${name}: ${command}`, params ?? null);
  if (payload === undefined) return;
  const effect = await client.sendCommand({ agent: name, command, payload, source: "vscode" });
  await views.refresh();
  if (effect.state === "waiting")
    await window.showInformationMessage(l10n.t("{0} waits for an approval.", effect.summary));
}
