import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSecret } from "./secrets.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-secrets-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("a secret is read where its reference says", () => {
  it("from a variable, without the blanks around it", () => {
    expect(readSecret({ env: "A" }, { A: " planted\n" })?.reveal()).toBe("planted");
    expect(readSecret({ env: "A" }, {})).toBeNull();
    expect(readSecret({ env: "A" }, { A: " \n" })).toBeNull();
  });

  it("from a file, anew each time", () => {
    const file = join(folder, "token");
    expect(readSecret({ file })).toBeNull();
    writeFileSync(file, "one\n", { mode: 0o600 });
    expect(readSecret({ file })?.reveal()).toBe("one");
    writeFileSync(file, "two\n");
    expect(readSecret({ file })?.reveal()).toBe("two");
    writeFileSync(file, "");
    expect(readSecret({ file })).toBeNull();
  });

  it("never from a file that others can read, and never with its text in the error", () => {
    const file = join(folder, "token");
    writeFileSync(file, "planted");
    for (const bits of [0o644, 0o640, 0o604, 0o620]) {
      chmodSync(file, bits);
      expect(() => readSecret({ file })).toThrow(
        expect.objectContaining({ code: "forbidden", hint: `Run chmod 600 ${file}` }),
      );
      expect(() => readSecret({ file })).not.toThrow(/planted/);
    }
  });

  it("~ is the home folder, and a folder is no secret", () => {
    expect(readSecret({ file: "~/.signalbox-there-is-no-such-file" })).toBeNull();
    expect(homedir()).not.toBe("");
    mkdirSync(join(folder, "dir"), { mode: 0o700 });
    expect(() => readSecret({ file: join(folder, "dir") })).toThrow();
  });
});
