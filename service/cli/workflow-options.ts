import type { Json, JsonObject } from "../contract/common.ts";
import type { RunStatus } from "../contract/workflows.ts";

export interface RunsOptions {
  workflow?: string;
  status?: RunStatus;
  event?: string;
  limit: number;
  before?: string;
}
export interface NewOptions {
  template?: string;
  /** Id of the event to begin from. */
  event?: string;
  listTemplates?: boolean;
}
export interface TestOptions {
  event: string;
  /** What calls come to, in order. */
  answers?: ({ result: Json } | { error: string })[];
}
export interface RunOptions {
  event?: string;
  payload?: JsonObject;
  body?: string;
  type?: string;
  wait?: number | boolean;
}
export interface LogOptions {
  follow?: boolean;
  level: "debug" | "info" | "warn" | "error";
  limit: number;
}
