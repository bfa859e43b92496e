import type { Scope } from "../service/lib/scope.ts";
import type { FilledDatabases } from "./filled.ts";
import type { Peers } from "./peer.ts";
import type { Product } from "./product.ts";

export type Unit = "events/s" | "calls/s" | "messages/s" | "handlers/s" | "ms" | "µs" | "MB" | "bytes" | "%";

/** What design.md asks for. */
export interface Bar {
  /** Of the ratio, or of our own figure. */
  of: "ratio" | "ours";
  kind: "at least" | "at most";
  value: number;
  /** Wished for, not asked for. */
  isGoal?: true;
}

/** One comparison. */
export interface Row {
  what: string;
  unit: Unit;
  ours: number;
  /** Null where nobody else does it. */
  peer: { name: string; value: number } | null;
  /** Ours by theirs. */
  ratio: number | null;
  spread: readonly [number, number] | null;
  bar: Bar | null;
  note?: string;
}

/** A curve of the growth plot. */
export interface GrowthPoint {
  /** Events stored. */
  events: number;
  what: string;
  /** Milliseconds. */
  value: number;
}

/** A share of the time of one kind of work. */
export interface LayerShare {
  of: string;
  layer: string;
  /** Of the process that does it, 0 to 1. */
  share: number;
  /** Microseconds for one event. */
  perEventUs: number;
}

export interface LineResult {
  rows: Row[];
  /** Peers that were not there, and why. */
  skipped: string[];
  growth?: GrowthPoint[];
  layers?: LayerShare[];
}

export interface BenchContext {
  readonly quick: boolean;
  /** Also ten million events. */
  readonly large: boolean;
  readonly rounds: number;
  /** Makes a count of the full run fit this one; never 0. */
  scaled(count: number): number;
  readonly product: Product;
  readonly peers: Peers;
  readonly filled: FilledDatabases;
  /** A new folder that goes when the run ends. */
  folder(name: string): string;
  /** Tells on standard error what goes on. */
  progress(text: string): void;
}

/** One line of the table: what it measures, and how. All it opens goes into `scope`. */
export interface Line {
  name: string;
  title: string;
  run(context: BenchContext, scope: Scope): Promise<LineResult>;
}
