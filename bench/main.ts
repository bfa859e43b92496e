/**
 * Measures Signalbox against what else does the job: `npm run bench`. Prints a table, writes it into BENCHMARKS.md
 * when everything was measured, and with `--json` into a file.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";
import { Scope } from "../service/lib/scope.ts";
import { chain } from "./chain.ts";
import { claim } from "./claim.ts";
import { cli } from "./cli.ts";
import { fanout } from "./fanout.ts";
import { createFilled } from "./filled.ts";
import { idle } from "./idle.ts";
import { noPeers, openPeers } from "./install-peers.ts";
import type { BenchContext, GrowthPoint, Line } from "./line.ts";
import { lua } from "./lua.ts";
import { describeMachine } from "./machine.ts";
import { opencode } from "./opencode.ts";
import { drawGrowth } from "./plot.ts";
import { copyProduct, repository } from "./product.ts";
import { push } from "./push.ts";
import { query } from "./query.ts";
import { formatLayers, formatMarkdown, formatTable, type Report, replaceBetweenMarkers } from "./report.ts";

const lines: readonly Line[] = [push, claim, chain, lua, cli, query, idle, fanout, opencode];

const usage = `npm run bench -- [options]
  --quick          under a minute; figures are rough, BENCHMARKS.md is left alone
  --large          also ten million events
  --only a,b       some lines: ${lines.map((line) => line.name).join(", ")}
  --rounds <n>     rounds of each comparison
  --scale <x>      work of a round, as a part of the full one
  --json <file>    write the results there as well
  --filled <dir>   keep the large databases there, and use them again
  --no-peers       install and compare with nothing else`;

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    scale: { type: "string" },
    json: { type: "string" },
    filled: { type: "string" },
    "no-peers": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (flags.help) process.stdout.write(`${usage}\n`);
else await main();

async function main(): Promise<void> {
  const chosen = chooseLines(flags.only);
  const top = mkdtempSync(join(tmpdir(), "sbbench-"));
  const context = createContext(top);
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    command: ["npm run bench", ...process.argv.slice(2)].join(" ").replace("bench -", "bench -- -"),
    rounds: context.rounds,
    machine: describeMachine(sqliteVersion()),
    versions: peerVersions(),
    lines: [],
    skipped: [],
  };
  const growth: GrowthPoint[] = [];
  try {
    for (const line of chosen) {
      await runLine(line, context, report, growth);
      // Line by line, so that a failure loses nothing that took minutes.
      if (flags.json !== undefined)
        writeFileSync(flags.json, `${JSON.stringify({ ...report, growth }, null, 2)}\n`);
    }
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
  for (const reason of report.skipped) process.stdout.write(`not compared: ${reason}\n`);
  if (chosen.length === lines.length && !context.quick) await publish(report, growth, context);
}

async function runLine(
  line: Line,
  context: BenchContext,
  report: Report,
  growth: GrowthPoint[],
): Promise<void> {
  const scope = new Scope();
  const interrupted = (signal: string) => {
    context.progress(`${signal}: ending what was started`);
    void scope.close().finally(() => process.exit(130));
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    const { rows, skipped, layers = [], growth: points = [] } = await line.run(context, scope);
    process.stdout.write(`\n${line.title}\n${formatTable(rows)}\n`);
    if (layers.length > 0) process.stdout.write(`\n${formatLayers(layers)}\n`);
    report.lines.push({ name: line.name, title: line.title, rows, layers });
    for (const reason of skipped) if (!report.skipped.includes(reason)) report.skipped.push(reason);
    growth.push(...points);
  } finally {
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
    await scope.close();
  }
}

/** @throws Error for a name that no line has */
function chooseLines(only: string | undefined): readonly Line[] {
  if (only === undefined) return lines;
  return only.split(",").map((name) => {
    const found = lines.find((line) => line.name === name.trim());
    if (!found) throw new Error(`no line is called ${name}\n${usage}`);
    return found;
  });
}

function createContext(top: string): BenchContext {
  const progress = (text: string) => process.stderr.write(`… ${text}\n`);
  const scale = Number(flags.scale ?? (flags.quick ? 0.12 : 1));
  let folders = 0;
  const folder = (name: string) => {
    const path = join(top, `${folders++}-${name}`);
    mkdirSync(path, { mode: 0o700 });
    return path;
  };
  return {
    quick: flags.quick,
    large: flags.large,
    rounds: Number(flags.rounds ?? (flags.quick ? 3 : 7)),
    scaled: (count) => Math.max(1, Math.round(count * scale)),
    product: copyProduct(join(top, "product")),
    peers: flags["no-peers"] ? noPeers() : openPeers(progress),
    filled: createFilled(flags.filled === undefined ? folder("filled") : keptFolder(flags.filled), progress),
    folder,
    progress,
  };
}

function keptFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return resolve(path);
}

/** Into the repository: the table, and the plot that goes with it. */
async function publish(report: Report, growth: GrowthPoint[], context: BenchContext): Promise<void> {
  const file = join(repository, "BENCHMARKS.md");
  writeFileSync(file, replaceBetweenMarkers(readFileSync(file, "utf8"), formatMarkdown(report)));
  if (growth.length === 0 || flags["no-peers"]) return;
  const { drawSvg } = await context.peers.load("vega");
  for (const [name, svg] of await drawGrowth(growth, drawSvg)) {
    writeFileSync(join(repository, "docs", name), svg);
  }
}

function sqliteVersion(): string {
  const db = new Database(":memory:");
  try {
    return String(db.prepare("SELECT sqlite_version()").pluck().get());
  } finally {
    db.close();
  }
}

function peerVersions(): Record<string, string> {
  const { dependencies } = JSON.parse(readFileSync(join(import.meta.dirname, "peers/package.json"), "utf8"));
  return dependencies;
}
