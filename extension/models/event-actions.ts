import type { Output } from "../../service/contract/routes.ts";
import type { Translate } from "./row.ts";

export interface EventAction {
  readonly title: string;
  /** Is given the address of the event's document. */
  readonly command: string;
}

/** What can be done with an event as it is now, most wanted first. */
export function eventActions(
  { event, deliveries, runs }: Pick<Output<"getEvent">, "event" | "deliveries" | "runs">,
  hasWorkflows: boolean,
  nowMs: number,
  t: Translate,
): readonly EventAction[] {
  const queued = deliveries.filter(({ group }) => group === "default");
  const isClaimable = queued.some(
    ({ status, not_before_ms }) => status === "pending" && (not_before_ms ?? 0) <= nowMs,
  );
  const isAnswerable = event.topic !== null && queued.some(({ status }) => status !== "completed");
  const wasHandled = runs.some(({ workflow, line }) => workflow !== null && line !== null);
  const actions: [boolean, string, string][] = [
    [isClaimable, t("Claim"), "signalbox.event.claim"],
    [isAnswerable, t("Reply…"), "signalbox.event.reply"],
    [hasWorkflows, t("Replay in a Workflow (Dry Run)…"), "signalbox.event.dryRun"],
    [wasHandled, t("Open Workflow Line"), "signalbox.event.openHandler"],
    [true, t("New Workflow from This Event…"), "signalbox.event.newWorkflow"],
    [true, t("Copy Id"), "signalbox.event.copyId"],
  ];
  return actions.flatMap(([applies, title, command]) => (applies ? [{ title, command }] : []));
}
