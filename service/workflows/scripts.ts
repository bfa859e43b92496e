import { basename } from "node:path";
import type { Catalogs } from "../actions/catalogs.ts";
import type { ActionLibrary } from "../actions/repository.ts";
import { standIn } from "../actions/schema.ts";
import type { ScriptItem, ScriptRequest } from "../contract/actions.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, Run } from "../contract/workflows.ts";
import type { EffectLedger } from "../effects/ledger.ts";
import type { EventLog } from "../events/log.ts";
import { sha256 } from "../lib/canonical.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import type { RunRow, Store } from "../store/store.ts";
import { describeOperation, runDry } from "./dry-run.ts";
import type { LocalName, LuaHost, Operation } from "./lua/host.ts";
import { cancellationOf, newRun, type RunCause, type RunningWorkflow } from "./run-commit.ts";
import { toRun } from "./run-view.ts";
import type { Runner } from "./runner.ts";
import { ScriptFeed } from "./script-feed.ts";
import { askLocally } from "./script-files.ts";

export interface ScriptsOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  ledger: EffectLedger;
  host: LuaHost;
  catalogs: Catalogs;
  runner(): Runner;
  /** Ends an action under way. */
  stopAction(effect_id: string): boolean;
}

type Settings = Omit<ScriptRequest, "source">;

interface Script {
  readonly key: string;
  readonly settings: Settings;
  readonly running: RunningWorkflow;
  readonly feed: ScriptFeed;
  /** A session's Lua state outlives its lines. */
  readonly isLine: boolean;
}

interface Session {
  readonly key: string;
  readonly settings: Settings;
  readonly name: string;
}

/** The event that starts a script holds its text, so that a run is taken up after a restart and can be looked at. */
const STARTED = "signalbox.script.started";
const whole: Handler = { id: 1, kind: "event", pattern: null, every_ms: null, line: 1 };
/** How long what an ended script said can still be read. */
const KEEP_MS = 600_000;
/** Open at once; beyond that the oldest idle one goes, whose front end has probably gone without a word. */
const MAX_SESSIONS = 50;

/** Scripts that a person runs: like a workflow's handler, but once, with `arg`, files and a reader of what they print. */
export class Scripts {
  readonly #options: ScriptsOptions;
  /** By run id. */
  readonly #scripts = new Map<string, Script>();
  readonly #sessions = new Map<string, Session>();
  readonly #cancels = new Set<() => void>();
  readonly #stop: () => void;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ScriptsOptions) {
    this.#options = options;
    this.#stop = options.store.onCommitted(({ changed, ended, proposed }) => {
      if (this.#scripts.size === 0) return;
      const ids = new Set([...proposed, ...changed, ...ended.map(({ id }) => id)]);
      for (const id of ids) this.#inTurn(() => this.#tellEffect(id));
    });
  }

  /** @throws SignalboxError `workflow_load_failed`, `invalid_request`, `too_large` */
  async start({ source, ...settings }: ScriptRequest): Promise<{ run_id: string; event_id: string }> {
    const key = `script:${newId("key")}`;
    const name = nameOf(settings.file);
    await this.#load(key, name, settings, source);
    const event = await this.#record(settings, source, null).catch(async (error: unknown) => {
      await this.#options.host.unload(key);
      throw error;
    });
    const { run_id } = await this.#begin({ key, settings, name, source, event, isLine: false });
    return { run_id, event_id: event.id };
  }

  async openSession(settings: Settings): Promise<{ session: string }> {
    const idle = [...this.#sessions].find(([, { key }]) => !this.#isBusy(key));
    if (this.#sessions.size >= MAX_SESSIONS && idle) await this.closeSession(idle[0]);
    const session = newId("ses");
    const key = `session:${session}`;
    const name = nameOf(settings.file);
    await this.#load(key, name, settings, "");
    this.#sessions.set(session, { key, settings, name });
    return { session };
  }

  /** @throws SignalboxError `not_found` */
  async runLine(session: string, code: string): Promise<{ incomplete: boolean; run_id: string | null }> {
    const { key, settings, name } = this.#requireSession(session);
    const checked = await this.#options.host.run({
      ...{
        run_id: newId("check"),
        workflow: key,
        handler: 1,
        event: null,
        now_ms: 0,
        journal: [],
        effectKey: "",
      },
      ...{ code, check: true },
    });
    if (checked.kind === "failed" && /near '?<eof>/.test(checked.error.message))
      return { incomplete: true, run_id: null };
    const event = await this.#record(settings, code, session);
    const { run_id } = await this.#begin({ key, settings, name, source: code, event, isLine: true });
    return { incomplete: false, run_id };
  }

  async closeSession(session: string): Promise<void> {
    const { key } = this.#requireSession(session);
    this.#sessions.delete(session);
    for (const [run_id, script] of this.#scripts)
      if (script.key === key && !script.feed.isEnded) await this.stop(run_id);
    await this.#options.host.unload(key);
  }

  /** What it said and does, behind place `after`. @throws SignalboxError `not_found` */
  async *follow(
    run_id: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<{ place: number; item: ScriptItem }> {
    const script = this.#scripts.get(run_id);
    if (script) {
      yield* script.feed.read(after, signal);
      return;
    }
    const row = await this.#options.store.getRun(run_id);
    if (!row || row.finished_ms === null)
      throw new SignalboxError("not_found", `there is no script ${run_id} under way`);
    yield { place: 0, item: { kind: "end", run: toRun(row) } };
  }

  /** Runs it without doing anything; answers of actions are made up by their schema. */
  async dryRun({ source, ...settings }: ScriptRequest) {
    const { host, store, clock, catalogs } = this.#options;
    const catalog = await catalogs.of(settings.repository);
    const name = nameOf(settings.file);
    const text = { name, file: basename(settings.file), source, state: await store.readWorkflowState(name) };
    const answer = async (operation: Operation) => {
      if (operation.kind === "action" || operation.kind === "join") {
        const { definition } = catalog.require(operation.action);
        return { ok: true as const, value: standIn(definition.schema.output) };
      }
      if (operation.kind !== "local" || operation.name === "writefile") return undefined;
      return this.#locally(settings, operation.name, operation.args);
    };
    return host.withScratch(
      { ...text, library: catalog.library, script: { args: settings.args } },
      async (scratch) => {
        const now_ms = clock.nowMs();
        const request = {
          run_id: newId("dry"),
          handler: 1,
          event: null,
          now_ms,
          journal: [],
          effectKey: newId("dry"),
        };
        const { outcome, operations, logs, waiting_for } = await runDry(scratch, request, answer);
        return {
          status:
            outcome.kind === "done"
              ? ("succeeded" as const)
              : waiting_for === null
                ? ("failed" as const)
                : ("waiting" as const),
          waiting_for,
          error:
            outcome.kind === "failed"
              ? outcome.error
              : outcome.kind === "stopped"
                ? { message: outcome.message, file: text.file, line: null, traceback: null }
                : null,
          output: outcome.kind === "done" ? outcome.output : null,
          printed: logs.map(({ message }) => message),
          effects: operations.flatMap((operation) => describeOperation(operation, text.file)),
        };
      },
    );
  }

  /** Ends it, and the action that it waits for. @throws SignalboxError `not_found` */
  async stop(run_id: string): Promise<Run> {
    const { store, host, ledger, stopAction } = this.#options;
    const script = this.#scripts.get(run_id);
    const row = await store.getRun(run_id);
    if (row && row.finished_ms !== null) return toRun(row);
    if (!script) throw new SignalboxError("not_found", `there is no script ${run_id} under way`);
    this.#scripts.delete(run_id);
    const runner = this.#options.runner();
    const isComputing = runner.isComputing(run_id);
    const ended =
      row?.status === "waiting" && !isComputing ? await runner.cancel(row) : await runner.abandon(run_id);
    // What computes loses its Lua state, and with a line goes that of its session, which begins anew.
    if (isComputing || !script.isLine) await host.unload(script.key);
    if (isComputing && script.isLine) await this.#load(script.key, script.running.name, script.settings, "");
    if (row?.waiting_effect && !stopAction(row.waiting_effect))
      await ledger.steps.skip(row.waiting_effect).catch((error: unknown) => {
        if (!SignalboxError.is(error)) throw error; // It ended meanwhile.
      });
    script.feed.add({ kind: "end", run: toRun(ended) });
    return toRun(ended);
  }

  // For the runner.

  find({ run_id }: Pick<RunRow, "run_id">): RunningWorkflow | null {
    return this.#scripts.get(run_id)?.running ?? null;
  }

  /** Takes a script's run up after a restart. Null for what is none; a session's line is over with its session. */
  async causeOf(row: RunRow): Promise<RunCause | null> {
    const { store } = this.#options;
    const event = row.event_id === null ? null : await store.getEvent(row.event_id);
    if (event?.type !== STARTED || this.#scripts.has(row.run_id)) return null;
    const { session, file, args, cwd, repository } = event.payload as Partial<Settings> & {
      session?: string;
    };
    if (session !== undefined) {
      await store.commitRun(cancellationOf(row, this.#options.clock.nowMs()));
      return null;
    }
    const settings: Settings = {
      file: file ?? "script.lua",
      args: args ?? [],
      cwd,
      repository,
      by: event.source,
    };
    const key = `script:${newId("key")}`;
    const name = nameOf(settings.file);
    await this.#load(key, name, settings, event.body ?? "");
    const script = this.#newScript({ key, settings, name, source: event.body ?? "", event, isLine: false });
    this.#scripts.set(row.run_id, script);
    return this.#causeOf(script, event);
  }

  isScript(row: Pick<RunRow, "workflow">): boolean {
    return row.workflow.startsWith("script:");
  }

  async local(row: RunRow, name: LocalName, args: Json[]): Promise<Json> {
    const script = this.#scripts.get(row.run_id);
    if (!script) throw new SignalboxError("forbidden", `${name} is for scripts`);
    return askLocally(script.settings.cwd ?? null, name, args);
  }

  /** A run was recorded: its end is the script's. */
  onRecorded(row: RunRow): void {
    const script = this.#scripts.get(row.run_id);
    if (!script || row.finished_ms === null) return;
    // After what its effects have to say.
    this.#inTurn(async () => {
      script.feed.add({ kind: "end", run: toRun(row) });
      if (!script.isLine) await this.#options.host.unload(script.key);
      const cancel = this.#options.clock.after(KEEP_MS, () => {
        this.#cancels.delete(cancel);
        this.#scripts.delete(row.run_id);
      });
      this.#cancels.add(cancel);
    });
  }

  // For the Lua host and the actions.

  /** False when the line is no script's. */
  onLog(run_id: string | null, line: LogLine): boolean {
    const script = run_id === null ? undefined : this.#scripts.get(run_id);
    script?.feed.add(line.print ? { kind: "print", text: line.message } : { kind: "log", line });
    return script !== undefined;
  }

  async onProgress(effect_id: string, action: string, text: string): Promise<void> {
    if (this.#scripts.size === 0) return;
    const row = await this.#options.store.getEffect(effect_id);
    this.#scripts.get(row?.cause.run_id ?? "")?.feed.add({ kind: "progress", effect_id, action, text });
  }

  close(): void {
    this.#stop();
    for (const cancel of this.#cancels) cancel();
  }

  /** Resolves when it is on disk, so that a restart takes it up; it runs on its own then. */
  async #begin(given: NewScript): Promise<RunRow> {
    const script = this.#newScript(given);
    const cause = this.#causeOf(script, given.event, given.isLine ? given.source : undefined);
    const row = newRun(cause, this.#options.clock.nowMs());
    this.#scripts.set(row.run_id, script);
    await this.#options.store.commitRun({ run: row, events: [], effects: [], state: [] });
    this.#options
      .runner()
      .execute(cause)
      .catch((error: unknown) => {
        if (!this.#scripts.has(row.run_id)) return; // Stopped.
        this.#options.log.error({ err: error, run_id: row.run_id }, "a script could not be run");
        const message = error instanceof Error ? error.message : String(error);
        const problem = { message, file: null, line: null, traceback: null };
        script.feed.add({ kind: "end", run: { ...toRun(row), status: "failed", error: problem } });
      });
    return row;
  }

  #newScript({ key, settings, name, source, isLine }: NewScript): Script {
    const { file, by, repository } = settings;
    const running = {
      name,
      file,
      digest: sha256(source),
      key,
      source: by,
      ...(repository ? { repository } : {}),
    };
    return { key, settings, running, feed: new ScriptFeed(this.#options.clock.nowMs()), isLine };
  }

  #causeOf({ running }: Script, event: Event, code?: string): RunCause {
    return { workflow: running, handler: whole, event, due_ms: 0, ...(code === undefined ? {} : { code }) };
  }

  async #load(key: string, name: string, settings: Settings, source: string): Promise<void> {
    const { host, store, catalogs } = this.#options;
    const library: ActionLibrary = (await catalogs.of(settings.repository)).library;
    const state = await store.readWorkflowState(name);
    const script = { args: settings.args };
    await host.load({ name: key, file: basename(settings.file), source, state, library, script });
  }

  async #record(
    { file, args, cwd, repository, by }: Settings,
    source: string,
    session: string | null,
  ): Promise<Event> {
    const { events, store } = this.#options;
    const payload: JsonObject = {
      ...{ file, args },
      ...(cwd === undefined ? {} : { cwd }),
      ...(repository === undefined ? {} : { repository }),
      ...(session === null ? {} : { session }),
    };
    const origin_kind = by === "cli" || by === "vscode" ? "human" : "agent";
    const { event_id } = await events.push({ type: STARTED, source: by, body: source, payload, origin_kind });
    const event = await store.getEvent(event_id);
    if (!event) throw new Error("a recorded event is not there");
    return event;
  }

  #isBusy(key: string): boolean {
    return [...this.#scripts.values()].some((script) => script.key === key && !script.feed.isEnded);
  }

  #requireSession(session: string): Session {
    const found = this.#sessions.get(session);
    if (found) return found;
    throw new SignalboxError("not_found", `there is no session ${session}`, {
      hint: "It ended with the service that it was opened in; open another.",
    });
  }

  async #locally(settings: Settings, name: LocalName, args: Json[]) {
    try {
      return { ok: true as const, value: await askLocally(settings.cwd ?? null, name, args) };
    } catch (error) {
      if (!SignalboxError.is(error)) throw error;
      return { ok: false as const, message: error.message };
    }
  }

  async #tellEffect(id: string): Promise<void> {
    const { store, ledger } = this.#options;
    const row = await store.getEffect(id);
    const script = this.#scripts.get(row?.cause.run_id ?? "");
    if (!row || !script || row.state === "proposed") return;
    const approval = row.state === "waiting" ? await ledger.approvals.find(id) : null;
    script.feed.add({ kind: "effect", effect: ledger.view(row), approval });
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).catch((error: unknown) => {
      this.#options.log.error({ err: error }, "a script's reader could not be told");
    });
  }
}

interface NewScript {
  key: string;
  settings: Settings;
  name: string;
  source: string;
  event: Event;
  isLine: boolean;
}

function nameOf(file: string): string {
  return `script:${basename(file).replace(/\.lua$/, "") || "script"}`;
}
