import type { Agent } from "../../service/contract/agents.ts";
import type { TypeShape } from "../../service/contract/types.ts";
import type { Workflow } from "../../service/contract/workflows.ts";

export type LiveAgent = Pick<Agent, "name" | "status" | "commands">;

export interface LiveSubject {
  subject: string;
  /** Types heard there. */
  types: string[];
  last_ms: number;
}

export interface LiveAction {
  /** `namespace.name`. */
  name: string;
  description: string;
  /** JSON Schema of what it takes and gives, as far as known. */
  input: Record<string, unknown> | null;
  output: Record<string, unknown> | null;
}

/**
 * What only the running service knows. All answers come at once, from what was fetched before: whoever implements it
 * fetches in the background and says when something new has come.
 */
export interface LuaHost {
  subjects(): LiveSubject[];
  /** Types of recorded events whose subject matches, with the shape of their payloads; null while not known. */
  types(pattern: string): TypeShape[] | null;
  /** Null while not known, for example without a service. */
  agents(): LiveAgent[] | null;
  topics(): string[];
  actions(): LiveAction[];
  workflow(name: string): Workflow | null;
}
