/** What the tests of workflows in a running service share. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Client } from "../../service/client/index.ts";
import type { Command } from "../../service/contract/agents.ts";
import type { Json } from "../../service/contract/common.ts";
import type { Event, NewEvent } from "../../service/contract/events.ts";
import type { Run, Workflow } from "../../service/contract/workflows.ts";
import { eventually, startTestService, type TestService } from "./service.ts";

type Options = NonNullable<Parameters<typeof startTestService>[0]>;

/** A service with these workflow texts by name (without `.lua`), closed when the test ends. */
export async function serviceWith(
  workflows: Record<string, string>,
  options: Options = {},
): Promise<TestService> {
  const files = Object.fromEntries(Object.entries(workflows).map(([name, text]) => [`${name}.lua`, text]));
  const service = await startTestService({ ...options, workflows: files });
  onTestFinished(() => service.close());
  return service;
}

export function writeWorkflow(service: TestService, name: string, text: string): void {
  mkdirSync(service.paths.workflowsDir, { recursive: true });
  writeFileSync(join(service.paths.workflowsDir, `${name}.lua`), text);
}

export function removeWorkflow(service: TestService, name: string): void {
  rmSync(join(service.paths.workflowsDir, `${name}.lua`));
}

const ended = ["succeeded", "failed", "skipped", "cancelled"];

/** Pushes and waits until nothing more comes of it by itself: all runs have ended or wait. */
export async function pushAndRun(client: Client, event: NewEvent): Promise<Run> {
  const { run_id } = await client.pushEvent(event);
  return eventually(
    () => client.getRun({ run_id }),
    ({ status }) => ended.includes(status) || status === "waiting",
  );
}

export async function eventsOf(
  client: Client,
  filter: { type?: string; source?: string } = {},
): Promise<Event[]> {
  const { events } = await client.findEvents({ ...filter, limit: 1_000, oldest_first: true });
  return events;
}

/** Waits until there is an event of this type, and gives the first. */
export async function eventOf(client: Client, type: string): Promise<Event> {
  const [event] = await eventually(
    () => eventsOf(client, { type }),
    (events) => events.length > 0,
  );
  if (!event) throw new Error(`there is no ${type}`);
  return event;
}

/** Waits for the workflow to be as wanted. */
export function workflowThat(
  client: Client,
  name: string,
  isRight: (workflow: Workflow) => boolean,
): Promise<Workflow> {
  return eventually(() => client.getWorkflow({ workflow: name }), isRight);
}

/** Takes the next command of an agent, as the agent does. */
export async function nextCommand(client: Client, agent: string): Promise<Command> {
  const { commands } = await client.claimCommands({ agent, wait_ms: 20_000 });
  const [command] = commands;
  if (!command) throw new Error(`there is no command for ${agent}`);
  return command;
}

export async function succeed(client: Client, command: Command, result: Json = null): Promise<void> {
  const { effect_id, lease } = command;
  await client.finishEffect({ effect_id, lease, status: "succeeded", result });
}

export async function fail(client: Client, command: Command, error: string): Promise<void> {
  const { effect_id, lease } = command;
  await client.finishEffect({ effect_id, lease, status: "failed", error, retry: false });
}
