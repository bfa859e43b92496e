import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { repository } from "../../scripts/source-files.ts";

const texts = z.record(z.string(), z.string());
const manifest = z
  .looseObject({
    name: z.string(),
    version: z.string(),
    license: z.string(),
    type: z.string(),
    engines: texts,
    bin: texts,
    exports: z.record(z.string(), z.union([z.string(), texts])),
    files: z.array(z.string()),
    scripts: texts,
    dependencies: texts,
    devDependencies: texts,
  })
  .parse(JSON.parse(readFileSync(join(repository, "package.json"), "utf8")));
const lock = z
  .looseObject({
    version: z.string(),
    packages: z.record(
      z.string(),
      z.looseObject({
        version: z.string().optional(),
        resolved: z.string().optional(),
        optionalDependencies: texts.optional(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8")));
const every = { ...manifest.dependencies, ...manifest.devDependencies };

describe("package.json", () => {
  it("names every dependency at one exact version, which the lock file has as well", () => {
    for (const [name, version] of Object.entries(every)) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
    }
    expect(lock.version).toBe(manifest.version);
  });

  it("U22 brings Node.js 24 for development, runs from 22.12 on, and takes better-sqlite3 13", () => {
    expect(manifest.devDependencies.node).toMatch(/^24\./);
    expect(manifest.engines).toEqual({ node: ">=22.12" });
    expect(manifest.dependencies["better-sqlite3"]).toMatch(/^13\./);
    expect(process.versions.node).toBe(manifest.devDependencies.node);
  });

  it("U22 names no library before there is code for it", () => {
    expect(Object.keys(every)).not.toContain("imapflow");
  });

  it("U22 stands on the libraries that were chosen instead of code of its own", () => {
    const chosen = ["better-sqlite3", "fastify", "fengari", "zod", "pino", "commander", "smol-toml"];
    for (const name of [...chosen, "@octokit/core", "@octokit/webhooks"]) {
      expect(Object.keys(manifest.dependencies)).toContain(name);
    }
    for (const name of ["esbuild", "vitest", "typescript"]) {
      expect(Object.keys(manifest.devDependencies)).toContain(name);
    }
  });

  it("keeps TypeScript at the version that the import check can read", () => {
    expect(manifest.devDependencies.typescript).toBe("6.0.3");
  });

  it("offers the commands signalbox, oc-events and kael, and each is a file that npm packs", () => {
    expect(manifest.bin).toEqual({
      signalbox: "bin/signalbox.cjs",
      "oc-events": "bin/oc-events.cjs",
      kael: "bin/kael.cjs",
    });
    expect(manifest.files).toEqual(expect.arrayContaining(["bin", "dist", "workflows"]));
  });

  it("exports the agent SDK and the client, whose types are built from sources", () => {
    const declared = z
      .looseObject({ files: z.array(z.string()) })
      .parse(JSON.parse(readFileSync(join(repository, "tsconfig.types.json"), "utf8")));
    expect(Object.keys(manifest.exports)).toEqual(["./agent", "./client", "./package.json"]);
    for (const target of Object.values(manifest.exports)) {
      if (typeof target === "string") continue;
      expect(Object.keys(target)).toEqual(["types", "default"]);
      expect(target.default).toMatch(/^\.\/dist\/[\w-]+\.js$/);
      const source = target.types?.replace("./dist/types/", "service/").replace(/\.d\.ts$/, ".ts") ?? "";
      expect(declared.files).toContain(source);
    }
  });

  it("is an MIT licensed ESM package whose test command checks, then tests", () => {
    expect(manifest).toMatchObject({ name: "signalbox", license: "MIT", type: "module" });
    expect(manifest.scripts.test).toMatch(/npm run check && vitest run$/);
    for (const check of ["lint", "types", "imports", "unused"]) {
      expect(manifest.scripts.check).toContain(`npm run check:${check}`);
    }
  });

  it("is checked in CI by the command that the README names", () => {
    const script = readFileSync(join(repository, ".ci/run"), "utf8");
    expect(script.trimEnd().split("\n").at(-1)).toBe("npm ci && npm test");
    expect(script).toContain("set -euo pipefail");
  });

  // npm leaves out what the registry did not have when the file was made, and `npm ci` then refuses the whole file.
  it("has a lock file that knows the packages of every platform, so that a clean install works", () => {
    const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) =>
          lock.packages[`node_modules/${name}`] === undefined &&
          lock.packages[`${path}/node_modules/${name}`] === undefined,
      ),
    );
    expect(missing).toEqual([]);
  });

  it("has a lock file that names no address a package came from", () => {
    const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined);
    expect(resolved).toEqual([]);
  });
});
