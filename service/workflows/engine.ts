import { basename } from "node:path";
import type { Bus, Consumer } from "../bus/bus.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, Run, SourceError, Tested, Workflow } from "../contract/workflows.ts";
import type { EffectLedger } from "../effects/ledger.ts";
import { type EventLog, eventIdOfRun } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import { type Closeable, Scope } from "../lib/scope.ts";
import type { RunRow, Store } from "../store/store.ts";
import { dryRun, madeUpEvent } from "./dry-run.ts";
import { readWorkflowFiles, type WorkflowFile, watchWorkflowFiles } from "./files.ts";
import type { LuaHost } from "./lua/host.ts";
import { compileReach } from "./reach.ts";
import { summarizeRuns, toRun } from "./run-view.ts";
import { type RunCause, Runner } from "./runner.ts";
import { startSchedule } from "./schedule.ts";

interface EngineOptions {
  store: Store;
  bus: Bus;
  clock: Clock;
  log: Logger;
  events: EventLog;
  ledger: EffectLedger;
  host: LuaHost;
  dir: string;
  hotReload: boolean;
  debounceMs: number;
}

/** Strikes (handlers that had to be stopped) after which a workflow is parked. */
const STRIKES = 3;
/** Handlers of one workflow that are with the Lua host at once; they still run one after the other. */
const IN_FLIGHT = 32;
const RECENT_LINES = 200;

interface Slot {
  name: string;
  file: WorkflowFile;
  /** What runs, if anything does. */
  loaded: {
    digest: string;
    handlers: Handler[];
    loaded_ms: number;
    reach: ((event: Event) => boolean)[];
  } | null;
  problem: SourceError | null;
  disabled: boolean;
  parked: string | null;
  consumer: Consumer | null;
  schedules: Closeable[];
  /** Lines from loading and from schedules, newest last. */
  recent: (LogLine & { run_id: string | null })[];
}

/** Keeps the workflows of one folder loaded, gives them their events, and answers for them. */
export class Engine implements Closeable {
  readonly #options: EngineOptions;
  readonly #runner: Runner;
  readonly #slots = new Map<string, Slot>();
  readonly #scope = new Scope();
  readonly #logListeners = new Set<(workflow: string, line: LogLine) => void>();
  #loading: Promise<void> = Promise.resolve();
  #closing = false;

  private constructor(options: EngineOptions) {
    this.#options = options;
    this.#runner = new Runner({
      ...options,
      onStrike: (workflow, reason) => this.#strike(workflow, reason),
      find: (workflow) => this.#running(workflow),
    });
  }

  static async start(options: EngineOptions): Promise<Engine> {
    const engine = new Engine(options);
    await engine.#sync(true);
    await engine.#runner.recover((row) => engine.#causeOf(row));
    if (options.hotReload)
      engine.#scope.use(watchWorkflowFiles({ ...options, onChange: () => engine.#sync(false) }));
    return engine;
  }

  /** Loads all files again; those whose text is the same keep their Lua state. */
  async reload(): Promise<{ workflows: number; failed: number }> {
    await this.#sync(true);
    const slots = [...this.#slots.values()];
    return { workflows: slots.length, failed: slots.filter((slot) => slot.problem !== null).length };
  }

  async list(): Promise<Workflow[]> {
    const rows = new Map((await this.#options.store.listWorkflowRows()).map((row) => [row.name, row]));
    const lastSeq = this.#options.store.lastSeq();
    return [...this.#slots.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((slot) => {
        const row = rows.get(slot.name);
        return {
          name: slot.name,
          file: slot.file.file,
          state: stateOf(slot),
          problem:
            slot.parked === null
              ? slot.problem
              : { message: slot.parked, file: null, line: null, traceback: null },
          version: slot.loaded?.digest ?? null,
          handlers: slot.loaded?.handlers ?? [],
          loaded_ms: slot.loaded?.loaded_ms ?? null,
          events: row?.events ?? 0,
          errors: row?.errors ?? 0,
          last_run_ms: row?.last_run_ms ?? null,
          lag: slot.consumer ? Math.max(0, lastSeq - slot.consumer.cursor) : 0,
        };
      });
  }

  async get(name: string): Promise<Workflow> {
    const found = (await this.list()).find((workflow) => workflow.name === name);
    if (!found) throw unknownWorkflow(name);
    return found;
  }

  async enable(name: string): Promise<Workflow> {
    const slot = this.#require(name);
    await this.#options.store.saveWorkflowRow(name, { disabled: false, parked_reason: null, strikes: 0 });
    slot.disabled = false;
    slot.parked = null;
    await this.#activate(slot);
    return this.get(name);
  }

  /** Events that come meanwhile are not given to it later. */
  async disable(name: string): Promise<Workflow> {
    const slot = this.#require(name);
    await this.#options.store.saveWorkflowRow(name, { disabled: true });
    slot.disabled = true;
    await this.#deactivate(slot);
    return this.get(name);
  }

  async check(
    source: string,
    file: string,
  ): Promise<{ ok: boolean; handlers: Handler[]; error: SourceError | null }> {
    try {
      const handlers = await this.#options.host.withScratch(
        { name: nameOf(file), file, source, state: {} },
        async ({ loaded }) => loaded.handlers,
      );
      return { ok: true, handlers, error: null };
    } catch (error) {
      if (!SignalboxError.is(error, "workflow_load_failed")) throw error;
      return { ok: false, handlers: [], error: problemOf(error, file) };
    }
  }

  /** @throws `workflow_load_failed`, `not_found`, `invalid_request` */
  async test(request: {
    source?: string | undefined;
    file: string;
    workflow?: string | undefined;
    event_id?: string | undefined;
    event?: JsonObject | undefined;
    results: Json[];
  }): Promise<Tested> {
    const now = this.#options.clock.nowMs();
    const slot = request.workflow === undefined ? undefined : this.#require(request.workflow);
    const source = request.source ?? slot?.file.source;
    if (source === undefined) throw new SignalboxError("invalid_request", "give either source or workflow");
    const event = await this.#eventFor(request, now);
    const name = slot?.name ?? nameOf(request.file);
    const state = await this.#options.store.readWorkflowState(name);
    const file = slot?.file.file ?? request.file;
    const runs = await dryRun(
      this.#options.host,
      { name, file: basename(file), source, state },
      event,
      (handler) => compileReach(handler)(event),
      request.results,
      now,
    );
    return { event, runs };
  }

  /** Gives a recorded event to a workflow once more, as new runs. */
  async runAgain(name: string, event_id: string): Promise<Run[]> {
    const slot = this.#require(name);
    const { loaded } = slot;
    if (!loaded)
      throw new SignalboxError("conflict", `${name} is not loaded`, {
        hint: "Correct its text first; `signalbox workflow show` has the line.",
      });
    const event = await this.#requireEvent(event_id);
    const again = newId("again");
    const workflow = { name, file: slot.file.file, digest: loaded.digest };
    const hit = loaded.handlers.filter((_, index) => loaded.reach[index]?.(event));
    return Promise.all(
      hit.map(async (handler) =>
        toRun(await this.#runner.execute({ workflow, handler, event, due_ms: 0, again })),
      ),
    );
  }

  /** One run by its id, or all runs of an event as one. @throws `not_found` */
  async getRun(run_id: string): Promise<Run> {
    const row = await this.#options.store.getRun(run_id);
    if (row) return toRun(row);
    const event = await this.#options.store.getEvent(eventIdOfRun(run_id));
    if (!event) throw new SignalboxError("not_found", `there is no run ${run_id}`);
    const rows = await this.#options.store.runsOfEvent(event.id);
    const queued = [...this.#slots.values()].some(
      (slot) => slot.consumer !== null && slot.consumer.cursor < event.seq && this.#wants(slot, event),
    );
    return summarizeRuns(event, rows, queued);
  }

  async retryRun(run_id: string): Promise<Run> {
    const row = await this.#requireRun(run_id);
    if (row.status !== "failed" && row.status !== "cancelled")
      throw new SignalboxError("conflict", `${run_id} is ${row.status}`);
    const cause = await this.#causeOf(row);
    if (!cause)
      throw new SignalboxError(
        "conflict",
        `${row.workflow} is not loaded, or has no handler ${row.handler} any more`,
      );
    return toRun(await this.#runner.retry(row, cause));
  }

  async cancelRun(run_id: string): Promise<Run> {
    const row = await this.#requireRun(run_id);
    if (row.status !== "waiting")
      throw new SignalboxError("conflict", `${run_id} is ${row.status}; only a waiting run can be cancelled`);
    return toRun(await this.#runner.cancel(row));
  }

  /** Newest lines, oldest first. */
  async logs(
    name: string,
    limit: number,
  ): Promise<(LogLine & { run_id: string | null; event_id: string | null })[]> {
    const slot = this.#require(name);
    const runs = await this.#options.store.recentLogs(name, limit);
    const ofRuns = runs.flatMap((run) =>
      run.logs.map((line) => ({ ...line, run_id: run.run_id, event_id: run.event_id })),
    );
    const all = [...ofRuns, ...slot.recent.map((line) => ({ ...line, event_id: null }))];
    return all.sort((a, b) => a.time_ms - b.time_ms).slice(-limit);
  }

  /** For the Lua host: every line as it is written. */
  readonly onLog = (workflow: string, run_id: string | null, line: LogLine): void => {
    if (run_id === null) {
      const slot = this.#slots.get(workflow);
      if (slot) slot.recent = [...slot.recent.slice(1 - RECENT_LINES), { ...line, run_id }];
    }
    this.#options.log[line.level]({ workflow_name: workflow, run_id }, line.message);
    for (const listener of this.#logListeners) listener(workflow, line);
  };

  followLogs(name: string, listener: (line: LogLine) => void): () => void {
    this.#require(name);
    const mine = (workflow: string, line: LogLine) => {
      if (workflow === name) listener(line);
    };
    this.#logListeners.add(mine);
    return () => this.#logListeners.delete(mine);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#scope.close();
    await this.#loading;
    for (const slot of this.#slots.values()) await this.#deactivate(slot);
    this.#runner.close();
  }

  /** One load after the other, however often it is asked for. */
  #sync(force: boolean): Promise<void> {
    this.#loading = this.#loading.catch(() => undefined).then(() => this.#syncNow(force));
    return this.#loading;
  }

  async #syncNow(force: boolean): Promise<void> {
    if (this.#closing) return;
    const files = await readWorkflowFiles(this.#options.dir);
    const rows = new Map((await this.#options.store.listWorkflowRows()).map((row) => [row.name, row]));
    for (const name of [...this.#slots.keys()].filter((known) => !files.some((file) => file.name === known)))
      await this.#remove(name);
    for (const file of files) {
      const slot = this.#slots.get(file.name);
      const same = slot?.file.digest === file.digest;
      if (slot && same && (!force || slot.problem === null)) continue;
      const row = rows.get(file.name);
      await this.#load(slot ?? newSlot(file, row?.disabled ?? false, row?.parked_reason ?? null), file);
    }
  }

  async #load(slot: Slot, file: WorkflowFile): Promise<void> {
    const isNewText = this.#slots.has(slot.name) && slot.file.digest !== file.digest;
    slot.file = file;
    this.#slots.set(slot.name, slot);
    try {
      const state = await this.#options.store.readWorkflowState(slot.name);
      const { handlers } = await this.#options.host.load({
        name: slot.name,
        file: basename(file.file),
        source: file.source,
        state,
      });
      slot.loaded = {
        digest: file.digest,
        handlers,
        loaded_ms: this.#options.clock.nowMs(),
        reach: handlers.map(compileReach),
      };
      slot.problem = null;
      this.#options.log.info({ workflow_name: slot.name, handlers: handlers.length }, "workflow loaded");
    } catch (error) {
      if (!SignalboxError.is(error)) throw error;
      slot.problem = problemOf(error, file.file);
      this.#options.log.error(
        { workflow_name: slot.name, error: error.message, keptOld: slot.loaded !== null },
        "workflow not loaded",
      );
      return;
    }
    // A new text has earned a new chance.
    if (isNewText && slot.parked !== null) {
      await this.#options.store.saveWorkflowRow(slot.name, { parked_reason: null, strikes: 0 });
      slot.parked = null;
    }
    await this.#activate(slot);
  }

  async #remove(name: string): Promise<void> {
    const slot = this.#slots.get(name);
    if (!slot) return;
    this.#slots.delete(name);
    await this.#deactivate(slot);
    await this.#options.host.unload(name);
    this.#options.log.info({ workflow_name: name }, "workflow removed");
  }

  async #activate(slot: Slot): Promise<void> {
    if (slot.loaded === null || slot.disabled || slot.parked !== null || this.#closing) return;
    for (const schedule of slot.schedules) schedule.close();
    slot.schedules = slot.loaded.handlers
      .filter((handler) => handler.every_ms !== null)
      .map((handler) => this.#schedule(slot, handler));
    slot.consumer ??= await this.#options.bus.consume(
      {
        name: `workflow:${slot.name}`,
        from: "now",
        maxInFlight: IN_FLIGHT,
        wants: (event) => this.#wants(slot, event),
      },
      (event) => this.#handle(slot, event),
    );
    slot.consumer.resume();
  }

  async #deactivate(slot: Slot): Promise<void> {
    for (const schedule of slot.schedules) schedule.close();
    slot.schedules = [];
    const { consumer } = slot;
    slot.consumer = null;
    await consumer?.close();
    if (slot.disabled && !this.#closing)
      await this.#options.store.saveCursor(
        `workflow:${slot.name}`,
        this.#options.store.lastSeq(),
        this.#options.clock.nowMs(),
      );
  }

  #schedule(slot: Slot, handler: Handler): Closeable {
    return startSchedule({
      clock: this.#options.clock,
      everyMs: handler.every_ms ?? 1_000,
      onDue: async (due_ms) => {
        const workflow = this.#running(slot.name);
        if (workflow) await this.#runner.execute({ workflow, handler, event: null, due_ms });
      },
      onError: (error) =>
        this.#options.log.error(
          { err: error, workflow_name: slot.name },
          "a scheduled handler could not be recorded",
        ),
    });
  }

  #wants(slot: Slot, event: Event): boolean {
    if (event.parked || event.source === `workflow:${slot.name}`) return false;
    return slot.loaded?.reach.some((reaches) => reaches(event)) ?? false;
  }

  async #handle(slot: Slot, event: Event): Promise<void> {
    const { loaded } = slot;
    if (!loaded || slot.parked !== null)
      throw new SignalboxError("unavailable", `${slot.name} does not run now`);
    const workflow = { name: slot.name, file: slot.file.file, digest: loaded.digest };
    const hit = loaded.handlers.filter((_, index) => loaded.reach[index]?.(event));
    await Promise.all(hit.map((handler) => this.#runner.execute({ workflow, handler, event, due_ms: 0 })));
  }

  async #strike(name: string, reason: string): Promise<void> {
    const slot = this.#slots.get(name);
    if (!slot) return;
    const row = (await this.#options.store.listWorkflowRows()).find((one) => one.name === name);
    const strikes = (row?.strikes ?? 0) + 1;
    const parked_reason = strikes >= STRIKES ? `parked after ${strikes} strikes; the last: ${reason}` : null;
    await this.#options.store.saveWorkflowRow(name, { strikes, parked_reason });
    if (parked_reason === null) return;
    slot.parked = parked_reason;
    slot.consumer?.pause();
    for (const schedule of slot.schedules) schedule.close();
    slot.schedules = [];
    this.#options.log.error({ workflow_name: name, reason }, "workflow parked");
    await this.#options.events.push({
      type: "signalbox.workflow.parked",
      source: "signalbox",
      body: `${name}: ${parked_reason}`,
      payload: { workflow: name, reason, strikes },
      origin_kind: "system",
    });
  }

  #running(name: string): { name: string; file: string; digest: string } | null {
    const slot = this.#slots.get(name);
    if (!slot?.loaded || slot.disabled || slot.parked !== null) return null;
    return { name, file: slot.file.file, digest: slot.loaded.digest };
  }

  async #causeOf(row: RunRow): Promise<RunCause | null> {
    const slot = this.#slots.get(row.workflow);
    const handler = slot?.loaded?.handlers.find((one) => one.id === row.handler);
    if (!slot?.loaded || !handler) return null;
    const event = row.event_id === null ? null : await this.#options.store.getEvent(row.event_id);
    return {
      workflow: { name: slot.name, file: slot.file.file, digest: slot.loaded.digest },
      handler,
      event,
      due_ms: row.started_ms ?? 0,
    };
  }

  async #eventFor(
    request: { event_id?: string | undefined; event?: JsonObject | undefined },
    now: number,
  ): Promise<Event> {
    if (request.event_id !== undefined) return this.#requireEvent(request.event_id);
    if (request.event !== undefined) return madeUpEvent(request.event, now);
    throw new SignalboxError("invalid_request", "give either event_id or event");
  }

  async #requireEvent(id: string): Promise<Event> {
    const event = await this.#options.store.getEvent(id);
    if (!event) throw new SignalboxError("not_found", `there is no event ${id}`);
    return event;
  }

  async #requireRun(run_id: string): Promise<RunRow> {
    const row = await this.#options.store.getRun(run_id);
    if (!row) throw new SignalboxError("not_found", `there is no run ${run_id}`);
    return row;
  }

  #require(name: string): Slot {
    const slot = this.#slots.get(name);
    if (!slot) throw unknownWorkflow(name);
    return slot;
  }
}

function unknownWorkflow(name: string): SignalboxError {
  return new SignalboxError("not_found", `there is no workflow ${name}`, {
    hint: "`signalbox workflow list` shows those there are.",
  });
}

function newSlot(file: WorkflowFile, disabled: boolean, parked: string | null): Slot {
  return {
    name: file.name,
    file,
    loaded: null,
    problem: null,
    disabled,
    parked,
    consumer: null,
    schedules: [],
    recent: [],
  };
}

function stateOf(slot: Slot): Workflow["state"] {
  if (slot.disabled) return "disabled";
  if (slot.parked !== null) return "parked";
  return slot.loaded === null ? "failed" : "active";
}

function nameOf(file: string): string {
  return basename(file).replace(/\.lua$/, "");
}

function problemOf(error: SignalboxError, file: string): SourceError {
  const details = error.details as Partial<SourceError> | undefined;
  return {
    message: details?.message ?? error.message,
    file: details?.file ?? file,
    line: details?.line ?? null,
    traceback: details?.traceback ?? null,
  };
}
