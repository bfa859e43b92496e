import { basename } from "node:path";
import type { ActionLibrary } from "../actions/repository.ts";
import type { Bus, Consumer } from "../bus/bus.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, SourceError, Workflow } from "../contract/workflows.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { RunRow, Store, WorkflowRow } from "../store/store.ts";
import { readWorkflowFiles, type WorkflowFile } from "./files.ts";
import type { LuaHost } from "./lua/host.ts";
import { compileReach } from "./reach.ts";
import type { RunCause, RunningWorkflow } from "./run-commit.ts";
import { startSchedule } from "./schedule.ts";

interface LibraryOptions {
  store: Store;
  bus: Bus;
  clock: Clock;
  log: Logger;
  events: EventLog;
  host: LuaHost;
  dir: string;
  /** What `actions`, `kit` and `require` see just now. */
  actions(): ActionLibrary;
  execute(cause: RunCause): Promise<unknown>;
  /** Some workflows run that did not before: their waiting runs can go on. */
  onActive(): Promise<void>;
  /** A workflow is unloaded: its waiting runs have no Lua state any more. */
  onUnloaded(name: string): void;
}

/** Strikes (handlers that had to be stopped) after which a workflow is parked. */
const STRIKES = 3;
/** Handlers of one workflow that are with the Lua host at once; they still run one after the other. */
const IN_FLIGHT = 32;

/** One workflow file and what has become of it. */
export interface Slot {
  readonly name: string;
  file: WorkflowFile;
  /** What runs, if anything does. */
  loaded: {
    digest: string;
    handlers: Handler[];
    loaded_ms: number;
    reach: ((event: Event) => boolean)[];
  } | null;
  /** False after it was parked: loaded anew before it runs again. */
  isInHost: boolean;
  problem: SourceError | null;
  disabled: boolean;
  parked: string | null;
  consumer: Consumer | null;
  schedules: Closeable[];
  /** Lines from loading, newest last. */
  recent: (LogLine & { run_id: null })[];
}

/** The workflows of one folder: loads them, gives them their events and due times, and stops those that misbehave. */
export class Library {
  readonly #options: LibraryOptions;
  readonly #slots = new Map<string, Slot>();
  /** Loads for the first time, so that it is not listed yet. */
  #fresh: Slot | undefined;
  #loading: Promise<void> = Promise.resolve();
  #closing = false;

  constructor(options: LibraryOptions) {
    this.#options = options;
  }

  get slots(): readonly Slot[] {
    return [...this.#slots.values()];
  }

  /** @throws SignalboxError `not_found` */
  require(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot) return slot;
    throw new SignalboxError("not_found", `there is no workflow ${name}`, {
      hint: "`signalbox workflow list` shows those there are.",
    });
  }

  find(name: string): Slot | undefined {
    return this.#slots.get(name) ?? (this.#fresh?.name === name ? this.#fresh : undefined);
  }

  /** The loaded version, if it may run. */
  running(name: string): RunningWorkflow | null {
    const slot = this.find(name);
    return slot && isRunning(slot) ? versionOf(slot) : null;
  }

  /** What a recorded run needs to go on; null while its workflow does not run or has lost the handler. */
  async causeOf(row: RunRow): Promise<RunCause | null> {
    const slot = this.find(row.workflow);
    const workflow = this.running(row.workflow);
    const handler = slot?.loaded?.handlers.find((one) => one.id === row.handler);
    if (!workflow || !handler) return null;
    const event = row.event_id === null ? null : await this.#options.store.getEvent(row.event_id);
    return { workflow, handler, event, due_ms: row.started_ms ?? 0 };
  }

  /** Brings it in line with the folder, one load after the other. `force` tries those again that did not load. */
  sync(force: boolean): Promise<void> {
    return this.#inTurn(() => this.#syncNow(force));
  }

  async enable(name: string): Promise<void> {
    const slot = this.require(name);
    const { store, clock } = this.#options;
    // A person's wish, unlike parking: what came meanwhile is not given to it.
    if (slot.disabled) await store.saveCursor(consumerOf(name), store.lastSeq(), clock.nowMs());
    await store.saveWorkflowRow(name, { disabled: false, parked_reason: null, strikes: 0 });
    slot.disabled = false;
    slot.parked = null;
    await this.#inTurn(async () => {
      if (slot.loaded && !slot.isInHost) await this.#load(slot, slot.file);
      else await this.#activate(slot);
      await this.#options.onActive();
    });
  }

  async disable(name: string): Promise<void> {
    const slot = this.require(name);
    await this.#options.store.saveWorkflowRow(name, { disabled: true });
    slot.disabled = true;
    this.#halt(slot);
    await this.#inTurn(async () => {
      if (slot.disabled) await this.#deactivate(slot);
    });
  }

  /** A handler had to be stopped. After the third time the workflow is, too, until somebody enables it. */
  async strike(name: string, reason: string): Promise<void> {
    const slot = this.find(name);
    if (!slot || slot.parked !== null) return;
    const { store, events, log } = this.#options;
    const row = (await store.listWorkflowRows()).find((one) => one.name === name);
    const strikes = (row?.strikes ?? 0) + 1;
    const parked_reason = strikes >= STRIKES ? `parked after ${strikes} strikes; the last: ${reason}` : null;
    slot.parked = parked_reason;
    if (parked_reason !== null) this.#halt(slot);
    await store.saveWorkflowRow(name, { strikes, parked_reason });
    if (parked_reason === null) return;
    log.error({ workflow_name: name, reason }, "workflow parked");
    await events.push({
      type: "signalbox.workflow.parked",
      source: "signalbox",
      body: `${name}: ${parked_reason}`,
      payload: { workflow: name, reason, strikes },
      origin_kind: "system",
    });
    // Not waited for: what is in turn may itself wait for the handler that this strike is about.
    this.#inTurn(async () => {
      if (slot.parked !== null) await this.#unload(slot);
    }).catch((error: unknown) =>
      log.error({ err: error, workflow_name: name }, "a parked workflow stays loaded"),
    );
  }

  /** Starts it anew from what is on disk, since its Lua state is ahead of that. */
  async restart(name: string): Promise<void> {
    await this.#inTurn(async () => {
      const slot = this.#slots.get(name);
      if (!slot?.isInHost || this.#closing) return;
      await this.#unload(slot);
      await this.#load(slot, slot.file);
      await this.#options.onActive();
    });
  }

  /** Loads those again that use actions: what they have of the repository is of the day they were loaded. */
  renewActions(): Promise<void> {
    return this.#inTurn(async () => {
      for (const slot of this.slots) if (usesActions(slot.file)) await this.#load(slot, slot.file);
      await this.#options.onActive();
    });
  }

  /** Whether a handler has yet to be given this event. */
  awaits(event: Event, rows: readonly RunRow[]): boolean {
    return this.slots.some((slot) => {
      if (slot.consumer === null || slot.consumer.cursor >= event.seq || !this.#wants(slot, event))
        return false;
      return handlersFor(slot, event).some(
        (handler) => !rows.some((row) => row.workflow === slot.name && row.handler === handler.id),
      );
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#loading.catch(() => undefined);
    await Promise.all(this.slots.map((slot) => this.#deactivate(slot)));
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#loading.catch(() => undefined).then(() => (this.#closing ? undefined : work()));
    this.#loading = done;
    return done;
  }

  async #syncNow(force: boolean): Promise<void> {
    const { dir, store } = this.#options;
    const files = await readWorkflowFiles(dir);
    const rows = new Map((await store.listWorkflowRows()).map((row) => [row.name, row]));
    for (const slot of this.slots)
      if (!files.some((file) => file.name === slot.name)) await this.#remove(slot);
    for (const file of files) {
      const slot = this.#slots.get(file.name);
      const same = slot?.file.digest === file.digest;
      if (slot && same && (!force || slot.problem === null)) continue;
      if (slot) await this.#load(slot, file);
      else await this.#add(newSlot(file, rows.get(file.name)));
    }
    await this.#options.onActive();
  }

  async #add(slot: Slot): Promise<void> {
    this.#fresh = slot;
    await this.#load(slot, slot.file);
    this.#slots.set(slot.name, slot);
    this.#fresh = undefined;
  }

  async #load(slot: Slot, file: WorkflowFile): Promise<void> {
    const isNewText = slot.file.digest !== file.digest;
    slot.file = file;
    try {
      await this.#loadText(slot, file);
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
    if (isNewText) {
      await this.#options.store.saveWorkflowRow(slot.name, { parked_reason: null, strikes: 0 });
      slot.parked = null;
    }
    await this.#activate(slot);
  }

  async #loadText(slot: Slot, file: WorkflowFile): Promise<void> {
    const { store, host, clock, log } = this.#options;
    if (file.unreadable !== null) throw new SignalboxError("workflow_load_failed", file.unreadable);
    const { handlers } = await host.load({
      name: slot.name,
      file: basename(file.file),
      source: file.source,
      state: await store.readWorkflowState(slot.name),
      ...(usesActions(file) ? { library: this.#options.actions() } : {}),
    });
    slot.loaded = {
      digest: file.digest,
      handlers,
      loaded_ms: clock.nowMs(),
      reach: handlers.map(compileReach),
    };
    slot.isInHost = true;
    slot.problem = null;
    log.info({ workflow_name: slot.name, handlers: handlers.length }, "workflow loaded");
  }

  async #remove(slot: Slot): Promise<void> {
    this.#slots.delete(slot.name);
    await this.#deactivate(slot);
    await this.#unload(slot);
    this.#options.log.info({ workflow_name: slot.name }, "workflow removed");
  }

  async #unload(slot: Slot): Promise<void> {
    slot.isInHost = false;
    await this.#options.host.unload(slot.name);
    this.#options.onUnloaded(slot.name);
  }

  async #activate(slot: Slot): Promise<void> {
    if (!isRunning(slot) || this.#closing) return;
    this.#stopSchedules(slot);
    slot.schedules = (slot.loaded?.handlers ?? [])
      .filter((handler) => handler.every_ms !== null)
      .map((handler) => this.#schedule(slot, handler));
    slot.consumer ??= await this.#options.bus.consume(
      {
        name: consumerOf(slot.name),
        from: "now",
        maxInFlight: IN_FLIGHT,
        wants: (event) => this.#wants(slot, event),
      },
      (event) => this.#handle(slot, event),
    );
    slot.consumer.resume();
  }

  /** At once; what is under way goes on. */
  #halt(slot: Slot): void {
    slot.consumer?.pause();
    this.#stopSchedules(slot);
  }

  async #deactivate(slot: Slot): Promise<void> {
    this.#stopSchedules(slot);
    const { consumer } = slot;
    slot.consumer = null;
    await consumer?.close();
  }

  #stopSchedules(slot: Slot): void {
    for (const schedule of slot.schedules) schedule.close();
    slot.schedules = [];
  }

  #schedule(slot: Slot, handler: Handler): Closeable {
    return startSchedule({
      clock: this.#options.clock,
      everyMs: handler.every_ms ?? 1_000,
      onDue: async (due_ms) => {
        const workflow = this.running(slot.name);
        if (workflow) await this.#options.execute({ workflow, handler, event: null, due_ms });
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
    if (!isRunning(slot)) throw new SignalboxError("unavailable", `${slot.name} does not run now`);
    const workflow = versionOf(slot);
    await Promise.all(
      handlersFor(slot, event).map((handler) =>
        this.#options.execute({ workflow, handler, event, due_ms: 0 }),
      ),
    );
  }
}

/** The handlers that an event reaches. */
export function handlersFor({ loaded }: Slot, event: Event): Handler[] {
  return (loaded?.handlers ?? []).filter((_, index) => loaded?.reach[index]?.(event));
}

export function stateOf(slot: Slot): Workflow["state"] {
  if (slot.disabled) return "disabled";
  if (slot.parked !== null) return "parked";
  return isRunning(slot) ? "active" : "failed";
}

export function versionOf(slot: Slot): RunningWorkflow {
  return { name: slot.name, file: slot.file.file, digest: slot.loaded?.digest ?? "" };
}

export function problemOf(error: SignalboxError, file: string): SourceError {
  const details = error.details as Partial<SourceError> | undefined;
  return {
    message: details?.message ?? error.message,
    file: details?.file ?? file,
    line: details?.line ?? null,
    traceback: details?.traceback ?? null,
  };
}

/** Most texts never speak of them, and need not carry the repository. */
function usesActions({ source }: WorkflowFile): boolean {
  return /\b(actions|kit|require|tools|define_action)\b/.test(source);
}

function isRunning(slot: Slot): boolean {
  return slot.loaded !== null && slot.isInHost && !slot.disabled && slot.parked === null;
}

function consumerOf(name: string): string {
  return `workflow:${name}`;
}

function newSlot(file: WorkflowFile, row: WorkflowRow | undefined): Slot {
  return {
    name: file.name,
    file,
    loaded: null,
    isInHost: false,
    problem: null,
    disabled: row?.disabled ?? false,
    parked: row?.parked_reason ?? null,
    consumer: null,
    schedules: [],
    recent: [],
  };
}
