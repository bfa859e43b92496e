import {
  Location,
  l10n,
  Position,
  Range,
  type TestController,
  type TestItem,
  TestMessage,
  type TestRun,
  TestRunProfileKind,
  type TestRunRequest,
  tests,
  Uri,
} from "vscode";
import type { Client } from "../service/client/call.ts";
import type { Workflow } from "../service/contract/workflows.ts";
import type { Disposable } from "./emitter.ts";
import type { ServiceLink } from "./service.ts";

/**
 * Workflows as a tree of tests: each handler is a dry run on the newest recorded event that it hears. It fails where
 * the handler does, at that line; nothing happens outside.
 */
export function registerWorkflowTests(link: ServiceLink): Disposable {
  const controller = tests.createTestController("signalbox.workflows", l10n.t("Signalbox Workflows"));
  let isOpened = false;
  const list = async () => {
    const { client } = link;
    const workflows = client === null ? [] : (await client.listWorkflows()).workflows;
    // What is as it was stays the same item: a run that is under way could not tell its result otherwise.
    controller.items.replace(
      workflows.map((one) => {
        const fresh = workflowItem(controller, one);
        const known = controller.items.get(fresh.id);
        return known !== undefined && outline(known) === outline(fresh) ? known : fresh;
      }),
    );
  };
  controller.resolveHandler = async (item) => {
    if (item !== undefined) return;
    isOpened = true;
    await list();
  };
  controller.refreshHandler = list;
  controller.createRunProfile(
    l10n.t("Dry Run on Last Event"),
    TestRunProfileKind.Run,
    (request, token) => runAll(controller, link, request, () => token.isCancellationRequested),
    true,
  );
  const following = link.onEvent(({ type }) => {
    // Only for a tree that somebody has opened.
    if (isOpened && type.startsWith("signalbox.workflow.")) void list();
  });
  const joining = link.onState(({ kind }) => {
    if (isOpened && kind === "ready") void list();
  });
  return {
    dispose() {
      following.dispose();
      joining.dispose();
      controller.dispose();
    },
  };
}

function workflowItem(controller: TestController, workflow: Workflow): TestItem {
  const uri = Uri.file(workflow.file);
  const item = controller.createTestItem(workflow.name, workflow.name, uri);
  for (const handler of workflow.handlers) {
    if (handler.pattern === null) continue;
    const child = controller.createTestItem(`${workflow.name}:${handler.id}`, handler.pattern, uri);
    child.range = new Range(handler.line - 1, 0, handler.line - 1, 0);
    item.children.add(child);
  }
  return item;
}

/** All of it that is shown or run. */
function outline(item: TestItem): string {
  const children = membersOf(item.children).map(({ id, label, range }) => [id, label, range?.start.line]);
  return JSON.stringify([item.label, item.uri?.toString(), children]);
}

async function runAll(
  controller: TestController,
  link: ServiceLink,
  request: TestRunRequest,
  isCancelled: () => boolean,
): Promise<void> {
  const run = controller.createTestRun(request);
  const excluded = new Set(request.exclude);
  const handlers = (request.include ?? membersOf(controller.items))
    .flatMap((item) => (item.children.size > 0 ? membersOf(item.children) : [item]))
    .filter((item) => item.id.includes(":") && !excluded.has(item));
  try {
    const client = await link.ready();
    for (const item of handlers) {
      if (isCancelled()) run.skipped(item);
      else await runOne(run, client, item);
    }
  } finally {
    run.end();
  }
}

function membersOf(items: Iterable<[string, TestItem]>): TestItem[] {
  return [...items].map(([, item]) => item);
}

async function runOne(run: TestRun, client: Client, item: TestItem): Promise<void> {
  const [workflow = "", id] = item.id.split(":");
  const { events } = await client.findEvents({ subject: item.label, limit: 1 });
  const [event] = events;
  if (event === undefined) {
    run.appendOutput(`${l10n.t("No recorded event has the subject {0}.", item.label)}\r\n`, undefined, item);
    run.skipped(item);
    return;
  }
  run.started(item);
  const begin = performance.now();
  const tested = await client.testWorkflow({ workflow, event_id: event.id });
  const duration = performance.now() - begin;
  const mine = tested.runs.find(({ handler }) => String(handler.id) === id);
  for (const effect of mine?.effects ?? []) run.appendOutput(`${effect.summary}\r\n`, undefined, item);
  if (mine?.error == null) {
    run.passed(item, duration);
    return;
  }
  const message = new TestMessage(mine.error.message);
  if (item.uri !== undefined && mine.error.line !== null)
    message.location = new Location(item.uri, new Position(mine.error.line - 1, 0));
  run.failed(item, message, duration);
}
