import type { Output } from "./output.ts";
import { neutralise, type Part, textOf } from "./text.ts";
import { graphemes, widthOf } from "./width.ts";

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Part[])[];
  /** Columns that may be cut short where the terminal is narrow. Default: the last. */
  readonly flexible?: readonly number[];
  /** What to say when there are no rows. */
  readonly empty: string;
}

const GAP = 2;
const LEAST = 8;

export function printTable(out: Output, table: Table): void {
  if (table.rows.length === 0) out.remark(table.empty);
  else out.rows(fitTable(withoutEmptyColumns(table, out.width()), out.width()));
}

/** A terminal has no room for columns that say nothing; a program that reads a pipe counts on every column. */
export function withoutEmptyColumns(table: Table, width: number): Table {
  if (width === Number.POSITIVE_INFINITY) return table;
  const kept = table.head.flatMap((_, column) =>
    table.rows.some((row) => textOf(row[column] ?? "") !== "") ? [column] : [],
  );
  const flexible = table.flexible ?? [table.head.length - 1];
  return {
    ...table,
    head: kept.map((column) => table.head[column] ?? ""),
    rows: table.rows.map((row) => kept.map((column) => row[column] ?? "")),
    flexible: flexible.map((column) => kept.indexOf(column)).filter((column) => column >= 0),
  };
}

/** Rows of padded cells, the head first, cut so that each row is at most `width` columns wide where that can be. */
export function fitTable(table: Table, width: number): Part[][] {
  const head = table.head.map((text) => ({ style: "dim" as const, text }));
  const all: Part[][] = [head, ...table.rows.map((row) => row.map(singleLine))];
  const widths = table.head.map((_, column) =>
    Math.max(...all.map((row) => widthOf(textOf(row[column] ?? "")))),
  );
  shrink(widths, table.flexible ?? [table.head.length - 1], width);
  return all.map((row) =>
    row.map((part, column) => {
      const wanted = widths[column] ?? 0;
      const isLast = column === row.length - 1;
      return withText(part, pad(cut(textOf(part), wanted), isLast ? 0 : wanted + GAP));
    }),
  );
}

/** Takes from the widest of the flexible columns first, and leaves each a few characters. */
function shrink(widths: number[], flexible: readonly number[], width: number): void {
  const gaps = GAP * (widths.length - 1);
  for (;;) {
    const excess = widths.reduce((sum, one) => sum + one, gaps) - width;
    const widest = flexible.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a), flexible[0] ?? 0);
    const now = widths[widest] ?? 0;
    if (excess <= 0 || now <= LEAST) return;
    const second = flexible.map((column) => widths[column] ?? 0).filter((other) => other < now);
    widths[widest] = Math.max(now - excess, LEAST, ...second, 0);
    if (flexible.filter((column) => widths[column] === now).length > 0) widths[widest] = now - 1;
  }
}

/** At most `width` columns, the last one an ellipsis where something is missing. Keeps whole characters. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const segment of graphemes(text)) {
    const next = used + widthOf(segment);
    if (next > width - 1) break;
    kept += segment;
    used = next;
  }
  return `${kept}…`;
}

function singleLine(part: Part): Part {
  const text = neutralise(textOf(part)).trim();
  return withText(part, text.replaceAll(/\s*\n\s*/g, " ⏎ ").replaceAll("\t", " "));
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

function withText(part: Part, text: string): Part {
  return typeof part === "string" ? text : { ...part, text };
}
