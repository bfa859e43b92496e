import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { l10n, window } from "vscode";
import type { Client } from "../../service/client/call.ts";
import type { Parts } from "../parts.ts";
import { cleanEnvironment } from "../service.ts";
import { readSettings } from "../settings.ts";
import { confirm } from "./choose.ts";
import type { Command, Commands } from "./command.ts";

const run = promisify(execFile);

function withSchedule(act: (parts: Parts, schedule: string, client: Client) => unknown): Command {
  return async (parts, item) => {
    if (item?.kind !== "schedule") return;
    await act(parts, item.schedule, await parts.link.ready());
    await parts.views.schedules.refresh();
  };
}

export const scheduleCommands: Commands = {
  "schedule.run": withSchedule((_, schedule, client) => client.runSchedule({ schedule })),
  "schedule.pause": withSchedule((_, schedule, client) => client.updateSchedule({ schedule, paused: true })),
  "schedule.resume": withSchedule((_, schedule, client) =>
    client.updateSchedule({ schedule, paused: false }),
  ),
  "schedule.remove": withSchedule(async (_, schedule, client) => {
    const isSure = await confirm(
      l10n.t("Remove the schedule {0}?", schedule),
      l10n.t("Its history goes with it; the events it recorded stay."),
      l10n.t("Remove"),
    );
    if (isSure) await client.removeSchedule({ schedule });
  }),
  "away.seen": async ({ link, views }) => {
    const client = await link.ready();
    const by = readSettings().person;
    const { until_ms } = await client.getAway({ by });
    await client.markSeen({ by, until_ms });
    await views.away.refresh();
  },
  "away.settle": async (parts, item) => {
    if (item?.kind !== "away") return;
    const chosen = await window.showQuickPick(
      item.actions.map(({ label, command }) => ({ label, description: command, command })),
      { title: l10n.t("What shall be done?"), ignoreFocusOut: true },
    );
    if (chosen === undefined) return;
    await runCommandLine(parts, chosen.command);
    await parts.views.refresh();
  },
};

/** Runs one of the service's own suggestions, such as `signalbox effects retry eff_…`, and shows what it said. */
async function runCommandLine({ context, link, log }: Parts, command: string): Promise<void> {
  const [program, ...args] = command.split(" ");
  if (program !== "signalbox") throw new Error(`not one of our commands: ${command}`);
  const home = readSettings().home;
  const { stdout } = await run(
    process.execPath,
    [join(context.extensionPath, "bin/signalbox.cjs"), ...args],
    {
      env: {
        ...cleanEnvironment(process.env),
        ELECTRON_RUN_AS_NODE: "1",
        ...(home === undefined ? {} : { SIGNALBOX_HOME: home }),
      },
    },
  );
  log.info(`${command}\n${stdout}`);
  await link.ready();
  await window.showInformationMessage(stdout.trim().split("\n", 1)[0] || l10n.t("Done"));
}
