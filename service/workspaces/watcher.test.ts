import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ManualClock, manualClock } from "../../test/harness/clock.ts";
import { eventually } from "../../test/harness/eventually.ts";
import type { NewEvent } from "../contract/events.ts";
import { silentLog } from "../lib/log.ts";
import { type WorkspaceWatcher, watchWorkspaces, workspaceNames } from "./watcher.ts";

let dir: string;
let clock: ManualClock;
let told: NewEvent[];
let watcher: WorkspaceWatcher;
let refuses = false;

beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), "signalbox-notes-")), "notes");
  mkdirSync(dir);
  clock = manualClock();
  told = [];
  refuses = false;
});
afterEach(async () => {
  await watcher.close();
  rmSync(join(dir, ".."), { recursive: true, force: true });
});

function start(dirs = [dir]): void {
  const publish = async (event: NewEvent) => {
    if (refuses) throw new Error("the disk is full");
    told.push(event);
  };
  watcher = watchWorkspaces({ dirs, debounceMs: 500, clock, log: silentLog, publish });
}

const write = (path: string, text: string) => {
  mkdirSync(join(dir, path, ".."), { recursive: true });
  writeFileSync(join(dir, path), text);
};
/** Waits until the change was noticed, then lets the quiet time pass. */
async function noticed(ms = 500): Promise<void> {
  await eventually(() => clock.pending > 0);
  clock.advance(ms);
}
const toldOf = (count: number) =>
  eventually(
    () => told,
    (events) => events.length >= count,
  );

describe("a folder of notes", () => {
  it("R3 R50 tells of a changed Markdown file once it is quiet, with its workspace as scope", async () => {
    start();
    write("todo.md", "one");
    await eventually(() => clock.pending > 0);
    clock.advance(499);
    expect(told).toEqual([]);
    clock.advance(1);
    const [event] = await toldOf(1);
    expect(event).toMatchObject({
      type: "markdown.updated",
      scope: "notes",
      payload: { path: "todo.md", workspace: "notes", file: join(dir, "todo.md"), change: "updated" },
    });
  });

  it("R3 sees folders that are made later, and files that are moved there or removed", async () => {
    start();
    write("a/b/deep.md", "x");
    await noticed();
    await toldOf(1);
    clock.advance(30_000);
    renameSync(join(dir, "a/b/deep.md"), join(dir, "a/moved.md"));
    const seen = async () => {
      clock.advance(500);
      return told.slice(1).map(({ payload }) => `${payload?.path} ${payload?.change}`);
    };
    const changes = await eventually(seen, (all) => all.length >= 2);
    expect(changes.sort()).toEqual(["a/b/deep.md removed", "a/moved.md updated"]);
  });

  it("B16 tells of one file at most every 30 s, and always of its last state", async () => {
    start();
    write("busy.md", "0");
    await noticed();
    await toldOf(1);
    for (let n = 1; n <= 3; n++) {
      write("busy.md", String(n));
      await noticed(9_000);
      expect(told).toHaveLength(1);
    }
    write("other.md", "not held back");
    await eventually(() => clock.pending > 1);
    clock.advance(500);
    expect((await toldOf(2))[1]?.payload?.path).toBe("other.md");
    clock.advance(2_500);
    expect((await toldOf(3))[2]?.payload?.path).toBe("busy.md");
    expect(told).toHaveLength(3);
  });

  it("B16 says nothing of a file that was saved as it was", async () => {
    start();
    write("same.md", "text");
    await noticed();
    await toldOf(1);
    clock.advance(30_000);
    write("same.md", "text");
    await noticed();
    write("else.md", "text");
    await noticed();
    expect((await toldOf(2))[1]?.payload?.path).toBe("else.md");
  });

  it("R3 leaves other files, hidden folders, packages, and what programs write alone", async () => {
    start();
    for (const path of [
      "a.txt",
      ".git/x.md",
      "node_modules/p/README.md",
      "logs/chats/1.md",
      "ops/heartbeat.md",
    ])
      write(path, "x");
    write("sub/logs/kept.md", "x");
    await noticed();
    await toldOf(1);
    clock.advance(60_000);
    expect(told.map(({ payload }) => payload?.path)).toEqual(["sub/logs/kept.md"]);
  });

  it("R3 tells again what could not be recorded", async () => {
    start();
    refuses = true;
    write("kept.md", "x");
    await noticed();
    await eventually(() => clock.pending > 0);
    refuses = false;
    clock.advance(30_000);
    expect(await toldOf(1)).toHaveLength(1);
  });

  it("R53 says which folder is missing, and watches it when it comes", async () => {
    const later = join(dir, "later");
    start([dir, later]);
    expect(watcher.check()).toEqual([`there is no folder ${later}`]);
    mkdirSync(later);
    expect(watcher.check()).toEqual([]);
    writeFileSync(join(later, "new.md"), "x");
    await noticed();
    expect((await toldOf(1)).map(({ scope }) => scope)).toContain("later");
    rmSync(later, { recursive: true });
    expect(watcher.check()).toEqual([`there is no folder ${later}`]);
  });
});

it("R3 workspaces are named after their folders, with more of the path where two are the same", () => {
  watcher = watchWorkspaces({ dirs: [], debounceMs: 1, clock, log: silentLog, publish: async () => {} });
  expect(workspaceNames(["/x/notes/", "/x/work", "/x/notes"])).toEqual([
    ["/x/notes", "notes"],
    ["/x/work", "work"],
  ]);
  expect(workspaceNames(["/a/notes", "/b/notes", "/b/other"])).toEqual([
    ["/a/notes", "a/notes"],
    ["/b/notes", "b/notes"],
    ["/b/other", "other"],
  ]);
});
