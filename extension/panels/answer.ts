import { l10n, window } from "vscode";
import type { Client } from "../../service/client/call.ts";
import type { Approval } from "../../service/contract/approvals.ts";
import { SignalboxError } from "../../service/contract/errors.ts";
import type { Request } from "../../webview/messages.ts";
import { eventUri } from "../documents/events.ts";
import { openWorkflowLine } from "../documents/workflow-line.ts";
import type { ApprovalsList } from "../models/approvals.ts";
import type { Log, ServiceLink } from "../service.ts";
import { readSettings } from "../settings.ts";

/** What is shown besides the approvals themselves. */
export interface Own {
  history: readonly Approval[];
  problem: string | null;
  shown: string | null;
}

/** What an answer needs, and what it may change. */
export interface Shown {
  readonly list: ApprovalsList;
  readonly link: ServiceLink;
  readonly log: Log;
  readonly own: Own;
  showAll(): void;
  openPanel(): void;
}

/** Does what a webview asks for; a refusal is said in the webview itself, beside what it is about. */
export async function answer(shown: Shown, asked: Request): Promise<void> {
  const { own, log, showAll } = shown;
  own.problem = null;
  try {
    await carryOut(shown, asked);
  } catch (error) {
    log.warn(`${asked.type}: ${String(error)}`);
    own.problem = SignalboxError.is(error) ? `${error.message} — ${error.hint}` : (error as Error).message;
  }
  showAll();
}

async function carryOut(shown: Shown, asked: Request): Promise<void> {
  const { link, list } = shown;
  if (asked.type === "ready") return;
  if (asked.type === "openPanel") return shown.openPanel();
  if (asked.type === "openEvent") {
    await window.showTextDocument(eventUri(asked.event_id), { preview: true });
    return;
  }
  const client = await link.ready();
  if (asked.type === "decide") return decide(client, asked);
  const approval = list.find(asked.id);
  if (approval === undefined) throw new SignalboxError("not_found", l10n.t("It does not wait any more"));
  const { workflow, line } = approval.effect.cause;
  if (workflow !== null && line !== null) await openWorkflowLine(client, workflow, line);
}

async function decide(
  client: Client,
  asked: Omit<Extract<Request, { type: "decide" }>, "type">,
): Promise<void> {
  const { decision, reason, choice, remember_days } = asked;
  for (const { id, sha256 } of asked.decisions) {
    await client.decideApproval({
      approval: id,
      sha256,
      decision,
      by: readSettings().person,
      ...(reason === undefined || reason === "" ? {} : { reason }),
      ...(choice === undefined ? {} : { choice }),
      ...(remember_days === undefined ? {} : { remember_days }),
    });
  }
}
