/**
 * Takes the picture of the README: a real OpenCode in a terminal, to which an event comes. Run it by itself:
 * `node test/harness/opencode/picture.ts`.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { IBufferCell } from "@xterm/headless";
import { eventually } from "../eventually.ts";
import { opencodeBinary } from "./opencode.ts";
import { openStage, projectSettings } from "./stage.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

const TARGET = resolve(import.meta.dirname, "../../../docs/opencode.svg");
const CELL = { width: 8.4, height: 18 };
const FONT = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const PLAIN = { ink: "#e6e6e6", paper: "#0a0a0a" };

/** What stands on the screen, as SVG. Made of text, so that it is sharp, small and can be searched. */
function toSvg(
  { buffer }: Pick<Terminal, "buffer">,
  title: string,
  rename: (text: string) => string,
): string {
  const { cols, rows } = buffer;
  const active = buffer.buffer.active;
  const [width, height] = [cols * CELL.width, rows * CELL.height].map((size) => Math.ceil(size + 16));
  const shapes: string[] = [];
  for (let row = 0; row < rows; row++) {
    const line = active.getLine(active.baseY + row);
    if (line === undefined) continue;
    const cells = Array.from({ length: cols }, (_, column) => line.getCell(column));
    for (const run of runsOf(cells)) shapes.push(...drawRun({ ...run, text: rename(run.text) }, row));
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="100%" height="100%" rx="8" fill="${PLAIN.paper}"/>`,
    `<g transform="translate(8 8)" font-family="${FONT}" font-size="14" xml:space="preserve">`,
    ...shapes,
    "</g></svg>",
    "",
  ].join("\n");
}

interface Run {
  column: number;
  columns: number;
  text: string;
  ink: string;
  paper: string;
  bold: boolean;
}

/** Neighbours that look alike are drawn as one. */
function runsOf(cells: readonly (IBufferCell | undefined)[]): Run[] {
  const runs: Run[] = [];
  cells.forEach((cell, column) => {
    if (cell === undefined || cell.getWidth() === 0) return;
    const [ink, paper] = cell.isInverse() ? [paperOf(cell), inkOf(cell)] : [inkOf(cell), paperOf(cell)];
    const look = { ink, paper, bold: cell.isBold() !== 0 };
    const text = cell.getChars() || " ";
    const last = runs.at(-1);
    if (last && last.ink === look.ink && last.paper === look.paper && last.bold === look.bold) {
      last.text += text;
      last.columns += cell.getWidth();
    } else runs.push({ column, columns: cell.getWidth(), text, ...look });
  });
  return runs;
}

function drawRun({ column, columns, text, ink, paper, bold }: Run, row: number): string[] {
  const [x, y] = [column * CELL.width, row * CELL.height].map(round) as [number, number];
  const shapes: string[] = [];
  if (paper !== PLAIN.paper) {
    const size = `width="${round(columns * CELL.width)}" height="${CELL.height}"`;
    shapes.push(`<rect x="${x}" y="${y}" ${size} fill="${paper}"/>`);
  }
  const shown = text.trimEnd();
  if (shown.trim() !== "") {
    const left = shown.length - shown.trimStart().length;
    const at = round((column + left) * CELL.width);
    const length = round((shown.length - left) * CELL.width);
    const weight = bold ? ' font-weight="bold"' : "";
    shapes.push(
      `<text x="${at}" y="${round(y + 13.5)}" textLength="${length}" fill="${ink}"${weight}>${escapeText(shown.trimStart())}</text>`,
    );
  }
  return shapes;
}

const round = (value: number) => Math.round(value * 10) / 10;

function inkOf(cell: IBufferCell): string {
  return cell.isFgDefault() ? PLAIN.ink : colour(cell.isFgRGB(), cell.getFgColor());
}

function paperOf(cell: IBufferCell): string {
  return cell.isBgDefault() ? PLAIN.paper : colour(cell.isBgRGB(), cell.getBgColor());
}

const BASIC =
  "000000 cd3131 0dbc79 e5e510 2472c8 bc3fbc 11a8cd e5e5e5 666666 f14c4c 23d18b f5f543 3b8eea d670d6 29b8db ffffff";

/** Of the 256 colours: sixteen basic ones, a cube of 216, and greys. */
function colour(isRgb: boolean, value: number): string {
  if (isRgb) return `#${value.toString(16).padStart(6, "0")}`;
  if (value < 16) return `#${BASIC.split(" ")[value]}`;
  if (value >= 232) return `#${(8 + (value - 232) * 10).toString(16).padStart(2, "0").repeat(3)}`;
  const step = (level: number) => (level === 0 ? 0 : 55 + level * 40).toString(16).padStart(2, "0");
  const cube = value - 16;
  return `#${step(Math.floor(cube / 36))}${step(Math.floor(cube / 6) % 6)}${step(cube % 6)}`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

async function take(binary: string): Promise<void> {
  const stage = await openStage(binary);
  try {
    const { place, plugin, llm, service } = stage;
    await service.client.createTopic({ name: "builds", prompt: "Find out why the build failed." });
    llm.when(
      ({ prompt, messages }) => prompt.includes("Build 512") && messages.at(-1)?.role === "user",
      () => ({
        text: "The test counts days in the local time zone, so it fails after 22:00 UTC. I answer that.",
        tool: {
          name: "signalbox_reply",
          arguments: { body: "cart.test.ts counts days in local time; use UTC in cart.ts line 31." },
        },
      }),
    );
    llm.when(
      ({ prompt, messages }) => prompt.includes("Build 512") && messages.at(-1)?.role === "tool",
      () => ({ text: "Done: the answer is on its way to whoever asked." }),
    );
    const project = place.project("shop", projectSettings(plugin({ topics: ["builds"] })));
    const size = { columns: 104, rows: 34 };
    const terminal = openTerminal(binary, [], { cwd: project, env: place.env, ...size });
    try {
      await terminal.until(/Ask anything|ctrl\+p/);
      terminal.type("I am off for lunch");
      await terminal.until("I am off for lunch");
      terminal.type("\r");
      await eventually(() => stage.asked("off for lunch").length > 0, Boolean, 60_000);
      const body = "Build 512 failed: cart.test.ts expected 2, got 3";
      await stage.completed(await stage.push("builds", body, { source: "ci", type: "ci.build.failed" }));
      await terminal.until("Done: the answer");
      // The spinner's place is redrawn once more when the turn has ended.
      await eventually(() => !/esc (to )?interrupt/.test(terminal.screen()), Boolean, 20_000);
      const title = "An event from CI is picked up and answered by an idle session of OpenCode";
      // The folder is one of this run only.
      writeFileSync(
        TARGET,
        toSvg(terminal, title, (text) => text.replace(place.root, "~")),
      );
    } finally {
      terminal.kill();
    }
  } finally {
    await stage.close();
  }
}

if (import.meta.main) {
  const binary = opencodeBinary();
  if (binary === null) throw new Error("there is no OpenCode for this platform");
  await take(binary);
}
