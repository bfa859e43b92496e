import type { Topic } from "../../service/contract/topics.ts";
import type { Row, Translate } from "./row.ts";
import { counts, excerpt } from "./words.ts";

const STATUSES = ["pending", "processing", "failed", "dead"] as const;

/** A topic with its counts; under it one row a status, and the prompt. */
export function topicRow(topic: Topic, t: Translate): Row {
  const description = topicCounts(topic, t);
  const words = topic.paused ? [t("paused"), description] : [description];
  return {
    id: `topic:${topic.name}`,
    label: topic.name,
    description: words.filter((part) => part !== "").join(" · "),
    tooltip: [topic.name, description, topic.prompt].filter(Boolean).join("\n"),
    icon: topic.paused ? { id: "debug-pause", color: "list.warningForeground" } : { id: "inbox" },
    context: ["topic", topic.paused ? "paused" : "running", ...(topic.counts.dead > 0 ? ["dead"] : [])].join(
      " ",
    ),
    badge: badgeOf(topic, t),
    item: { kind: "topic", topic: topic.name },
    children: () => [
      ...STATUSES.map((status) => statusRow(topic, status, t)),
      promptRow(topic, t),
      ...limitRows(topic, t),
    ],
  };
}

function topicCounts(
  { counts: { pending, processing, failed, dead, delayed } }: Topic,
  t: Translate,
): string {
  return counts([
    [pending, t("{0} pending", pending)],
    [delayed, t("{0} delayed", delayed)],
    [processing, t("{0} processing", processing)],
    [failed, t("{0} failed", failed)],
    [dead, t("{0} dead", dead)],
  ]);
}

/** Dead letters first: they wait for a person, the others for an agent. */
function badgeOf({ counts: { pending, dead } }: Topic, t: Translate): Row["badge"] {
  const count = dead > 0 ? dead : pending;
  if (count === 0) return undefined;
  const tooltip = dead > 0 ? t("{0} dead letters", dead) : t("{0} pending", pending);
  return { text: count > 99 ? "9+" : String(count), tooltip, isAlarming: dead > 0 };
}

const statusIcons = {
  pending: { id: "circle-outline" },
  processing: { id: "sync" },
  failed: { id: "error", color: "list.errorForeground" },
  dead: { id: "circle-slash", color: "list.errorForeground" },
} as const;

function statusRow(topic: Topic, status: (typeof STATUSES)[number], t: Translate): Row {
  return {
    id: `topic:${topic.name}:${status}`,
    label: t(status),
    description: String(topic.counts[status]),
    icon: statusIcons[status],
    context: "topicStatus",
    item: { kind: "topic", topic: topic.name, status },
    command: { id: "signalbox.topic.showEvents", title: t("Show Events") },
  };
}

function promptRow(topic: Topic, t: Translate): Row {
  return {
    id: `topic:${topic.name}:prompt`,
    label: t("prompt"),
    description: topic.prompt === null ? t("none") : excerpt(topic.prompt),
    tooltip: topic.prompt ?? t("What agents are told with each event of this topic"),
    icon: { id: "comment" },
    context: "topicPrompt",
    item: { kind: "topic", topic: topic.name },
    command: { id: "signalbox.topic.editPrompt", title: t("Edit Prompt") },
  };
}

function limitRows(topic: Topic, t: Translate): readonly Row[] {
  if (topic.allow.length === 0) return [];
  const allowed = topic.allow.join(", ");
  return [
    {
      id: `topic:${topic.name}:allow`,
      label: t("only for"),
      description: allowed,
      tooltip: allowed,
      icon: { id: "lock" },
    },
  ];
}
