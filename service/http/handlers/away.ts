import type { EffectState } from "../../contract/effects.ts";
import type { ListedEvent } from "../../contract/events.ts";
import type { AwayItem } from "../../contract/health.ts";
import { isUnwell } from "../../health/health.ts";
import { nearest } from "../../lib/nearest.ts";
import type { EffectRow, RunRow } from "../../store/store.ts";
import type { Parts } from "./parts.ts";

/** Most of one kind that are shown. */
const MOST = 50;
const RECENT = 500;

type Reader = (parts: Parts, sinceMs: number) => Promise<AwayItem[]>;

/**
 * What happened after `sinceMs` and still waits for somebody, newest first (`signalbox away`). What was settled
 * meanwhile is left out: the board shows what there is to do, not what there was.
 */
export async function whileAway(parts: Parts, sinceMs: number): Promise<AwayItem[]> {
  const found = await Promise.all(readers.map((read) => read(parts, sinceMs)));
  return found.flat().sort((a, b) => b.time_ms - a.time_ms);
}

const missedSchedules: Reader = async ({ store, scheduler }, since_ms) => {
  const skipped = await store.listFirings({ outcome: "skipped", since_ms: since_ms + 1, limit: RECENT });
  const bySchedule = Map.groupBy(skipped, (one) => one.schedule_id);
  const names = new Map(scheduler.list().map((one) => [one.id, one.name]));
  return [...bySchedule].map(([id, firings]) => {
    const name = names.get(id) ?? id;
    const count = firings.reduce((sum, one) => sum + one.count, 0);
    return {
      kind: "schedule_missed",
      title: `${name} missed ${count} due time${count === 1 ? "" : "s"}`,
      detail: firings[0]?.reason ?? null,
      time_ms: Math.max(...firings.map((one) => one.recorded_ms)),
      count,
      ref: name,
      actions: (["skip", "once", "all"] as const).map((action) => ({
        label: action,
        command: `signalbox schedules missed ${name} ${action}`,
      })),
    };
  });
};

const pausedSchedules: Reader = async ({ scheduler }, sinceMs) =>
  scheduler
    .list()
    .filter((one) => one.state === "paused" && one.paused_reason !== null && one.updated_ms > sinceMs)
    .map((one) => ({
      kind: "schedule_paused",
      title: `${one.name} is paused`,
      detail: one.paused_reason,
      time_ms: one.updated_ms,
      count: one.failures,
      ref: one.name,
      actions: [
        { label: "resume", command: `signalbox schedules resume ${one.name}` },
        { label: "look", command: `signalbox schedules history ${one.name}` },
      ],
    }));

const effectKinds = [
  ["waiting", "effect_waiting", "waits for a decision"],
  ["unknown", "effect_unknown", "may have happened: nobody saw its end"],
  ["expired", "effect_expired", "expired before it was done"],
  ["failed", "effect_failed", "failed"],
] as const satisfies (readonly [EffectState, AwayItem["kind"], string])[];

const effects: Reader = async ({ store }, sinceMs) => {
  const found = await Promise.all(
    effectKinds.map(async ([state, kind, what]) => {
      const rows = await store.listEffects({ state, limit: RECENT });
      const recent = rows.filter((row) => row.updated_ms > sinceMs).slice(0, MOST);
      return recent.map(
        (row): AwayItem => ({
          kind,
          title: `${row.summary}: ${what}`,
          detail: row.error,
          time_ms: row.updated_ms,
          count: 1,
          ref: row.id,
          actions: effectActions(state, row),
        }),
      );
    }),
  );
  return found.flat();
};

function effectActions(state: EffectState, { id }: EffectRow): AwayItem["actions"] {
  if (state === "waiting") {
    return [
      { label: "approve", command: `signalbox approvals approve ${id}` },
      { label: "deny", command: `signalbox approvals deny ${id}` },
    ];
  }
  const retry = { label: "retry", command: `signalbox effects retry ${id}` };
  return state === "unknown" ? [retry, { label: "skip", command: `signalbox effects skip ${id}` }] : [retry];
}

const deadLetters: Reader = async ({ store }, since_ms) => {
  const told = await eventsSince(store, "signalbox.delivery.dead", since_ms);
  const byTopic = Map.groupBy(told, (event) => String(event.payload.topic));
  const topics = await store.listTopics();
  return topics.flatMap(({ name, counts }): AwayItem[] => {
    const events = byTopic.get(name);
    // Those that were redriven meanwhile are dead no more.
    if (events === undefined || counts.dead === 0) return [];
    const count = Math.min(events.length, counts.dead);
    return [
      {
        kind: "dead_letters",
        title: `${count} dead letter${count === 1 ? "" : "s"} in ${name}`,
        detail: events[0]?.body ?? null,
        time_ms: events[0]?.recorded_ms ?? since_ms,
        count,
        ref: name,
        actions: [
          { label: "redrive", command: `signalbox topics redrive ${name}` },
          { label: "look", command: `signalbox topics dead ${name}` },
        ],
      },
    ];
  });
};

const failedRuns: Reader = async ({ store }, sinceMs) => {
  const rows = await store.listRuns({ status: "failed", limit: RECENT });
  const recent = rows.filter((row) => (row.finished_ms ?? 0) > sinceMs);
  const byWorkflow = Map.groupBy(recent, (row) => row.workflow);
  return [...byWorkflow].map(([workflow, runs]) => {
    const newest = runs.reduce((a: RunRow, b) => ((b.finished_ms ?? 0) > (a.finished_ms ?? 0) ? b : a));
    return {
      kind: "runs_failed",
      title: `${runs.length} run${runs.length === 1 ? "" : "s"} of ${workflow} failed`,
      detail: newest.error?.message ?? null,
      time_ms: newest.finished_ms ?? 0,
      count: runs.length,
      ref: newest.run_id,
      actions: [
        { label: "retry", command: `signalbox runs retry ${newest.run_id}` },
        { label: "look", command: `signalbox workflow runs ${workflow} --status failed` },
      ],
    };
  });
};

const parkedWorkflows: Reader = async ({ store, engine }, since_ms) => {
  const told = await eventsSince(store, "signalbox.workflow.parked", since_ms);
  const workflows = await engine.list();
  return workflows.flatMap(({ name, state, problem }): AwayItem[] => {
    const event = told.find((one) => one.payload.workflow === name);
    if (state !== "parked" || event === undefined) return [];
    return [
      {
        kind: "workflow_parked",
        title: `${name} is parked`,
        detail: problem?.message ?? null,
        time_ms: event.recorded_ms,
        count: 1,
        ref: name,
        actions: [
          { label: "enable", command: `signalbox workflow enable ${name}` },
          { label: "look", command: `signalbox workflow show ${name}` },
        ],
      },
    ];
  });
};

const parkedChains: Reader = async ({ store }, since_ms) => {
  const told = await eventsSince(store, "signalbox.chain.parked", since_ms);
  return told.slice(0, MOST).map((event) => ({
    kind: "chain_parked",
    title: "A chain of events was stopped",
    detail: event.body,
    time_ms: event.recorded_ms,
    count: 1,
    ref: String(event.payload.event_id),
    actions: [{ label: "look", command: `signalbox events show ${String(event.payload.event_id)}` }],
  }));
};

const offlineAgents: Reader = async ({ store, agents }, since_ms) => {
  const told = await eventsSince(store, "signalbox.agent.offline", since_ms);
  const offline = (await agents.list()).filter(
    ({ status, kind }) => status === "offline" && kind === "agent",
  );
  return offline.flatMap(({ name, open_commands }): AwayItem[] => {
    const event = told.find((one) => one.payload.name === name);
    if (event === undefined) return [];
    const waiting =
      open_commands === 0 ? "" : `; ${open_commands} command${open_commands === 1 ? "" : "s"} wait for it`;
    return [
      {
        kind: "agent_offline",
        title: `${name} is offline`,
        detail: `${event.body ?? ""}${waiting}`,
        time_ms: event.recorded_ms,
        count: 1,
        ref: name,
        actions: [
          { label: "look", command: `signalbox agents show ${name}` },
          { label: "forget", command: `signalbox agents remove ${name}` },
        ],
      },
    ];
  });
};

/** Commands that nobody takes, since their agent was never here: mistyped, or not started yet. */
const unknownAgents: Reader = async ({ store, agents }, sinceMs) => {
  const rows = await store.listEffects({ state: "approved", limit: RECENT });
  const names = (await agents.list()).map(({ name }) => name);
  const lost = rows.filter(
    (row) => row.kind === "command" && row.updated_ms > sinceMs && !names.includes(row.target),
  );
  return [...Map.groupBy(lost, (row) => row.target)].map(([target, commands]) => {
    const meant = nearest(target, names);
    const [newest] = commands;
    return {
      kind: "agent_unknown",
      title: `${commands.length} command${commands.length === 1 ? "" : "s"} for ${target}, an agent that nobody knows`,
      detail: meant === null ? (newest?.summary ?? null) : `Is ${meant} meant?`,
      time_ms: Math.max(...commands.map((row) => row.updated_ms)),
      count: commands.length,
      ref: target,
      actions: [
        { label: "look", command: `signalbox effects list --target ${target}` },
        ...(newest ? [{ label: "skip", command: `signalbox effects skip ${newest.id}` }] : []),
      ],
    };
  });
};

/** Of these also what was unwell before: it still is. */
const unwellParts: Reader = async ({ health }) =>
  health
    .list()
    .filter(isUnwell)
    .map((part) => ({
      kind: "part_degraded",
      title: `${part.name} is ${part.state}`,
      detail: part.message,
      time_ms: part.since_ms,
      count: 1,
      ref: part.name,
      actions: [{ label: "look", command: "signalbox doctor" }],
    }));

const readers: readonly Reader[] = [
  missedSchedules,
  pausedSchedules,
  effects,
  deadLetters,
  failedRuns,
  parkedWorkflows,
  parkedChains,
  offlineAgents,
  unknownAgents,
  unwellParts,
];

/** Newest first. */
function eventsSince(store: Parts["store"], type: string, since_ms: number): Promise<ListedEvent[]> {
  return store.findEvents({ type, source: "signalbox", since_ms: since_ms + 1, limit: RECENT });
}
