import type { Bar, LayerShare, Row } from "./line.ts";
import type { Machine } from "./machine.ts";

/** Everything one run found out; also the file that `--json` writes. */
export interface Report {
  date: string;
  command: string;
  rounds: number;
  machine: Machine;
  versions: Record<string, string>;
  lines: { name: string; title: string; rows: Row[]; layers: LayerShare[] }[];
  skipped: string[];
}

type Cells = [
  what: string,
  ours: string,
  peer: string,
  ratio: string,
  spread: string,
  bar: string,
  met: string,
];
const HEAD: Cells = ["what", "ours", "peer", "ratio", "rounds", "bar", "met"];

/** Null where there is no bar. */
export function isMet(row: Row): boolean | null {
  if (row.bar === null) return null;
  const value = row.bar.of === "ratio" ? row.ratio : row.ours;
  if (value === null) return null;
  return row.bar.kind === "at least" ? value >= row.bar.value : value <= row.bar.value;
}

/** Four digits are more than a run on a shared machine can promise. */
export function formatFigure(value: number): string {
  if (value >= 1_000) return Math.round(Number(value.toPrecision(3))).toLocaleString("en-US");
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value >= 0.1 || value === 0 ? value.toFixed(2) : value.toPrecision(2);
}

export function formatBar(bar: Bar, unit: string): string {
  const sign = bar.kind === "at least" ? "≥" : "≤";
  const value = bar.of === "ratio" ? `${bar.value} ×` : `${bar.value} ${unit}`;
  return `${bar.isGoal ? "goal " : ""}${sign} ${value}`;
}

function cellsOf(row: Row): Cells {
  const met = isMet(row);
  return [
    row.note === undefined ? row.what : `${row.what} (${row.note})`,
    `${formatFigure(row.ours)} ${row.unit}`,
    row.peer === null ? "" : `${row.peer.name}: ${formatFigure(row.peer.value)}`,
    row.ratio === null ? "" : `${formatFigure(row.ratio)} ×`,
    row.spread === null ? "" : `${formatFigure(row.spread[0])}–${formatFigure(row.spread[1])}`,
    row.bar === null ? "" : formatBar(row.bar, row.unit),
    met === null ? "" : met ? "yes" : "NO",
  ];
}

/** For a terminal: columns under each other. */
export function formatTable(rows: readonly Row[]): string {
  const table = [HEAD, ...rows.map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  return table
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

export function formatLayers(layers: readonly LayerShare[]): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  return markdownTable(
    ["process", "layer", "share of its time", "µs an event"],
    layers.map(({ of, layer, share, perEventUs }) => [of, layer, percent(share), formatFigure(perEventUs)]),
  );
}

/** The part of BENCHMARKS.md that a run writes. */
export function formatMarkdown(report: Report): string {
  const { machine, versions } = report;
  const about = [
    ["date", report.date],
    ["command", `\`${report.command}\``],
    ["machine", `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB`],
    ["system", `${machine.system}, ${machine.kernel}`],
    [
      "versions",
      Object.entries({ "Node.js": machine.node, SQLite: machine.sqlite, ...versions })
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
    ["commit", machine.commit],
    ["rounds", `${report.rounds}, alternated; figures are medians`],
  ];
  const sections = report.lines.map(({ title, rows, layers }) => {
    const parts = [`### ${title}`, markdownTable(HEAD, rows.map(cellsOf))];
    if (layers.length > 0) parts.push(formatLayers(layers));
    return parts.join("\n\n");
  });
  const skipped = report.skipped.map((reason) => `- Not compared: ${reason}`).join("\n");
  return [markdownTable(["run", ""], about), ...sections, skipped].filter((part) => part !== "").join("\n\n");
}

const BEGIN = "<!-- bench: begin (written by npm run bench) -->";
const END = "<!-- bench: end -->";

/** Puts the part between the markers. @throws Error when the document has lost them */
export function replaceBetweenMarkers(document: string, part: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the document needs the lines ${BEGIN} and ${END}`);
  return `${document.slice(0, begin + BEGIN.length)}\n\n${part}\n\n${document.slice(end)}`;
}
