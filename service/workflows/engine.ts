import { basename } from "node:path";
import type { Catalogs } from "../actions/catalogs.ts";
import type { Bus } from "../bus/bus.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, Run, SourceError, Tested, Workflow } from "../contract/workflows.ts";
import type { EffectLedger } from "../effects/ledger.ts";
import { type EventLog, eventIdOfRun } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import { type Closeable, settlesWithin } from "../lib/scope.ts";
import type { RunRow, Store } from "../store/store.ts";
import { dryRun, madeUpEvent } from "./dry-run.ts";
import { watchWorkflowFiles } from "./files.ts";
import { handlersFor, Library, problemOf, type Slot, stateOf, versionOf } from "./library.ts";
import type { LuaHost } from "./lua/host.ts";
import { compileReach } from "./reach.ts";
import { summarizeRuns, toRun } from "./run-view.ts";
import { Runner } from "./runner.ts";
import { Scripts } from "./scripts.ts";

interface EngineOptions {
  store: Store;
  bus: Bus;
  clock: Clock;
  log: Logger;
  events: EventLog;
  ledger: EffectLedger;
  host: LuaHost;
  catalogs: Catalogs;
  /** Large answers of actions. */
  openAnswer(value: Json): Promise<Json>;
  /** Ends an action under way. */
  stopAction(effect_id: string): boolean;
  /** Told before anything is loaded. */
  onCreated?(engine: Engine): void;
  dir: string;
  hotReload: boolean;
  debounceMs: number;
  /** How long a stop waits for handlers under way; asked when it stops. */
  drainMs(): number;
}

/** Lines kept from loading a workflow. */
const RECENT_LINES = 200;
/** Runs whose lines are read where only the loud ones are wanted. */
const LOGGED_RUNS = 1_000;

const severity: Record<LogLine["level"], number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Keeps the workflows of one folder loaded, gives them their events, and answers for them. */
export class Engine implements Closeable {
  readonly #options: EngineOptions;
  readonly #library: Library;
  readonly #runner: Runner;
  readonly #logListeners = new Set<(workflow: string, line: LogLine) => void>();
  readonly scripts: Scripts;
  readonly #stopListening: () => void;
  #watcher: Closeable | undefined;

  private constructor(options: EngineOptions) {
    this.#options = options;
    const scripts = new Scripts({ ...options, runner: () => this.#runner });
    this.scripts = scripts;
    const library = new Library({
      ...options,
      actions: () => options.catalogs.set.library,
      execute: (cause) => this.#runner.execute(cause),
      onActive: () => this.#runner.takeUp(),
      onUnloaded: (name) => this.#runner.release(name),
    });
    this.#library = library;
    this.#runner = new Runner({
      ...options,
      onStrike: (name, reason) => library.strike(name, reason),
      onAhead: (name) =>
        void library.restart(name).catch((error: unknown) => this.#notRestarted(name, error)),
      find: (row) => (scripts.isScript(row) ? scripts.find(row) : library.running(row.workflow)),
      local: (row, name, args) => scripts.local(row, name, args),
      onRecorded: (row) => scripts.onRecorded(row),
      causeOf: (row) => (scripts.isScript(row) ? scripts.causeOf(row) : library.causeOf(row)),
    });
    this.#stopListening = options.catalogs.set.onChanged(() => {
      library
        .renewActions()
        .catch((error: unknown) =>
          options.log.error({ err: error }, "workflows still have the actions of before"),
        );
    });
  }

  static async start(options: EngineOptions): Promise<Engine> {
    const engine = new Engine(options);
    options.onCreated?.(engine);
    try {
      // Watched first, so that no change falls between the look and the watch.
      if (options.hotReload)
        engine.#watcher = watchWorkflowFiles({ ...options, onChange: () => engine.#library.sync(false) });
      await engine.#library.sync(true);
      return engine;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** Reads all files again and loads those whose text changed or did not load; the others keep their Lua state. */
  async reload(): Promise<{ workflows: number; failed: number }> {
    await this.#library.sync(true);
    const { slots } = this.#library;
    return { workflows: slots.length, failed: slots.filter((slot) => slot.problem !== null).length };
  }

  async list(): Promise<Workflow[]> {
    const { store } = this.#options;
    const rows = new Map((await store.listWorkflowRows()).map((row) => [row.name, row]));
    const lastSeq = store.lastSeq();
    return [...this.#library.slots]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((slot) => {
        const row = rows.get(slot.name);
        const parked =
          slot.parked === null ? null : { message: slot.parked, file: null, line: null, traceback: null };
        return {
          name: slot.name,
          file: slot.file.file,
          state: stateOf(slot),
          problem: parked ?? slot.problem,
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
    this.#library.require(name);
    const found = (await this.list()).find((workflow) => workflow.name === name);
    if (!found) throw new Error(`${name} is loaded but not listed`);
    return found;
  }

  async enable(name: string): Promise<Workflow> {
    await this.#library.enable(name);
    return this.get(name);
  }

  /** Events that come meanwhile are not given to it later. */
  async disable(name: string): Promise<Workflow> {
    await this.#library.disable(name);
    return this.get(name);
  }

  async check(
    source: string,
    file: string,
  ): Promise<{ ok: boolean; handlers: Handler[]; error: SourceError | null }> {
    try {
      const handlers = await this.#options.host.withScratch(
        { name: nameOf(file), file, source, state: {}, library: this.#options.catalogs.set.library },
        async ({ loaded }) => loaded.handlers,
      );
      return { ok: true, handlers, error: null };
    } catch (error) {
      if (!SignalboxError.is(error, "workflow_load_failed")) throw error;
      return { ok: false, handlers: [], error: problemOf(error, file) };
    }
  }

  /** Runs handlers and records nothing. @throws `workflow_load_failed`, `not_found`, `invalid_request` */
  async test(request: {
    source?: string | undefined;
    file: string;
    workflow?: string | undefined;
    event_id?: string | undefined;
    event?: JsonObject | undefined;
    results: Json[];
    answers: ({ result: Json } | { error: string })[];
  }): Promise<Tested> {
    const now = this.#options.clock.nowMs();
    const slot = request.workflow === undefined ? undefined : this.#library.require(request.workflow);
    const source = request.source ?? slot?.file.source;
    if (source === undefined) throw new SignalboxError("invalid_request", "give either source or workflow");
    const event = await this.#eventFor(request, now);
    const name = slot?.name ?? nameOf(request.file);
    const state = await this.#options.store.readWorkflowState(name);
    const file = slot?.file.file ?? request.file;
    const runs = await dryRun(
      this.#options.host,
      { name, file: basename(file), source, state, library: this.#options.catalogs.set.library },
      event,
      (handler) => compileReach(handler)(event),
      [...request.results.map((result) => ({ result })), ...request.answers].map((answer) =>
        "error" in answer ? { ok: false, message: answer.error } : { ok: true, value: answer.result },
      ),
      now,
    );
    return { event, runs };
  }

  /** Gives a recorded event to a workflow once more, as new runs. */
  async runAgain(name: string, event_id: string): Promise<Run[]> {
    const slot = this.#library.require(name);
    this.#assertRunning(slot);
    const event = await this.#requireEvent(event_id);
    const again = newId("again");
    const workflow = versionOf(slot);
    return Promise.all(
      handlersFor(slot, event).map(async (handler) =>
        toRun(await this.#runner.execute({ workflow, handler, event, due_ms: 0, again })),
      ),
    );
  }

  /** One run by its id, or all runs of an event as one. @throws `not_found` */
  async getRun(run_id: string): Promise<Run> {
    const { store } = this.#options;
    const row = await store.getRun(run_id);
    if (row) return toRun(row);
    const event = await store.getEvent(eventIdOfRun(run_id));
    if (!event) throw new SignalboxError("not_found", `there is no run ${run_id}`);
    const rows = await store.runsOfEvent(event.id);
    return summarizeRuns(event, rows, this.#library.awaits(event, rows));
  }

  async retryRun(run_id: string): Promise<Run> {
    const row = await this.#requireRun(run_id);
    if (row.status !== "failed" && row.status !== "cancelled")
      throw new SignalboxError("conflict", `${run_id} is ${row.status}`);
    this.#assertRunning(this.#library.require(row.workflow));
    const cause = await this.#library.causeOf(row);
    if (!cause)
      throw new SignalboxError("conflict", `${row.workflow} has no handler ${row.handler} any more`);
    return toRun(await this.#runner.retry(row, cause));
  }

  async cancelRun(run_id: string): Promise<Run> {
    const row = await this.#requireRun(run_id);
    if (row.status !== "waiting")
      throw new SignalboxError("conflict", `${run_id} is ${row.status}; only a waiting run can be cancelled`);
    return toRun(await this.#runner.cancel(row));
  }

  /** The newest lines of at least `level`, oldest first. */
  async logs(
    name: string,
    limit: number,
    level: LogLine["level"],
  ): Promise<(LogLine & { run_id: string | null; event_id: string | null })[]> {
    const slot = this.#library.require(name);
    const runs = await this.#options.store.recentLogs(name, level === "debug" ? limit : LOGGED_RUNS);
    const ofRuns = runs.flatMap((run) =>
      run.logs.map((line) => ({ ...line, run_id: run.run_id, event_id: run.event_id })),
    );
    return [...ofRuns, ...slot.recent.map((line) => ({ ...line, event_id: null }))]
      .filter((line) => severity[line.level] >= severity[level])
      .sort((a, b) => a.time_ms - b.time_ms)
      .slice(-limit);
  }

  /** For the Lua host: every line as it is written. */
  readonly onLog = (workflow: string, run_id: string | null, line: LogLine): void => {
    if (this.scripts.onLog(run_id, line)) return;
    if (run_id === null) {
      const slot = this.#library.find(workflow);
      if (slot) slot.recent = [...slot.recent.slice(1 - RECENT_LINES), { ...line, run_id }];
    }
    const origin = run_id === null ? {} : this.#runner.originOf(run_id);
    this.#options.log[line.level](
      { workflow_name: workflow, run_id, ...origin, line: line.line },
      line.message,
    );
    for (const listener of this.#logListeners) listener(workflow, line);
  };

  /** @throws `not_found` */
  followLogs(name: string, listener: (line: LogLine) => void): () => void {
    this.#library.require(name);
    const mine = (workflow: string, line: LogLine) => {
      if (workflow === name) listener(line);
    };
    this.#logListeners.add(mine);
    return () => this.#logListeners.delete(mine);
  }

  /** What does not end in time comes again after the next start. */
  async close(): Promise<void> {
    this.#watcher?.close();
    this.#stopListening();
    this.scripts.close();
    const drained = await settlesWithin(this.#library.close(), this.#options.drainMs());
    this.#runner.close();
    if (!drained) this.#options.log.warn("handlers under way were not waited for; their events come again");
  }

  #notRestarted(name: string, error: unknown): void {
    this.#options.log.error({ err: error, workflow_name: name }, "a workflow could not be started anew");
  }

  #assertRunning(slot: Slot): void {
    if (this.#library.running(slot.name)) return;
    throw new SignalboxError("conflict", `${slot.name} is ${stateOf(slot)}`, {
      hint: "`signalbox workflow show` says why; correct its text or enable it first.",
    });
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
}

function nameOf(file: string): string {
  return basename(file).replace(/\.lua$/, "");
}
