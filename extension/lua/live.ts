import type { Client } from "../../service/client/call.ts";
import type { Action } from "../../service/contract/actions.ts";
import type { TypeShape } from "../../service/contract/types.ts";
import type { Run, Workflow } from "../../service/contract/workflows.ts";
import { compileSubject } from "../../service/lib/subject.ts";
import { type Disposable, Emitter } from "../emitter.ts";
import type { LiveAction, LiveAgent, LiveSubject, LuaHost } from "./host.ts";
import { type HeardEvent, isNewSubject, isNewsTo } from "./news.ts";

type LiveClient = Pick<
  Client,
  "listTypes" | "listAgents" | "listTopics" | "listActions" | "listWorkflows" | "listRuns"
>;

export interface LiveOptions {
  /** Null while the service is not ready: nothing is started for an answer. */
  client(): LiveClient | null;
  nowMs(): number;
  debug(message: string): void;
}

/**
 * What was fetched is used so long before it is asked for again, unless an event says that it is out of date; only how
 * often a field was there waits for its time. Nothing is fetched while nobody asks.
 */
const FRESH_MS = {
  types: 20_000,
  agents: 5_000,
  topics: 20_000,
  actions: 20_000,
  workflows: 5_000,
  runs: 5_000,
};
/** Events looked at for a subject, and for the list of subjects. */
const LOOKED_AT = 200;
const LOOKED_AT_FOR_SUBJECTS = 1_000;
/** Newest runs of a workflow that are counted. */
export const RUNS_LOOKED_AT = 200;

interface Entry {
  at: number;
  value: unknown;
  /** The JSON of it, to tell whether anything changed. */
  text: string;
  fetching: Promise<void> | null;
  /** What is being fetched was out of date before it came. */
  isOutdated: boolean;
}

/** The running service's data for the language service: answers at once with what it has, and fetches behind that. */
export class LiveData implements LuaHost {
  readonly #options: LiveOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #changes = new Emitter<void>();

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Something that was answered before would be answered differently now. */
  onChange(listener: () => void): Disposable {
    return this.#changes.on(listener);
  }

  /** Another service, or none: everything is asked anew. */
  reset(): void {
    this.#entries.clear();
    this.#changes.fire();
  }

  /** Events of a moment: what they tell anew is out of date, and nothing else. */
  heard(events: readonly HeardEvent[]): void {
    if (events.length === 0) return;
    this.expire("workflows");
    this.expire("runs");
    if (events.some(({ type }) => type.startsWith("signalbox.agent."))) this.expire("agents");
    const topics = this.#entries.get("topics ")?.value as string[] | null | undefined;
    if (topics && events.some(({ topic }) => topic !== null && !topics.includes(topic)))
      this.expire("topics");
    for (const [key, entry] of this.#entries) {
      if (!key.startsWith("types ") || this.#isOld("types", entry)) continue;
      const pattern = key.slice("types ".length);
      const isHeard = compileSubject(pattern);
      const shapes = (entry.value ?? []) as TypeShape[];
      const isNews = events.some((event) =>
        pattern === "" ? isNewSubject(shapes, event) : isHeard(event.subject) && isNewsTo(shapes, event),
      );
      if (isNews) this.#expireEntry(entry);
    }
  }

  /** What was fetched is out of date; it stays until something newer has come. */
  expire(kind: keyof typeof FRESH_MS): void {
    for (const [key, entry] of this.#entries) if (key.startsWith(`${kind} `)) this.#expireEntry(entry);
  }

  #expireEntry(entry: Entry): void {
    entry.at = Number.NEGATIVE_INFINITY;
    // An answer on its way may have been made before.
    entry.isOutdated = entry.fetching !== null;
  }

  #isOld(kind: keyof typeof FRESH_MS, { at, fetching }: Entry): boolean {
    return fetching === null && this.#options.nowMs() - at > FRESH_MS[kind];
  }

  /** Ends when all that is being fetched has come; null when nothing is. */
  pending(): Promise<void> | null {
    const open = [...this.#entries.values()].flatMap(({ fetching }) => (fetching ? [fetching] : []));
    return open.length === 0 ? null : Promise.all(open).then(() => undefined);
  }

  subjects(): LiveSubject[] {
    const shapes = this.#get("types", "", async (client) => {
      const { types } = await client.listTypes({ limit: LOOKED_AT_FOR_SUBJECTS });
      return types.map(({ type, subjects, last_ms }) => ({ type, subjects, last_ms }));
    });
    const found = new Map<string, LiveSubject>();
    for (const { type, subjects, last_ms } of shapes ?? []) {
      for (const subject of subjects) {
        const known = found.get(subject) ?? { subject, types: [], last_ms: 0 };
        known.types.push(type);
        known.last_ms = Math.max(known.last_ms, last_ms);
        found.set(subject, known);
      }
    }
    return [...found.values()];
  }

  types(pattern: string): TypeShape[] | null {
    // What is still being typed is no pattern yet.
    if (!/^[^\s.*>]+(\.[^\s.*>]+|\.\*)*(\.>)?$|^\*(\.[^\s.>]+)*(\.>)?$|^>$/.test(pattern)) return null;
    return this.#get(
      "types",
      pattern,
      async (client) => (await client.listTypes({ subject: pattern, limit: LOOKED_AT })).types,
    );
  }

  agents(): LiveAgent[] | null {
    return this.#get("agents", "", async (client) =>
      (await client.listAgents({})).agents.map(({ name, status, commands }) => ({ name, status, commands })),
    );
  }

  topics(): string[] {
    return (
      this.#get("topics", "", async (client) =>
        (await client.listTopics({})).topics.map(({ name }) => name),
      ) ?? []
    );
  }

  actions(): LiveAction[] {
    return this.#actions()?.actions.map(toLiveAction) ?? [];
  }

  /** Where the files of the actions repository are, if there is one. */
  actionsFolder(): string | null {
    return this.#actions()?.repository.dir ?? null;
  }

  #actions() {
    return this.#get("actions", "", (client) => client.listActions({}));
  }

  workflow(name: string): Workflow | null {
    return this.workflows()?.find((workflow) => workflow.name === name) ?? null;
  }

  workflows(): Workflow[] | null {
    return this.#get("workflows", "", async (client) => (await client.listWorkflows({})).workflows);
  }

  /** Its newest runs, newest first. */
  runs(workflow: string): Run[] {
    return (
      this.#get(
        "runs",
        workflow,
        async (client) => (await client.listRuns({ workflow, limit: RUNS_LOOKED_AT })).runs,
      ) ?? []
    );
  }

  #get<Value>(
    kind: keyof typeof FRESH_MS,
    key: string,
    fetch: (client: LiveClient) => Promise<Value>,
  ): Value | null {
    const name = `${kind} ${key}`;
    const entry = this.#entries.get(name) ?? {
      at: Number.NEGATIVE_INFINITY,
      value: null,
      text: "null",
      fetching: null,
      isOutdated: false,
    };
    this.#entries.set(name, entry);
    const client = this.#options.client();
    if (client && this.#isOld(kind, entry)) entry.fetching = this.#fetch(name, entry, () => fetch(client));
    return entry.value as Value | null;
  }

  async #fetch(name: string, entry: Entry, fetch: () => Promise<unknown>): Promise<void> {
    try {
      const value = await fetch();
      const text = JSON.stringify(value);
      if (this.#entries.get(name) !== entry) return;
      const isNew = text !== entry.text;
      entry.text = text;
      if (isNew) entry.value = value;
      const isAskedAgain = entry.isOutdated;
      entry.isOutdated = false;
      entry.fetching = null;
      entry.at = isAskedAgain ? Number.NEGATIVE_INFINITY : this.#options.nowMs();
      if (isNew || isAskedAgain) this.#changes.fire();
    } catch (error) {
      // The editor goes on with what it has; the next question asks again.
      this.#options.debug(
        `${name.trim()} could not be read: ${error instanceof Error ? error.message : String(error)}`,
      );
      entry.isOutdated = false;
      entry.fetching = null;
      entry.at = this.#options.nowMs();
    }
  }
}

function toLiveAction({ name, description, annotations, schema }: Action): LiveAction {
  return {
    name,
    description: annotations.description || (description ?? ""),
    input: toSchema(schema.input),
    output: toSchema(schema.output),
  };
}

function toSchema(fields: Action["schema"]["input"]): Record<string, unknown> | null {
  if (fields === null) return null;
  const properties = Object.entries(fields).map(([name, { type, description }]) => [
    name,
    {
      ...(type === "any" ? {} : { type: type === "table" ? "object" : type }),
      ...(description === null ? {} : { description }),
    },
  ]);
  const required = Object.entries(fields).flatMap(([name, field]) => (field.required ? [name] : []));
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    required,
    additionalProperties: false,
  };
}
