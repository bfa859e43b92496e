import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

const repository = fileURLToPath(new URL("../..", import.meta.url));
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "signalbox-summary-"));
  mkdirSync(join(root, "test/harness"), { recursive: true });
  mkdirSync(join(root, "scripts"));
  for (const file of ["vitest.config.ts", "scripts/editor-cache.ts", "test/harness/summary-reporter.ts"]) {
    cpSync(join(repository, file), join(root, file));
  }
  writeFileSync(join(root, "test/harness/built.ts"), "export default function setup() {}");
  writeFileSync(join(root, "package.json"), '{ "type": "module" }');
  symlinkSync(join(repository, "node_modules"), join(root, "node_modules"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Runs the planted test file by itself and answers with the last line that was printed. */
function lastLine(text: string): Promise<{ line: string | undefined; ok: boolean }> {
  writeFileSync(join(root, "test/planted.test.ts"), `import { expect, it } from "vitest";\n${text}`);
  const vitest = join(repository, "node_modules/vitest/vitest.mjs");
  return new Promise((resolve) => {
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST"));
    const env = { ...Object.fromEntries(environment), NODE_ENV: "test" };
    execFile(process.execPath, [vitest, "run"], { cwd: root, env }, (error, stdout) => {
      resolve({ line: stdout.trimEnd().split("\n").at(-1), ok: error === null });
    });
  });
}

const pass = 'it("a", () => expect(1).toBe(1));\n';

it("a test run ends with the numbers of passed and failed tests, alone on a line", async () => {
  expect(await lastLine(pass + pass)).toEqual({ line: "2 passed, 0 failed", ok: true });
});

it("a failing test is counted as failed", async () => {
  const failing = 'it("b", () => expect(1).toBe(2));';
  expect(await lastLine(pass + failing)).toEqual({ line: "1 passed, 1 failed", ok: false });
});

it("a test file that does not load is counted as failed", async () => {
  expect(await lastLine('throw new Error("planted");')).toEqual({ line: "0 passed, 1 failed", ok: false });
});

it("an error outside any test is counted as failed", async () => {
  const stray = 'it("b", async () => { void Promise.reject(new Error("planted")); });';
  expect(await lastLine(pass + stray)).toEqual({ line: "2 passed, 1 failed", ok: false });
});
