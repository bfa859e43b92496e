import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repository } from "../../scripts/source-files.ts";

/** A small tree of our layout: everything named `planted` is unused, the rest is not. */
const tree: Record<string, string> = {
  "package.json": JSON.stringify({
    type: "module",
    bin: { signalbox: "bin/signalbox.cjs" },
    scripts: { test: "vitest run", build: "node scripts/build.ts" },
    dependencies: { fastify: "1.0.0", ulid: "1.0.0" },
    devDependencies: { node: "24.0.0", vitest: "1.0.0", esbuild: "1.0.0" },
  }),
  "bin/signalbox.cjs": 'require("../dist/cli.js");\n',
  "service/main.ts": 'import { start } from "./app.ts";\nstart();\n',
  "service/app.ts":
    'import "fastify";\nimport { used } from "./lib/used.ts";\nexport const start = () => used;\n',
  "test/harness/built.ts": "export default function setup() {}\n",
  "service/cli/main.ts": 'await import("./commands/push.ts");\n',
  "service/cli/commands/push.ts": "export {};\n",
  "service/agents/sdk.ts": "export const createAgent = 1;\n",
  "service/client/index.ts": "export const connect = 1;\n",
  "service/workflows/lua/worker.ts": 'import { used } from "../../lib/used.ts";\nused;\n',
  "service/contract/events.ts": "export type Offered = string;\nexport const plantedSchema = 1;\n",
  "service/lib/used.ts":
    'import type { Offered } from "../contract/events.ts";\nexport const used: Offered = "";\nexport const planted = 2;\n',
  "service/lib/used.test.ts": 'import "vitest";\nimport "../../test/harness/start.ts";\n',
  "service/lib/planted-file.ts": "export {};\n",
  "service/connectors/github/fake.ts": "export const startFake = 1;\n",
  "scripts/build.ts": 'import "esbuild";\n',
  "scripts/editor-cache.ts": "export const missingForEditor = () => null;\n",
  "scripts/demo.ts": 'import { startFake } from "../service/connectors/github/fake.ts";\nstartFake;\n',
  "test/harness/start.ts": "export {};\n",
  "test/harness/summary-reporter.ts": "export default class {}\n",
  "test/harness/planted-harness.ts": "export {};\n",
  "test/e2e/start.test.ts": 'import "vitest";\n',
};

interface Issues {
  files: string[];
  dependencies: string[];
  exports: string[];
  others: string[];
}

let root: string;
let issues: Issues;
let code: number;

function readIssues(stdout: string): Issues {
  const rows: Record<string, unknown>[] = JSON.parse(stdout).issues;
  const of = (kinds: string[]) =>
    rows.flatMap((row) =>
      kinds.flatMap((kind) => {
        const found = row[kind];
        return Array.isArray(found) ? found.map((item: { name: string }) => item.name) : [];
      }),
    );
  const known = ["files", "dependencies", "exports", "file", "owners"];
  const others = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (kind) => !known.includes(kind),
  );
  return {
    files: of(["files"]).sort(),
    dependencies: of(["dependencies"]),
    exports: of(["exports"]).sort(),
    others: of(others),
  };
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "signalbox-unused-"));
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const file of ["knip.json", "vitest.config.ts", "tsconfig.json"])
    cpSync(join(repository, file), join(root, file));
  symlinkSync(join(repository, "node_modules"), join(root, "node_modules"));
  const knip = join(repository, "node_modules/knip/bin/knip.js");
  const stdout = await new Promise<string>((resolve) => {
    execFile(
      process.execPath,
      [knip, "--reporter", "json", "--no-progress"],
      { cwd: root },
      (error, output) => {
        code = typeof error?.code === "number" ? error.code : 0;
        resolve(output);
      },
    );
  });
  issues = readIssues(stdout);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("check:unused", () => {
  it("fails when something is unused", () => {
    expect(code).toBe(1);
  });

  it("finds files that nothing imports, in the service and in the harness", () => {
    expect(issues.files).toEqual(["service/lib/planted-file.ts", "test/harness/planted-harness.ts"]);
  });

  it("finds exports that nothing imports, schemas of the contract among them", () => {
    expect(issues.exports).toEqual(["planted", "plantedSchema"]);
  });

  it("finds dependencies that nothing imports", () => {
    expect(issues.dependencies).toEqual(["ulid"]);
  });

  it("says nothing of entries, workers, fakes, tests and the types that the contract offers", () => {
    expect(issues.others).toEqual([]);
  });
});
