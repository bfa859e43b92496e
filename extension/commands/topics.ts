import { l10n, window } from "vscode";
import type { Client } from "../../service/client/call.ts";
import { promptUri } from "../documents/prompts.ts";
import type { EventFilter } from "../models/event-filter.ts";
import type { RowItem } from "../models/row.ts";
import type { Parts } from "../parts.ts";
import { askForTopic, confirm } from "./choose.ts";
import type { Command, Commands } from "./command.ts";
import { claimNext, pushEvent } from "./events.ts";

/** For commands that have a topic's row only. */
function withTopic(act: (parts: Parts, topic: string, client: Client) => unknown): Command {
  return async (parts, item) => {
    if (item?.kind !== "topic") return;
    await act(parts, item.topic, await parts.link.ready());
    await parts.views.topics.refresh();
  };
}

export const topicCommands: Commands = {
  "topic.create": async ({ link, views }) => {
    const client = await link.ready();
    const name = await askForTopic(l10n.t("Create Topic"));
    if (name === undefined) return;
    await client.createTopic({ name });
    await views.topics.refresh();
  },
  "topic.push": withTopic((parts, topic) => pushEvent(parts, topic)),
  "topic.claim": withTopic((parts, topic) => claimNext(parts, topic)),
  "topic.pause": withTopic((_, topic, client) => client.updateTopic({ topic, paused: true })),
  "topic.resume": withTopic((_, topic, client) => client.updateTopic({ topic, paused: false })),
  "topic.redrive": withTopic(async ({ log }, topic, client) => {
    const { count } = await client.redriveTopic({ topic });
    log.info(`${count} dead letters of ${topic} can be claimed again`);
  }),
  "topic.purge": withTopic(purge),
  "topic.editPrompt": withTopic((_, topic) => window.showTextDocument(promptUri(topic))),
  "topic.showEvents": async ({ views }, item) => {
    const filter = filterOf(item);
    if (filter === null) return;
    await views.events.setFilter(filter);
    await views.revealEvents();
  },
};

function filterOf(item: RowItem | undefined): EventFilter | null {
  if (item?.kind !== "topic") return null;
  const { topic, status } = item;
  return status === undefined ? { topic } : { topic, status: status as NonNullable<EventFilter["status"]> };
}

async function purge({ log }: Parts, topic: string, client: Client): Promise<void> {
  const { counts } = await client.getTopic({ topic });
  const kinds = (["pending", "failed", "dead", "completed"] as const).filter((status) => counts[status] > 0);
  if (kinds.length === 0) {
    await window.showInformationMessage(l10n.t("There is nothing to purge in {0}.", topic));
    return;
  }
  const chosen = await window.showQuickPick(
    kinds.map((status) => ({ label: l10n.t(status), description: String(counts[status]), status })),
    { title: l10n.t("Purge which deliveries of {0}?", topic), ignoreFocusOut: true },
  );
  if (chosen === undefined) return;
  const isSure = await confirm(
    l10n.t("Purge {0} {1} deliveries of {2}?", counts[chosen.status], chosen.label, topic),
    l10n.t("No agent gets them any more. The events themselves stay in the log."),
    l10n.t("Purge"),
  );
  if (!isSure) return;
  const { count } = await client.purgeTopic({ topic, status: chosen.status });
  log.info(`${count} deliveries of ${topic} were purged`);
}
