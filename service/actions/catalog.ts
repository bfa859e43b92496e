import { existsSync, type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { Action, ActionRepository } from "../contract/actions.ts";
import type { JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { SourceError } from "../contract/workflows.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { nearest } from "../lib/nearest.ts";
import type { Closeable } from "../lib/scope.ts";
import { readAnnotations } from "./annotations.ts";
import type { ActionProgram } from "./executors/executor.ts";
import { type ActionLibrary, type FoundAction, readRepository } from "./repository.ts";
import { readGitSource } from "./sources/git.ts";
import { resolveSource } from "./sources/resolve.ts";
import type { ResolvedSource, SourceRequest } from "./sources/source.ts";

/** Runs the Lua of a repository. @throws SignalboxError `workflow_load_failed` with a `SourceError` in `details` */
export type ReadDefinitions = (library: ActionLibrary) => Promise<FoundAction[]>;

export interface CatalogOptions {
  /** A folder, absolute, or a git URL; null where none is set. */
  source: string | null;
  /** Nobody asked for one there, so its absence is no problem. */
  isOptional?: boolean;
  /** What to do about it where there is none. */
  missing: string;
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  clock: Clock;
  log: Logger;
  read: ReadDefinitions;
  /** Read it again when its files change. Not for a git URL, whose checkout does not. */
  hotReload: boolean;
  debounceMs: number;
}

export interface ActionEntry extends FoundAction {
  readonly annotations: Action["annotations"];
}

/** Where a name's files are to be taken from. */
export interface Resolving {
  pin?: string | null;
  update?: boolean;
  signal: AbortSignal;
  progress?: (text: string) => void;
}

/** The actions of one repository, as its files say now. A text that does not load leaves the version before in use. */
export class Catalog implements Closeable {
  readonly #options: CatalogOptions;
  readonly #listeners = new Set<() => void>();
  #library: ActionLibrary;
  #entries = new Map<string, ActionEntry>();
  #place: { dir: string; commit: string | null; digest: string } | null = null;
  #problem: SourceError | null = null;
  #watchers: FSWatcher[] = [];
  #cancel: (() => void) | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(options: CatalogOptions) {
    this.#options = options;
    this.#library = { modules: {}, problem: options.missing };
  }

  /** Never fails for what is in the repository: `state.problem` says what is wrong. */
  static async open(options: CatalogOptions): Promise<Catalog> {
    const catalog = new Catalog(options);
    await catalog.sync();
    return catalog;
  }

  get library(): ActionLibrary {
    return this.#library;
  }

  get entries(): ActionEntry[] {
    return [...this.#entries.values()];
  }

  get state(): ActionRepository {
    const { source } = this.#options;
    const { dir = null, commit = null } = this.#place ?? {};
    return { source, dir, commit, problem: this.#problem };
  }

  /** Called after the repository has changed and was read again. @returns how to stop */
  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws SignalboxError `not_found` */
  require(name: string): ActionEntry {
    const entry = this.#entries.get(name);
    if (entry) return entry;
    const meant = nearest(name, this.#entries.keys());
    throw new SignalboxError("not_found", `there is no action ${name}`, {
      hint:
        meant === null
          ? (this.#library.problem ?? "`signalbox actions` lists them.")
          : `Did you mean ${meant}?`,
    });
  }

  /** Reads it again. @param update asks the remote of a git repository for its newest commit */
  sync(update = false): Promise<void> {
    const done = this.#turn.then(() => (this.#isClosed ? undefined : this.#sync(update)));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** The files that its branch or tag leads to now, whatever commit its file pins. @throws as `resolve` */
  async resolveNewest(name: string, signal: AbortSignal): Promise<ResolvedSource> {
    const { definition } = this.require(name);
    const source = definition.source.replace(/#[0-9a-f]{40,64}$/, "");
    return this.look({
      source: withTag(source, definition.tag),
      subdir: definition.subdir,
      update: true,
      signal,
    });
  }

  /** The files of any source. @throws SignalboxError `action_source`, `too_large` */
  look({
    base,
    ...request
  }: Pick<SourceRequest, "source" | "subdir" | "signal" | "update"> & { base?: string | undefined }) {
    const { cacheDir, env } = this.#options;
    const from = base ?? this.#place?.dir ?? process.cwd();
    return resolveSource({ ...request, base: from, cacheDir: join(cacheDir, "sources"), env });
  }

  /** The files of an action. @throws SignalboxError `not_found`, `action_source`, `too_large`, … */
  async resolve(name: string, { pin, update, signal, progress }: Resolving): Promise<ResolvedSource> {
    const { definition } = this.require(name);
    const { cacheDir, env } = this.#options;
    return resolveSource({
      source: withTag(definition.source, definition.tag),
      subdir: definition.subdir,
      base: this.#place?.dir ?? process.cwd(),
      ...{ cacheDir: join(cacheDir, "sources"), signal, env },
      ...(pin === undefined ? {} : { pin }),
      ...(update === undefined ? {} : { update }),
      ...(progress === undefined ? {} : { progress }),
    });
  }

  /** The program that a call of `name` runs. */
  async program(name: string, resolving: Resolving): Promise<ActionProgram> {
    const resolved = await this.resolve(name, resolving);
    const { definition } = this.require(name);
    return {
      ...{
        name,
        source: definition.source,
        executor: definition.executor,
        entrypoint: definition.entrypoint,
      },
      ...{ dir: resolved.dir, commit: resolved.commit, digest: resolved.digest },
      timeoutMs: Math.round(definition.timeout * 1_000),
      env: [...definition.env].sort(),
      powers: { hosts: [...definition.hosts].sort(), files: [...definition.files].sort() },
      ...{ image: definition.image, language: definition.type, deps: [...definition.deps].sort() },
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    this.#unwatch();
    await this.#turn;
  }

  async #sync(update: boolean): Promise<void> {
    const { source, missing, log, isOptional = false } = this.#options;
    if (source === null || (isOptional && this.#place === null && !existsSync(source))) return;
    try {
      const dir = await this.#dirOf(source, update);
      const { library, digest, folders } = await readRepository(dir.dir);
      this.#watch(dir.dir, folders);
      if (digest === this.#place?.digest && this.#problem === null && dir.dir === this.#place.dir) return;
      const found = await this.#options.read(library);
      this.#place = { ...dir, digest };
      this.#problem = null;
      this.#library = library;
      this.#entries = new Map(found.map((action) => [action.name, withAnnotations(action, library)]));
      log.info({ actions: found.length, dir: dir.dir }, "actions repository loaded");
    } catch (error) {
      if (!SignalboxError.is(error)) throw error;
      this.#problem = problemOf(error);
      if (this.#entries.size === 0) this.#library = { modules: {}, problem: `${error.message}. ${missing}` };
      log.error({ error: error.message, kept: this.#entries.size }, "actions repository not loaded");
    }
    for (const listener of this.#listeners) listener();
  }

  async #dirOf(source: string, update: boolean): Promise<{ dir: string; commit: string | null }> {
    if (readGitSource(source) === null) return { dir: source, commit: null };
    const { cacheDir, env } = this.#options;
    const signal = AbortSignal.timeout(300_000);
    const request = { source, subdir: null, base: cacheDir, cacheDir: join(cacheDir, "sources") };
    const { dir, commit } = await resolveSource({ ...request, update, signal, env });
    return { dir, commit };
  }

  #watch(dir: string, folders: string[]): void {
    const { hotReload, log } = this.#options;
    if (!hotReload || this.#place?.commit) return;
    this.#unwatch();
    try {
      for (const folder of folders) {
        const watcher = watch(join(dir, folder), { persistent: false }, () => this.#soon());
        watcher.on("error", (error) =>
          log.warn({ err: error, dir }, "the actions repository can't be watched"),
        );
        this.#watchers.push(watcher);
      }
    } catch (error) {
      log.warn(
        { err: error, dir },
        "the actions repository can't be watched; use `signalbox actions reload`",
      );
    }
  }

  #unwatch(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  #soon(): void {
    const { clock, debounceMs, log } = this.#options;
    this.#cancel?.();
    this.#cancel = clock.after(debounceMs, () => {
      this.sync().catch((error: unknown) =>
        log.error({ err: error }, "the actions repository could not be read"),
      );
    });
  }
}

/** What is known of an action without looking at its files. */
export function showAction({ name, definition, file, line, annotations }: ActionEntry): Action {
  const { source, executor, entrypoint, subdir, tag, env, hosts, files, schema } = definition;
  return {
    ...{
      name,
      file,
      line,
      source,
      executor,
      entrypoint,
      subdir,
      tag,
      env,
      hosts,
      files,
      schema,
      annotations,
    },
    description: definition.description ?? (annotations.description || null),
    timeout_ms: Math.round(definition.timeout * 1_000),
    defaults: definition.defaults as JsonObject,
    input_adapter: definition.input_adapter,
    output_adapter: definition.output_adapter,
    retry_attempts: definition.retry.attempts,
    cache_ms: definition.cache,
  };
}

/** B19: `tag` is the branch, tag or commit of a git source that names none itself. */
function withTag(source: string, tag: string | null): string {
  return tag === null || source.includes("#") || readGitSource(source) === null ? source : `${source}#${tag}`;
}

function withAnnotations(found: FoundAction, library: ActionLibrary): ActionEntry {
  const module = Object.values(library.modules).find(({ file }) => file === found.file);
  return { ...found, annotations: readAnnotations(module?.source ?? "", found.line) };
}

function problemOf(error: SignalboxError): SourceError {
  const details = (error.details ?? {}) as Partial<SourceError>;
  return {
    message: details.message ?? error.message,
    file: details.file ?? null,
    line: details.line ?? null,
    traceback: details.traceback ?? null,
  };
}
