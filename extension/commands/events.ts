import { commands, env, l10n, type QuickPickItem, window } from "vscode";
import type { Event } from "../../service/contract/events.ts";
import { openDraft } from "../documents/drafts.ts";
import { openDryRun } from "../documents/dry-run.ts";
import { eventUri } from "../documents/events.ts";
import { openWorkflowLine } from "../documents/workflow-line.ts";
import type { EventFilter } from "../models/event-filter.ts";
import type { RowItem } from "../models/row.ts";
import type { Parts } from "../parts.ts";
import { readSettings } from "../settings.ts";
import { chooseTopic } from "./choose.ts";
import type { Commands } from "./command.ts";

export const eventCommands: Commands = {
  "event.push": (parts) => pushEvent(parts, undefined),
  "events.filter": ({ views }) =>
    changeFilter(views.events.filter, (filter) => views.events.setFilter(filter)),
  "events.clearFilter": ({ views }) => views.events.setFilter({}),
  "events.group": ({ views }) => views.events.setGrouped(true),
  "events.ungroup": ({ views }) => views.events.setGrouped(false),
  "events.more": ({ views }) => views.events.loadMore(),
  "event.open": async (_, item) => {
    const event_id = eventOf(item);
    if (event_id !== null) await window.showTextDocument(eventUri(event_id), { preview: true });
  },
  "event.claim": async (parts, item) => {
    const event_id = eventOf(item);
    if (event_id !== null) await claimEvent(parts, event_id);
  },
  "event.reply": reply,
  "event.dryRun": async ({ link }, item) => {
    const event_id = eventOf(item);
    if (event_id === null) return;
    const client = await link.ready();
    const { workflows } = await client.listWorkflows();
    if (workflows.length === 0) {
      const create = l10n.t("New Workflow…");
      const said = l10n.t("There is no workflow yet to try it in.");
      if ((await window.showInformationMessage(said, create)) === create)
        await commands.executeCommand("signalbox.workflow.new");
      return;
    }
    const chosen = await window.showQuickPick(
      workflows.map(({ name, handlers }) => ({
        label: name,
        description: handlers.map(({ pattern }) => pattern ?? "").join(", "),
      })),
      { title: l10n.t("Dry run in which workflow? Nothing happens outside."), ignoreFocusOut: true },
    );
    if (chosen !== undefined) await openDryRun(client, chosen.label, event_id);
  },
  "event.openHandler": openHandler,
  "event.showChain": async ({ views }, item) => {
    if (item?.kind !== "event" || item.correlation_id === null) return;
    await views.events.setFilter({ correlation_id: item.correlation_id });
    await views.revealEvents();
  },
  "event.copyId": async (_, item) => {
    const event_id = eventOf(item);
    if (event_id !== null) await env.clipboard.writeText(event_id);
  },
};

function eventOf(item: RowItem | undefined): string | null {
  return item?.kind === "event" ? item.event_id : null;
}

/** Takes exactly this event in the person's name. */
async function claimEvent({ link, views, eventDocuments }: Parts, event_id: string): Promise<void> {
  const client = await link.ready();
  const { topic } = (await client.getEvent({ event_id })).event;
  const { claimed } =
    topic === null
      ? { claimed: [] }
      : await client.claimEvents({ topic, event_id, agent: `@${readSettings().person}` });
  eventDocuments.refresh();
  await views.refresh();
  if (claimed.length === 0) await window.showInformationMessage(l10n.t("It can't be claimed any more."));
  else await window.showTextDocument(eventUri(event_id), { preview: false });
}

/** Takes the oldest waiting event of a topic in the person's name, and opens it. */
export async function claimNext(
  { link, views }: Pick<Parts, "link" | "views">,
  topic: string,
): Promise<void> {
  const client = await link.ready();
  const { claimed } = await client.claimEvents({ topic, agent: `@${readSettings().person}` });
  const [first] = claimed;
  if (first === undefined) {
    await window.showInformationMessage(l10n.t("Nothing waits in {0}.", topic));
    return;
  }
  await window.showTextDocument(eventUri(first.event.id), { preview: false });
  await views.refresh();
}

async function reply({ link, views, eventDocuments }: Parts, item: RowItem | undefined): Promise<void> {
  const event_id = eventOf(item);
  if (event_id === null) return;
  const client = await link.ready();
  const body = await window.showInputBox({
    title: l10n.t("Reply to Event"),
    prompt: l10n.t("The answer is an event too; the one it answers is completed with it"),
    ignoreFocusOut: true,
  });
  if (body === undefined) return;
  const source = `@${readSettings().person}`;
  const { reply_id } = await client.reply({ event_id, body, source, origin_kind: "human" });
  eventDocuments.refresh();
  await views.refresh();
  await window.showTextDocument(eventUri(reply_id), { preview: true });
}

async function openHandler({ link }: Parts, item: RowItem | undefined): Promise<void> {
  const event_id = eventOf(item);
  if (event_id === null) return;
  const client = await link.ready();
  const { runs } = await client.getEvent({ event_id });
  const lines = runs.filter(({ workflow, line }) => workflow !== null && line !== null);
  if (lines.length === 0) {
    await window.showInformationMessage(l10n.t("No workflow has handled this event."));
    return;
  }
  const chosen =
    lines.length === 1
      ? lines[0]
      : (
          await window.showQuickPick(
            lines.map((run) => ({ label: run.line ?? "", description: run.status, run })),
            { title: l10n.t("Which handler?"), ignoreFocusOut: true },
          )
        )?.run;
  if (chosen?.workflow && chosen.line) await openWorkflowLine(client, chosen.workflow, chosen.line);
}

/** A message typed here, or a whole event as a JSON document. */
export async function pushEvent({ link, views }: Parts, into: string | undefined): Promise<void> {
  const client = await link.ready();
  const topic = into ?? (await chooseTopic(client, l10n.t("Push an Event: to which topic?")));
  if (topic === undefined) return;
  const asText = { label: `$(comment) ${l10n.t("Message")}`, detail: l10n.t("A line of text") };
  const asJson = {
    label: `$(json) ${l10n.t("JSON Document")}`,
    detail: l10n.t("Body, payload and everything else"),
  };
  const form = await window.showQuickPick([asText, asJson], {
    title: l10n.t("Push an Event to {0}", topic),
    ignoreFocusOut: true,
  });
  if (form === asJson) await openDraft({ topic, body: "", payload: {} });
  if (form !== asText) return;
  const body = await window.showInputBox({
    title: l10n.t("Push an Event to {0}", topic),
    prompt: l10n.t("What it says; @name speaks to an agent"),
    ignoreFocusOut: true,
  });
  if (body === undefined) return;
  await client.pushEvent({ topic, body, source: "vscode", origin_kind: "human" });
  await views.refresh();
}

type FilterKey = Exclude<keyof EventFilter, "status" | "last_ms">;
interface FilterPick extends QuickPickItem {
  readonly field: keyof EventFilter | "clear";
}

const HOUR_MS = 3_600_000;

/** One condition at a time; the others stay. */
async function changeFilter(
  filter: EventFilter,
  apply: (filter: EventFilter) => Promise<void>,
): Promise<void> {
  const field = (label: string, name: FilterPick["field"], icon: string): FilterPick => ({
    label: `$(${icon}) ${label}`,
    field: name,
    ...(name !== "clear" && filter[name] !== undefined ? { description: String(filter[name]) } : {}),
  });
  const chosen = await window.showQuickPick(
    [
      field(l10n.t("Words in the text"), "text", "search"),
      field(l10n.t("Topic"), "topic", "inbox"),
      field(l10n.t("Type"), "type", "symbol-class"),
      field(l10n.t("Status"), "status", "circle-outline"),
      field(l10n.t("Source"), "source", "globe"),
      field(l10n.t("Agent"), "agent", "robot"),
      field(l10n.t("Time"), "last_ms", "history"),
      field(l10n.t("Clear Filter"), "clear", "clear-all"),
    ],
    { title: l10n.t("Filter Events"), ignoreFocusOut: true },
  );
  if (chosen === undefined) return;
  if (chosen.field === "clear") return apply({});
  const value = await askFor(chosen.field, filter);
  if (value === undefined) return;
  const { [chosen.field]: _before, ...others } = filter;
  await apply(value === "" ? others : { ...others, [chosen.field]: value });
}

/** `""` takes the condition away, undefined leaves all as it was. */
async function askFor(field: keyof EventFilter, filter: EventFilter): Promise<string | number | undefined> {
  const any = { label: l10n.t("Any"), value: "" as string | number };
  if (field === "status") {
    const statuses = ["pending", "processing", "completed", "failed", "dead"] as const;
    const picks = [any, ...statuses.map((value) => ({ label: l10n.t(value), value }))];
    return (await window.showQuickPick(picks, { title: l10n.t("Status"), ignoreFocusOut: true }))?.value;
  }
  if (field === "last_ms") {
    const spans = [1, 24, 24 * 7].map((hours) => ({
      label: l10n.t("last {0} h", hours),
      value: hours * HOUR_MS,
    }));
    return (await window.showQuickPick([any, ...spans], { title: l10n.t("Time"), ignoreFocusOut: true }))
      ?.value;
  }
  const text = await window.showInputBox({
    title: l10n.t("Filter Events"),
    value: String(filter[field satisfies FilterKey] ?? ""),
    prompt: l10n.t("Empty: any"),
    ignoreFocusOut: true,
  });
  return text?.trim();
}

/** The latest event of a topic or subject, newest first, to choose one. */
export async function chooseEvent({ link }: Pick<Parts, "link">, title: string): Promise<Event | undefined> {
  const client = await link.ready();
  const { events } = await client.findEvents({ limit: 50 });
  const chosen = await window.showQuickPick(
    events.map((event) => ({ label: event.type, description: event.body ?? "", detail: event.id, event })),
    { title, matchOnDescription: true, matchOnDetail: true, ignoreFocusOut: true },
  );
  if (chosen === undefined && events.length === 0) await commands.executeCommand("signalbox.event.push");
  return chosen?.event;
}
