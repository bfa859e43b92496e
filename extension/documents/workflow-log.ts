import { l10n } from "vscode";
import type { Client } from "../../service/client/call.ts";
import { showText } from "./text.ts";

const LINES = 500;

/** The latest lines that a workflow logged, oldest first. */
export async function showWorkflowLog(client: Client, workflow: string): Promise<void> {
  const { lines } = await client.workflowLogs({ workflow, limit: LINES });
  const text = lines.map(({ time_ms, level, line, message, event_id }) => {
    const place = line === null ? "" : ` :${line}`;
    return `${new Date(time_ms).toISOString()} [${level}]${place} ${message}${event_id === null ? "" : `  ${event_id}`}`;
  });
  await showText(
    `${workflow}.log`,
    text.length === 0 ? l10n.t("It has logged nothing yet.") : text.join("\n"),
  );
}
