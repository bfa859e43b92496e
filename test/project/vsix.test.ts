import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { repository } from "../../scripts/source-files.ts";
import { platformHere, sqliteBundle, sqliteOf } from "../../scripts/sqlite-binary.ts";
import { readZipNames } from "../harness/zip.ts";

const { version } = z
  .looseObject({ version: z.string() })
  .parse(JSON.parse(readFileSync(join(repository, "package.json"), "utf8")));
const file = join(repository, `dist/signalbox-${platformHere()}-${version}.vsix`);

let names: string[];
beforeAll(() => {
  // Made by `npm run package`, which `npm test` begins with.
  names = readZipNames(readFileSync(file));
});

describe("the extension's package", () => {
  it("holds what it runs, one file each, and nothing of what it is made from", () => {
    const inside = names
      .filter((name) => name.startsWith("extension/"))
      .map((name) => name.slice("extension/".length));
    for (const name of [
      "main.cjs",
      "dist/service.js",
      "dist/lua-worker.js",
      "dist/index-worker.js",
      "dist/cli.cjs",
      "bin/signalbox.cjs",
    ])
      expect(inside).toContain(name);
    const binary = sqliteOf[platformHere()] ?? "another platform";
    expect(inside.filter((name) => name.endsWith(".node"))).toEqual([`dist/${binary}.node`]);
    expect(inside.filter((name) => /node_modules|\.(ts|map|vsix|tsbuildinfo)$|test/.test(name))).toEqual([]);
  });

  it("holds licence, changes and the licences of what is bundled", () => {
    const inside = names.join("\n");
    for (const name of [/LICENSE/i, /changelog\.md/i, /readme\.md/i, /NOTICES\.txt/])
      expect(inside).toMatch(name);
  });

  it("holds every program of the build that is not there for others to import", () => {
    const built = readdirSync(join(repository, "dist")).filter((name) => /\.c?js$/.test(name));
    const others = ["agent.js", "client.js"];
    const inside = names.map((name) => name.replace(/^extension\/dist\//, ""));
    expect(built.filter((name) => !others.includes(name) && !inside.includes(name))).toEqual([]);
  });

  it("holds what its command line gives away: the skill", () => {
    expect(names).toContain("extension/skills/signalbox/SKILL.md");
    const cli = join(repository, "dist/extension/bin/signalbox.cjs");
    const shown = execFileSync(process.execPath, [cli, "skill", "show"], { encoding: "utf8" });
    expect(shown).toContain("name: signalbox");
  });

  it("K25 makes a window load little: the extension's own program, and nothing of the service", () => {
    const program = join(repository, "dist/extension/main.cjs");
    expect(statSync(program).size).toBeLessThan(480_000);
    const text = readFileSync(program, "utf8");
    for (const name of ["fastify", "better-sqlite3", "fengari"]) expect(text).not.toContain(`"${name}"`);
  });

  it("is smaller than 3 MB", () => {
    expect(statSync(file).size).toBeLessThan(3_000_000);
  });
});

/** What the first bytes of a program say it is made for. */
function machineOf(file: string): string {
  const head = readFileSync(file).subarray(0, 4_096);
  const machines: Record<string, Record<number, string>> = {
    elf: { 62: "x64", 183: "arm64" },
    mach: { 16777223: "x64", 16777228: "arm64" },
    pe: { 34404: "x64", 43620: "arm64" },
  };
  if (head.readUInt32BE(0) === 0x7f454c46) return `linux-${machines.elf?.[head.readUInt16LE(18)]}`;
  if (head.readUInt32LE(0) === 0xfeedfacf) return `darwin-${machines.mach?.[head.readUInt32LE(4)]}`;
  const pe = head.readUInt32LE(0x3c);
  return `win32-${machines.pe?.[head.readUInt16LE(pe + 4)]}`;
}

describe("the package of each platform", () => {
  const prebuilds = join(repository, "node_modules/better-sqlite3/prebuilds");

  it("is made for every binary that there is", () => {
    const there = readdirSync(prebuilds).map((name) => name.replace(/\.node$/, ""));
    expect(Object.values(sqliteOf).sort()).toEqual(there.sort());
  });

  it.each(Object.entries(sqliteOf))("%s takes %s alone, which is made for it", async (target, platform) => {
    const { outputFiles } = await build({
      ...sqliteBundle(platform),
      absWorkingDir: repository,
      outfile: "sqlite.cjs",
      write: false,
    });
    const binaries = outputFiles.filter(({ path }) => path.endsWith(".node"));
    expect(binaries.map(({ path }) => basename(path))).toEqual([`${platform}.node`]);
    const file = join(prebuilds, `${platform}.node`);
    expect(Buffer.from(binaries[0]?.contents ?? []).equals(readFileSync(file))).toBe(true);
    expect(machineOf(file)).toBe(target.replace("alpine", "linux"));
    // The C library that Alpine has is another one.
    if (/linux|alpine/.test(target))
      expect(readFileSync(file).includes("libc.musl")).toBe(target.startsWith("alpine"));
  });
});
