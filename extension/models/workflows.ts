import type { Event } from "../../service/contract/events.ts";
import type { Handler, Workflow } from "../../service/contract/workflows.ts";
import type { Row, Translate } from "./row.ts";
import { counts, duration, excerpt, relativeTime } from "./words.ts";

/** A workflow file; under it what is wrong with it, and its handlers. */
export function workflowRow(workflow: Workflow, nowMs: number, t: Translate): Row {
  const { name, file, problem } = workflow;
  const state = states(t)[workflow.state];
  const lastRun =
    workflow.last_run_ms === null ? t("never run") : relativeTime(workflow.last_run_ms, nowMs, t);
  const work = counts([
    [workflow.errors, t("{0} errors", workflow.errors)],
    [workflow.lag, t("{0} waiting", workflow.lag)],
  ]);
  return {
    id: `workflow:${name}`,
    label: name,
    description: [state.words, lastRun, work].filter((part) => part !== "").join(" · "),
    tooltip: [file, t("{0} events, {1} errors", workflow.events, workflow.errors), problem?.message]
      .filter(Boolean)
      .join("\n"),
    icon: state.icon,
    context: `workflow ${workflow.state === "active" ? "active" : "stopped"}`,
    spoken: `${name}, ${state.words || t("active")}, ${lastRun}`,
    item: { kind: "workflow", workflow: name, file },
    children: () => [
      ...(problem === null ? [] : [problemRow(workflow, t)]),
      ...workflow.handlers.map((handler) => handlerRow(workflow, handler, t)),
    ],
  };
}

function states(t: Translate): Record<Workflow["state"], { words: string; icon: NonNullable<Row["icon"]> }> {
  return {
    active: { words: "", icon: { id: "symbol-event", color: "testing.iconPassed" } },
    disabled: { words: t("disabled"), icon: { id: "debug-pause" } },
    failed: { words: t("does not load"), icon: { id: "error", color: "list.errorForeground" } },
    parked: { words: t("parked"), icon: { id: "stop-circle", color: "list.warningForeground" } },
  };
}

function problemRow({ name, file, problem }: Workflow, t: Translate): Row {
  const message = problem?.message ?? "";
  return {
    id: `workflow:${name}:problem`,
    label: excerpt(message),
    tooltip: [message, problem?.traceback].filter(Boolean).join("\n"),
    icon: { id: "error", color: "list.errorForeground" },
    item: { kind: "workflow", workflow: name, file, ...(problem?.line ? { line: problem.line } : {}) },
    command: { id: "signalbox.workflow.open", title: t("Open") },
  };
}

function handlerRow({ name, file }: Workflow, handler: Handler, t: Translate): Row {
  const every = handler.every_ms === null ? "" : t("every {0}", duration(handler.every_ms, t));
  return {
    id: `workflow:${name}:${handler.id}`,
    label: handler.pattern ?? every,
    description: t("line {0}", handler.line),
    icon: { id: handler.kind === "schedule" ? "watch" : "symbol-method" },
    context: "handler",
    item: { kind: "workflow", workflow: name, file, line: handler.line },
    command: { id: "signalbox.workflow.open", title: t("Open") },
  };
}

/** A name for a workflow that hears events like this one; empty where nothing of a name is left. */
export function workflowNameFor({ type, topic }: Pick<Event, "type" | "topic">): string {
  // What is pushed to a topic by hand is all of one type; the topic tells more.
  const words = topic !== null && type === "message.pushed" ? topic : type;
  const name = words.toLowerCase().replaceAll(/[^a-z0-9_]+/g, "-");
  return name
    .replace(/^[^a-z]+/, "")
    .slice(0, 60)
    .replace(/-+$/, "");
}
