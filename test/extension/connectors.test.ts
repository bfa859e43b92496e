import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { type Editor, openView, startEditor } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { eventually } from "../harness/eventually.ts";

/** GitHub as it is on a bad day: it says what `status` is, and counts how often it was asked. */
let asked = 0;
let status = 401;
const github = createServer((_, response) => {
  asked += 1;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(status === 200 ? "[]" : '{"message":"Bad credentials"}');
});

let editor: Editor;
let client: Client | undefined;
let page: Page;
beforeAll(async () => {
  await new Promise<void>((resolve) => github.listen(0, "127.0.0.1", resolve));
  const { port } = github.address() as AddressInfo;
  editor = await startEditor({
    serviceFiles: {
      "config.toml": [
        "[log]",
        'level = "info"',
        "",
        "[connectors.github]",
        'token = { env = "SIGNALBOX_TRIAL_TOKEN" }',
        'webhook_secret = { file = "/no/such/file" }',
        `api_url = "http://127.0.0.1:${port}"`,
        "poll = true",
        "poll_interval_ms = 3600000",
        "",
        "[connectors.webhook]",
        "enabled = true",
        "",
      ].join("\n"),
    },
    size: { width: 1280, height: 1000 },
  });
  ({ page } = editor);
  page.setDefaultTimeout(50_000);
  await openView(editor, "agents");
  await page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(async () => {
  client?.close();
  await editor?.close();
  github.closeAllConnections();
  github.close();
});

const run = (command: string) =>
  editor.call(async (api, id) => void (await api.commands.executeCommand(id)), command);
const row = (name: RegExp) => page.getByRole("treeitem", { name }).first();
const input = () => page.locator(".quick-input-widget input:not([type=checkbox])").first();

/** Presses the button at the end of a connector's row. */
async function mend(name: RegExp): Promise<void> {
  await row(name).hover();
  await row(name).getByRole("button", { name: "Mend Connection…" }).click();
}

async function enterSecret(value: string): Promise<void> {
  await page.getByText(/SIGNALBOX_TRIAL_TOKEN is kept in the editor's secret storage/).waitFor();
  await input().fill(value);
  await page.keyboard.press("Enter");
  // Toasts hide by themselves; the list of notifications stays.
  await run("notifications.showList");
  const notice = page.locator(".notification-list-item", { hasText: "The service gets it when it starts." });
  await notice.getByRole("button", { name: "Restart Service" }).first().click();
}

describe("a connector that does not work", () => {
  it("lacks a secret: its button asks for it by the name of its variable, and the service gets it", async () => {
    await row(/GitHub, lacks a secret, .*SIGNALBOX_TRIAL_TOKEN/).waitFor();
    await mend(/GitHub, lacks a secret/);
    await enterSecret("first-token");
    await row(/github-agent, failed/).waitFor();
    expect(asked).toBeGreaterThan(0);
  });

  it("has a secret that is no longer accepted: its button asks for another", async () => {
    status = 500;
    await mend(/github-agent, failed/);
    await enterSecret("second-token");
    await row(/github-agent, degraded/).waitFor();
  });

  it("was lost: its button connects at once, without the pause", async () => {
    const service = await editor.client();
    client = service;
    const state = async () => (await service.getStatus()).connectors.find(({ id }) => id === "github")?.state;
    status = 200;
    await mend(/github-agent, degraded/);
    await eventually(state, (found) => found === "ready");
    await row(/github-agent, online/).waitFor();
    await row(/github-agent, online/).hover();
    expect(
      await row(/github-agent, online/)
        .getByRole("button", { name: "Mend Connection…" })
        .count(),
    ).toBe(0);
  });

  it("is set up wrongly: its button opens the settings at its lines", async () => {
    await mend(/Webhooks, not set up/);
    const place = await eventually(
      () =>
        editor.call((api) => {
          const shown = api.window.activeTextEditor;
          return shown?.document.fileName.endsWith("config.toml") === true
            ? shown.document.lineAt(shown.selection.active.line).text
            : null;
        }),
      (text) => text !== null && text !== "[log]",
    );
    expect(place).toBe("enabled = true");
  });
});
