import { commands, Uri } from "vscode";
import type { Disposable } from "../emitter.ts";
import type { Row, RowItem } from "../models/row.ts";
import type { Parts } from "../parts.ts";
import { showError } from "../show-error.ts";
import { agentCommands } from "./agents.ts";
import type { Commands } from "./command.ts";
import { connectorCommands } from "./connectors.ts";
import { eventCommands } from "./events.ts";
import { scheduleCommands } from "./schedules.ts";
import { serviceCommands } from "./service.ts";
import { topicCommands } from "./topics.ts";
import { workflowCommands } from "./workflows.ts";

const all: Commands = {
  ...serviceCommands,
  ...eventCommands,
  ...topicCommands,
  ...agentCommands,
  ...connectorCommands,
  ...workflowCommands,
  ...scheduleCommands,
};

/** Registers every command; what one throws is shown with what helps. */
export function registerCommands(parts: Parts): Disposable {
  const registered = Object.entries(all).map(([id, command]) =>
    commands.registerCommand(`signalbox.${id}`, async (target: unknown) => {
      try {
        return await command(parts, itemOf(target));
      } catch (error) {
        await showError(error, parts.log);
        return undefined;
      }
    }),
  );
  return {
    dispose() {
      for (const one of registered) one.dispose();
    },
  };
}

/** A row of ours, or the address of an event's document; anything else stands for nothing. */
function itemOf(target: unknown): RowItem | undefined {
  if (target instanceof Uri) {
    if (target.scheme !== "signalbox-event") return undefined;
    const event_id = /evt_[0-9A-Z]+/i.exec(target.path)?.[0];
    return event_id === undefined
      ? undefined
      : { kind: "event", event_id, topic: null, correlation_id: null };
  }
  if (typeof target !== "object" || target === null || !("row" in target)) return undefined;
  return (target.row as Row).item;
}
