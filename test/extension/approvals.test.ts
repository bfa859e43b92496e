import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Frame, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repository } from "../../scripts/source-files.ts";
import type { Client } from "../../service/client/index.ts";
import { type Editor, openView, startEditor, untilSeen, webview } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { askPolicy, deployWorkflow, startDeployer } from "../harness/editor-scene.ts";
import { eventually } from "../harness/eventually.ts";

let editor: Editor;
let client: Client;
let page: Page;
beforeAll(async () => {
  editor = await startEditor({
    serviceFiles: { "policy.toml": askPolicy, "workflows/deploy.lua": deployWorkflow },
    settings: { "signalbox.approvals.person": "alice" },
  });
  ({ page } = editor);
  page.setDefaultTimeout(50_000);
  await openView(editor, "approvals");
  await page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  client = await editor.client();
  await startDeployer(client);
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(() => editor?.close());

const inbox = () => webview(page);
/** The card whose payload holds a text. */
const cardWith = (text: string) => inbox().getByRole("article").filter({ hasText: text });

/** A new effect that waits, and its card. */
async function ask(version: string): Promise<Locator> {
  await client.pushEvent({
    topic: "releases",
    body: `release ${version}`,
    payload: { version, host: "web-1" },
  });
  const card = cardWith(`"version": "${version}"`);
  await card.waitFor();
  return card;
}

/** Presses until the press counts: in the first moments after a card appeared none does. */
async function press(card: Locator, name: string, done: () => Promise<boolean>): Promise<void> {
  await eventually(
    async () => {
      if (await done()) return true;
      const button = card.locator(`[data-name="${name}"]`);
      // It goes away as soon as a press has counted, perhaps while the next one is on its way.
      await button.click({ timeout: 2_000 }).catch(() => {});
      return done();
    },
    Boolean,
    30_000,
  );
}

/** The document of the tab, wherever among the window's webviews it is. */
async function tabOf(window: Page): Promise<Frame> {
  const find = async () => {
    for (const frame of window.frames()) {
      // One that is being loaded has none yet.
      if (
        (await frame
          .locator("body[data-mode=panel]")
          .count()
          .catch(() => 0)) > 0
      )
        return frame;
    }
    return null;
  };
  const found = await eventually(find, (frame) => frame !== null, 100_000);
  if (found === null) throw new Error("there is no tab");
  return found;
}

/** As a person does it: a page that is only fetched again is no window that was closed in an orderly way. */
async function reloadWindow(window: Page): Promise<void> {
  await window.evaluate("window.isBefore = true");
  const name = "Developer: Reload Window";
  const isAfter = () => window.evaluate("!('isBefore' in window)").then(Boolean, () => false);
  const limit = { timeout: 5_000 };
  const reload = async () => {
    await window.keyboard.press("F1");
    const input = window.locator(".quick-input-widget input:not([type=checkbox])").first();
    await input.fill(`>${name}`, limit);
    await window.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().click(limit);
  };
  await untilSeen(reload, isAfter);
  await window.locator(".part.statusbar").waitFor();
}

const stateOf = async (version: string) => {
  const { effects } = await client.listEffects({});
  return effects.find(({ payload }) => payload.version === version)?.state;
};

describe("approvals", () => {
  it("appear in the side bar with a badge, who asks, why and exactly what", async () => {
    const card = await ask("1.0.0");
    const text = await card.textContent();
    for (const part of [
      "workflow:deploy asks",
      "deploy.lua:2",
      '"version": "1.0.0"',
      "command deploy → deployer",
      "message.pushed",
    ])
      expect(text).toContain(part);
    await page.getByRole("button", { name: /1 waiting for you/ }).waitFor();
    await page.locator(".activitybar .badge-content", { hasText: "1" }).waitFor();
  });

  it("R66 are told of by a notification that leads there and can't approve", async () => {
    await editor.call(async (api) => void (await api.commands.executeCommand("notifications.showList")));
    const notice = page.locator(".notification-list-item", { hasText: "workflow:deploy asks" });
    await notice.waitFor();
    expect(await notice.locator(".monaco-button").allInnerTexts()).toEqual(["Show"]);
    await editor.call(async (api) => void (await api.commands.executeCommand("notifications.clearAll")));
  });

  it("R66 are not approved by a key that is pressed in the first moments", async () => {
    const card = cardWith('"version": "2.0.0"');
    await client.pushEvent({
      topic: "releases",
      body: "release 2.0.0",
      payload: { version: "2.0.0", host: "web-1" },
    });
    await card.waitFor();
    await card.locator('[data-name="approve"]').focus();
    await page.keyboard.press("Space");
    await page.keyboard.press("Enter");
    expect(await stateOf("2.0.0")).toBe("waiting");
    const focused = await inbox()
      .locator("body")
      .evaluate((body) => body.ownerDocument.activeElement?.tagName);
    expect(focused).toBe("VSCODE-BUTTON");
  });

  it("R66 U8 are approved by a press, and carried out as they were shown", async () => {
    const card = cardWith('"version": "1.0.0"');
    await press(card, "approve", async () => (await stateOf("1.0.0")) !== "waiting");
    await card.getByText("Approved by you").waitFor();
    await eventually(
      () => stateOf("1.0.0"),
      (state) => state === "succeeded",
    );
    const { effects } = await client.listEffects({ target: "deployer", state: "succeeded" });
    const approval = await client.getApproval({ approval: effects[0]?.id ?? "" });
    expect(approval.decision).toMatchObject({ decision: "approve", by: "alice" });
  });

  it("show what differs from the last one that was allowed", async () => {
    const card = await ask("3.0.0");
    const difference = card.getByRole("table", { name: /What differs/ });
    await difference.waitFor();
    expect(await difference.textContent()).toMatch(/version\s+"1\.0\.0"\s+"3\.0\.0"/);
  });

  it("R68 are denied with a reason, which survives that the view is hidden", async () => {
    const card = cardWith('"version": "3.0.0"');
    await card.locator('[data-name="deny"]').click();
    await card.locator('[data-name="reason"]').locator("input").fill("not on a Friday");
    await openView(editor, "events");
    await editor.call(async (api) => void (await api.commands.executeCommand("workbench.view.explorer")));
    await openView(editor, "approvals");
    const again = cardWith('"version": "3.0.0"');
    const field = again.locator('[data-name="reason"]').locator("input");
    await eventually(
      () => field.inputValue(),
      (value) => value === "not on a Friday",
    );
    await press(again, "deny-now", async () => (await stateOf("3.0.0")) === "denied");
    await again.getByText("not on a Friday").waitFor();
  });

  it("say who decided, when it was somebody else", async () => {
    const card = await ask("4.0.0");
    const { approvals } = await client.listApprovals({});
    const waiting = approvals.find(({ effect }) => effect.payload.version === "4.0.0");
    await client.decideApproval({
      approval: waiting?.effect.id ?? "",
      sha256: waiting?.effect.sha256 ?? "",
      decision: "deny",
      reason: "from the train",
      by: "bob",
    });
    await card.getByText("Denied by bob").waitFor();
    expect(await card.locator('[data-name="approve"]').count()).toBe(0);
  });

  it("U8 are remembered for exactly what was approved, by a rule that was read before", async () => {
    const propose = (version: string) =>
      client.proposeEffect({
        kind: "command",
        target: "restarter",
        action: "restart",
        payload: { version },
        summary: "Restart, it hangs",
        source: "reviewer",
      });
    await propose("5.0.0");
    const card = cardWith('"version": "5.0.0"');
    await card.getByText("Restart, it hangs").waitFor();
    await card.locator('[data-name="propose"]').click();
    const rule = card.getByRole("region", { name: "Rule" });
    expect(await rule.textContent()).toMatch(
      /command restart → restarter, with exactly this payload.*reviewer/,
    );
    await press(card, "remember-30", async () => (await stateOf("5.0.0")) !== "waiting");
    expect(readFileSync(join(editor.home, "policy.toml"), "utf8")).toMatch(/remembered:.*sha256/s);
  });

  it("show text from outside as text", async () => {
    const version = '<img src=x onerror="document.title=1"><b>bold</b>';
    await client.pushEvent({ topic: "releases", body: "markup", payload: { version, host: "web-3" } });
    const card = cardWith("<b>bold</b>");
    await card.waitFor();
    expect(await card.locator("img, b").count()).toBe(0);
    expect(await card.locator("pre").first().textContent()).toContain("<b>bold</b>");
  });

  it("stand in a tab too, many at once only where they are alike", async () => {
    await editor.call(async (api) => void (await api.commands.executeCommand("signalbox.approvals.open")));
    const panel = webview(page, 1);
    await panel.getByRole("table", { name: "Waiting for you" }).waitFor();
    const boxes = panel.getByRole("checkbox");
    for (const box of await boxes.all()) await box.check();
    await panel.getByRole("button", { name: /Approve These \d/ }).waitFor();
    await panel.getByRole("table", { name: "Decided" }).waitFor();
    expect(await panel.getByRole("table", { name: "Decided" }).textContent()).toContain("bob");
  });

  it("R66 show who, why, what and the buttons in a narrow and low side bar, and approve nothing unseen", async () => {
    await page.setViewportSize({ width: 800, height: 600 });
    await editor.call(
      async (api) => void (await api.commands.executeCommand("workbench.action.closeAllEditors")),
    );
    const version = "6.0.0";
    const card = await ask(version);
    const body = inbox().locator("body");
    await eventually(
      () => body.evaluate((element) => element.ownerDocument.documentElement.clientHeight),
      (height) => height < 300,
    );
    await card.evaluate((element) => element.scrollIntoView({ block: "start" }));
    const outside = await card.evaluate((element) => {
      const { clientWidth, clientHeight } = element.ownerDocument.documentElement;
      const parts = ["h2", ".who", ".because", ".what", '[data-name="approve"]', '[data-name="deny"]'];
      return parts.filter((part) => {
        const box = element.querySelector(part)?.getBoundingClientRect();
        return !box || box.top < 0 || box.bottom > clientHeight || box.right > clientWidth;
      });
    });
    expect(outside).toEqual([]);
    expect(await body.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
    // The payload is below: the first press that could count brings it into sight instead.
    const payload = card.locator("pre").first();
    const isShown = () =>
      payload.evaluate((element) => {
        const bar = element.closest("article")?.querySelector(".actions")?.getBoundingClientRect();
        return element.getBoundingClientRect().top < (bar?.top ?? 0);
      });
    expect(await isShown()).toBe(false);
    await eventually(async () => {
      if (!(await isShown())) await card.locator('[data-name="approve"]').click();
      return isShown();
    });
    expect(await stateOf(version)).toBe("waiting");
    await press(card, "approve", async () => (await stateOf(version)) !== "waiting");
    await page.setViewportSize({ width: 1280, height: 800 });
    await editor.call(async (api) => void (await api.commands.executeCommand("signalbox.approvals.open")));
    await webview(page, 1).getByRole("article").first().waitFor();
  });

  it("are in their tab again after the window was loaded anew, with what was open there", async () => {
    await ask("7.0.0");
    await ask("8.0.0");
    const other = await editor.openWindow();
    await other.getByRole("tab", { name: "Signalbox" }).first().click();
    await other.locator(".pane-header", { hasText: "Approvals" }).first().hover();
    await other.getByRole("button", { name: "Open Approvals" }).first().click();
    const opened = await tabOf(other);
    await opened.getByRole("row").filter({ hasText: '"version": "8.0.0"' }).locator("button.link").click();
    await opened.getByRole("article").filter({ hasText: '"version": "8.0.0"' }).waitFor();
    await reloadWindow(other);
    const restored = await tabOf(other);
    const card = restored.getByRole("article").filter({ hasText: '"version": "8.0.0"' });
    await card.waitFor();
    expect(await restored.getByRole("article").count()).toBe(1);
    // It is no picture of what was: it decides.
    await press(card, "approve", async () => (await stateOf("8.0.0")) !== "waiting");
    await other.close();
  }, 240_000);

  it("hold no token, load nothing from elsewhere, and have nothing serious for axe in any theme", async () => {
    const axe = readFileSync(join(repository, "node_modules/axe-core/axe.min.js"), "utf8");
    const token = readFileSync(join(editor.home, "token"), "utf8").trim();
    for (const theme of ["Light 2026", "Dark 2026", "Default High Contrast"]) {
      await editor.call(
        async (api, name) =>
          void (await api.workspace
            .getConfiguration("workbench")
            .update("colorTheme", name, api.ConfigurationTarget.Global)),
        theme,
      );
      for (const frame of [webview(page), webview(page, 1)]) {
        const body = frame.locator("body");
        const kind =
          { "Light 2026": "vscode-light", "Dark 2026": "vscode-dark" }[theme] ?? "vscode-high-contrast";
        await eventually(
          () => body.getAttribute("data-vscode-theme-kind"),
          (value) => value === kind,
        );
        expect(
          await body.evaluate((element) => element.ownerDocument.documentElement.outerHTML),
        ).not.toContain(token);
        const found = await body.evaluate(async (_, source) => {
          // The page's own policy lets no script in: the debugger's evaluation is not bound by it.
          new Function(source)();
          const { axe: engine } = globalThis as unknown as {
            axe: {
              run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>;
            };
          };
          const { violations } = await engine.run();
          return violations
            .filter(({ impact }) => impact === "serious" || impact === "critical")
            .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
        }, axe);
        expect(found, theme).toEqual([]);
      }
    }
  });

  it("are bundled in less than 200 KB", async () => {
    const size = readFileSync(join(repository, "dist/extension/webview/main.js")).byteLength;
    expect(size).toBeLessThan(200_000);
  });
});
