import type { Host } from "../host.ts";
import type { StateMessage } from "../messages.ts";
import type { Words } from "../words.ts";

/** What is kept while the view is hidden and when the window is loaded again. */
export interface Kept {
  /** Reasons that were begun, by card. */
  readonly reasons: Readonly<Record<string, string>>;
  /** Cards whose reason is being written. */
  readonly denying: readonly string[];
  /** Cards whose rule is being read. */
  readonly remembering: readonly string[];
  /** Marked in the panel's table. */
  readonly selected: readonly string[];
}

interface DecisionDetails {
  readonly reason?: string;
  readonly choice?: string;
  readonly remember_days?: number;
}

/** What the screens are given. */
export interface App {
  readonly state: StateMessage;
  readonly kept: Kept;
  readonly nowMs: number;
  readonly t: Words;
  readonly host: Host;
  change(kept: Partial<Kept>): void;
  /** Decides about cards that have been in sight long enough. */
  decide(ids: readonly string[], decision: "approve" | "deny", more?: DecisionDetails): void;
}
