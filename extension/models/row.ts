import type { Disposable } from "../emitter.ts";

/** Puts words into the reader's language; `{0}` stands for the first argument. Fits `vscode.l10n.t`. */
export type Translate = (message: string, ...args: (string | number | boolean)[]) => string;

/** The words as they are written here. */
export const english: Translate = (message, ...args) =>
  message.replace(/\{(\d+)\}/g, (_, index: string) => String(args[Number(index)] ?? ""));

/** One line of a tree, before anything of the editor is known. Rows of one tree differ in `id`. */
export interface Row {
  readonly id: string;
  readonly label: string;
  readonly description?: string | undefined;
  /** Plain text. */
  readonly tooltip?: string | undefined;
  /** Name of a codicon, and of a theme colour. */
  readonly icon?: { readonly id: string; readonly color?: string | undefined };
  /** Words that menus ask for. */
  readonly context?: string;
  /** What a screen reader says instead of label and description. */
  readonly spoken?: string;
  /** Up to two characters at the right edge. */
  readonly badge?:
    | { readonly text: string; readonly tooltip: string; readonly isAlarming: boolean }
    | undefined;
  readonly isExpanded?: boolean;
  readonly children?: () => readonly Row[] | Promise<readonly Row[]>;
  /** What Enter and a click do; it is given the row. */
  readonly command?: { readonly id: string; readonly title: string };
  /** What the row stands for; commands read it. */
  readonly item?: RowItem;
}

/** What a command can be given. One kind a noun. */
export type RowItem =
  | {
      readonly kind: "event";
      readonly event_id: string;
      readonly topic: string | null;
      readonly correlation_id: string | null;
    }
  | { readonly kind: "topic"; readonly topic: string; readonly status?: string }
  | { readonly kind: "connector"; readonly connector: string }
  | { readonly kind: "agent"; readonly agent: string; readonly connector: string | null }
  | { readonly kind: "command"; readonly agent: string; readonly command: string }
  | { readonly kind: "effect"; readonly effect_id: string }
  | { readonly kind: "workflow"; readonly workflow: string; readonly file: string; readonly line?: number }
  | { readonly kind: "schedule"; readonly schedule: string }
  | {
      readonly kind: "away";
      readonly actions: readonly { readonly label: string; readonly command: string }[];
    };

/** `all`: rows came, went or moved. Else the ids of those that look different. */
export type RowChange = "all" | readonly string[];

/** What a tree shows. */
export interface RowSource {
  rows(): readonly Row[];
  onChange(listener: (change: RowChange) => void): Disposable;
  /** Reads anew. @throws what reading throws */
  refresh(): Promise<void>;
  /** Time went by: relative times are said anew. */
  tick(): void;
  /** Forgets everything, since the service is gone. */
  clear(): void;
}

/** All that a reader sees of a row, for comparing. */
export function looks(row: Row): string {
  const { children, item, ...seen } = row;
  return JSON.stringify([seen, children !== undefined, item]);
}
