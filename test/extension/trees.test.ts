import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { chooseFromMenu, type Editor, openView, startEditor, untilSeen } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { startDeployer } from "../harness/editor-scene.ts";
import { eventually } from "../harness/eventually.ts";

let editor: Editor;
let client: Client;
let page: Page;
beforeAll(async () => {
  editor = await startEditor({
    serviceFiles: { "workflows/hello.lua": 'signalbox.on("a.>", function(event) end)\n' },
    settings: { "signalbox.events.pageSize": 20 },
    // Every view has room for its rows.
    size: { width: 1280, height: 1500 },
  });
  ({ page } = editor);
  page.setDefaultTimeout(50_000);
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(async () => {
  client?.close();
  await editor?.close();
});

const run = (command: string) =>
  editor.call(async (api, id) => void (await api.commands.executeCommand(id)), command);
const row = (name: RegExp): Locator => page.getByRole("treeitem", { name }).first();
const quickInput = () => page.locator(".quick-input-widget");
const pick = (label: string | RegExp) =>
  quickInput().locator(".monaco-list-row", { hasText: label }).first().click();
async function type(prompt: string | RegExp, text: string): Promise<void> {
  await quickInput().getByText(prompt).first().waitFor();
  await quickInput().locator("input:not([type=checkbox])").first().fill(text);
  await page.keyboard.press("Enter");
}
const choose = (name: RegExp, action: string, isSeen: () => Promise<boolean>) =>
  chooseFromMenu(editor, row(name), action, isSeen);
const isThere = (locator: Locator) => async () => (await locator.count()) > 0;

describe("the events view", () => {
  it("says that nothing has happened yet, with what to do", async () => {
    await openView(editor, "events");
    await page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
    client = await editor.client();
    await page.getByText("Nothing has happened yet").waitFor();
    await page.getByRole("button", { name: "Push Event" }).first().waitFor();
  });

  it("shows an event as it arrives, newest first", async () => {
    await client.pushEvent({ topic: "inbox", body: "Good morning" });
    await row(/message\.pushed, Good morning, pending/).waitFor();
    await client.pushEvent({ topic: "inbox", body: "Good evening", correlation_id: "talk" });
    await row(/Good evening/).waitFor();
    const labels = await eventually(
      () =>
        page
          .getByRole("tree", { name: /Events/ })
          .getByRole("treeitem")
          .allTextContents(),
      (texts) => texts.length >= 2,
    );
    expect(labels[0]).toContain("Good evening");
  });

  it("follows what becomes of an event", async () => {
    const { claimed } = await client.claimEvents({ topic: "inbox", agent: "@bob" });
    await row(/Good morning, processing/).waitFor();
    await client.completeClaim({ event_id: claimed[0]?.event.id ?? "" });
    await row(/Good morning, completed/).waitFor();
  });

  it("pages to any depth, in pages that stay as they are", async () => {
    await client.pushEvents({
      events: Array.from({ length: 130 }, (_, index) => ({ type: "load.made", body: `load ${index}` })),
    });
    await row(/load 129/).waitFor();
    await run("signalbox.events.clearFilter");
    // The list draws only what is in sight, and this row moves while events come: so it is pressed by its command.
    for (let pages = 0; pages < 8; pages++) await run("signalbox.events.more");
    const tree = page.getByRole("tree", { name: /Events/ });
    const oldest = tree.locator(".monaco-list-row", { hasText: " – " }).last();
    await eventually(async () => {
      await tree.focus();
      await page.keyboard.press("End");
      return oldest.count();
    });
    // All of it is there: nothing is left to load.
    await eventually(
      () => page.getByRole("treeitem", { name: "Load Older Events" }).count(),
      (count) => count === 0,
    );
  });

  it("M7 filters by words of the full text, says so, and clears it again", async () => {
    void run("signalbox.events.filter");
    await pick("Words in the text");
    await type("Empty: any", "evening");
    await row(/Good evening/).waitFor();
    await eventually(
      () => row(/load/).count(),
      (count) => count === 0,
    );
    await page.getByText("“evening”").first().waitFor();
    await client.pushEvent({ topic: "inbox", body: "another evening" });
    await row(/another evening/).waitFor();
    await run("signalbox.events.clearFilter");
    await row(/load/).waitFor();
  });

  it("says so where the filter finds nothing", async () => {
    void run("signalbox.events.filter");
    await pick("Type");
    await type("Empty: any", "no.such.type");
    await page.getByText("No event matches the filter").waitFor();
    await page.getByRole("button", { name: "Clear Filter" }).first().click();
    await row(/load/).waitFor();
  });

  it("M8 claims and answers as a person", async () => {
    void run("signalbox.events.filter");
    await pick("Topic");
    await type("Empty: any", "inbox");
    const isClaimed = async () =>
      (await client.findEvents({ topic: "inbox", status: "processing" })).events.length > 0;
    await choose(/another evening|Good evening/, "Claim Event", isClaimed);
    await page.locator('.monaco-editor[data-uri^="signalbox-event"]').waitFor();
    const claimed = await client.findEvents({ topic: "inbox", status: "processing" });
    expect(claimed.events).toHaveLength(1);
    const prompt = quickInput().getByText("The answer is an event too").first();
    const reply = () =>
      editor.call((api) => {
        const uri = api.window.activeTextEditor?.document.uri;
        // It becomes the active one a moment after it is shown.
        if (uri?.scheme === "signalbox-event") void api.commands.executeCommand("signalbox.event.reply", uri);
      });
    await untilSeen(reply, () => prompt.isVisible());
    await type("The answer is an event too", "Good night");
    await eventually(
      async () => (await client.findEvents({ type: "message.replied" })).events.map(({ body }) => body),
      (bodies) => bodies.includes("Good night"),
    );
    await run("signalbox.events.clearFilter");
  });
});

describe("the topics view", () => {
  it("counts, and empties only after a question", async () => {
    await openView(editor, "topics");
    await row(/inbox.*pending/).waitFor();
    // A window with the tests' bridge shows no dialogs; another one does.
    const other = await editor.openWindow();
    await other.getByRole("tab", { name: "Signalbox" }).first().click();
    const inbox = other.getByRole("treeitem", { name: /^inbox/ }).first();
    await inbox.waitFor();
    const dialog = other.locator(".monaco-dialog-box");
    const purge = async (button: string) => {
      const choice = other.locator(".quick-input-widget .monaco-list-row", { hasText: "pending" }).first();
      await chooseFromMenu({ page: other }, inbox, "Purge Topic…", () => choice.isVisible());
      await choice.click();
      await dialog.getByText(/Purge \d+ pending deliveries of inbox/).waitFor();
      await dialog.getByRole("button", { name: button, exact: true }).click();
      await dialog.waitFor({ state: "detached" });
    };
    const pending = async () => (await client.getTopic({ topic: "inbox" })).counts.pending;
    await purge("Cancel");
    expect(await pending()).toBeGreaterThan(0);
    await purge("Purge");
    await eventually(pending, (count) => count === 0);
    await other.close();
  });

  it("pauses and goes on", async () => {
    const isPaused = async () => (await client.getTopic({ topic: "inbox" })).paused;
    await choose(/^inbox/, "Pause Topic", isPaused);
    await row(/inbox.*paused/).waitFor();
    await choose(/^inbox/, "Resume Topic", async () => !(await isPaused()));
  });

  it("M9 edits the prompt as a document", async () => {
    const shown = page.locator('.monaco-editor[data-uri^="signalbox-prompt"]');
    await choose(/^inbox/, "Edit Prompt", isThere(shown));
    await eventually(() =>
      editor.call((api) => api.window.activeTextEditor?.document.uri.scheme === "signalbox-prompt"),
    );
    await editor.call(async (api) => {
      const active = api.window.activeTextEditor;
      await active?.edit((edit) => edit.insert(new api.Position(0, 0), "You answer kindly."));
      await active?.document.save();
    });
    await eventually(
      async () => (await client.getTopic({ topic: "inbox" })).prompt,
      (prompt) => prompt === "You answer kindly.",
    );
  });

  it("U15 makes dead letters claimable again", async () => {
    await client.createTopic({ name: "doomed", max_attempts: 1 });
    const { event_id } = await client.pushEvent({ topic: "doomed", body: "hopeless" });
    await client.claimEvents({ topic: "doomed", agent: "@bob" });
    await client.failClaim({ event_id, error: "no" });
    await row(/doomed.*1 dead/).waitFor();
    await choose(/^doomed/, "Redrive Dead Letters", async () => {
      const { counts } = await client.getTopic({ topic: "doomed" });
      return counts.dead === 0 && counts.pending === 1;
    });
  });
});

describe("the agents view", () => {
  it("shows an agent with its state and commands, and runs one by a form", async () => {
    await startDeployer(client);
    await openView(editor, "agents");
    await row(/deployer, online/).waitFor();
    const command = page.locator(".monaco-list-row", { hasText: "Deploy a version" }).first();
    await untilSeen(() => row(/deployer, online/).click(), isThere(command));
    const form = quickInput().getByText("version").first();
    await chooseFromMenu(editor, command, "Run Command…", () => form.isVisible());
    await type("version", "3.2.1");
    await pick("web-2");
    await eventually(
      async () => (await client.listEffects({ target: "deployer", state: "succeeded" })).effects,
      (effects) => effects.some(({ payload }) => payload.version === "3.2.1" && payload.host === "web-2"),
    );
  });

  it("says when it is gone", async () => {
    await client.goOffline({ agent: "deployer" });
    await row(/deployer, offline/).waitFor();
  });
});

describe("the other views", () => {
  it("lead from a workflow to the line of its handler", async () => {
    await openView(editor, "workflows");
    const handler = row(/^a\.>/);
    await untilSeen(() => row(/hello, active/).click(), isThere(handler));
    await untilSeen(() => handler.click(), isThere(page.locator('.monaco-editor[data-uri$="hello.lua"]')));
  });

  it("disable and enable a workflow", async () => {
    const state = async () => (await client.getWorkflow({ workflow: "hello" })).state;
    await choose(/hello, active/, "Disable Workflow", async () => (await state()) === "disabled");
    await row(/hello, disabled/).waitFor();
    await choose(/hello, disabled/, "Enable Workflow", async () => (await state()) === "active");
    await row(/hello, active/).waitFor();
  });

  it("stand as tests, each handler a dry run on the newest event that it hears", async () => {
    await client.pushEvent({ type: "a.b", body: "for the test" });
    await run("workbench.view.testing.focus");
    await row(/hello/).waitFor();
    await untilSeen(() => run("testing.runAll"), isThere(row(/hello.*passed/i)));
    const { runs } = await client.listRuns({ workflow: "hello" });
    expect(runs.length).toBeLessThanOrEqual(1);
  });

  it("pause a schedule", async () => {
    await client.createSchedule({ name: "nightly", cron: "0 3 * * *", time_zone: "UTC" });
    await openView(editor, "schedules");
    await row(/^nightly/).waitFor();
    const isPaused = async () =>
      (await client.listSchedules({})).schedules.some(
        ({ name, state }) => name === "nightly" && state === "paused",
      );
    await choose(/^nightly/, "Pause Schedule", isPaused);
    await row(/nightly.*paused/).waitFor();
  });

  it("settle what happened while one was away", async () => {
    await openView(editor, "away");
    const items = await client.getAway({ by: "me" });
    expect(items.items.length).toBeGreaterThan(0);
    await run("signalbox.away.seen");
    await page.getByText("Nothing happened that needs you").waitFor();
  });
});

describe("a window with 10,000 events", () => {
  it("draws a burst of them in a few batches, and asks the service once for hundreds of them", async () => {
    await openView(editor, "events");
    await run("signalbox.events.clearFilter");
    await editor.call((_api, _arg, load) => {
      const { subscribe } = load("node:diagnostics_channel") as typeof import("node:diagnostics_channel");
      const counter = globalThis as { asked?: number };
      counter.asked = 0;
      subscribe("http.client.request.start", () => {
        counter.asked = (counter.asked ?? 0) + 1;
      });
    });
    for (let batch = 0; batch < 10; batch++)
      await client.pushEvents({
        events: Array.from({ length: 1_000 }, (_, index) => ({
          type: "burst.made",
          body: `burst ${batch}-${index}`,
        })),
      });
    await row(/burst 9-999/).waitFor();
    const asked = await editor.call(() => (globalThis as { asked?: number }).asked ?? 0);
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThan(200);
    const log = readFileSync(join(editor.home, "service.log"), "utf8");
    expect(log).not.toContain('"level":50');
  });

  it("holds their rows in sections that are read when they are opened", async () => {
    const tree = page.getByRole("tree", { name: /Events/ });
    await run("signalbox.events.more");
    const inside = tree.locator('.monaco-list-row[aria-level="2"]').first();
    await untilSeen(async () => {
      await tree.focus();
      // Below the last section is the row that loads more.
      for (const key of ["End", "ArrowUp", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
    }, isThere(inside));
  });
});
