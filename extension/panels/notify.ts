import { l10n, window } from "vscode";
import type { Approval } from "../../service/contract/approvals.ts";
import type { Disposable } from "../emitter.ts";
import type { ApprovalsList } from "../models/approvals.ts";
import { createBatch } from "../models/batch.ts";
import { readSettings } from "../settings.ts";

const GATHER_MS = 300;

/**
 * Tells of new approvals with a notification that only leads to them: nothing is approved without the payload in
 * sight. Several at once are one notification, and a window that nobody looks at waits until somebody does.
 */
export function createNotifier(
  list: ApprovalsList,
  show: (effect_id: string | undefined) => void,
): Disposable & { tell(approval: Approval): void } {
  const untold = new Set<string>();
  const tellNow = async () => {
    const waiting = list.waiting.filter(({ effect }) => untold.has(effect.id));
    untold.clear();
    const [first] = waiting;
    if (first === undefined || !readSettings().notifyApprovals) return;
    const message =
      waiting.length === 1
        ? l10n.t("{0} asks: {1}", first.asked_by, first.effect.summary)
        : l10n.t("{0} effects wait for you", waiting.length);
    const button = l10n.t("Show");
    if ((await window.showInformationMessage(message, button)) === button)
      show(waiting.length === 1 ? first.effect.id : undefined);
  };
  const gathered = createBatch<string>(GATHER_MS, (ids) => {
    for (const id of ids) untold.add(id);
    if (window.state.focused) void tellNow();
  });
  const focusing = window.onDidChangeWindowState(({ focused }) => {
    if (focused && untold.size > 0) void tellNow();
  });
  return {
    tell: ({ effect }) => gathered.add(effect.id),
    dispose() {
      gathered.dispose();
      focusing.dispose();
    },
  };
}
