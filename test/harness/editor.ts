/** The real VS Code with the packed extension in it, driven by a real browser: see docs/vscode.md, "Testing it". */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type Browser,
  type BrowserContext,
  chromium,
  type FrameLocator,
  type Locator,
  type Page,
  errors as playwrightErrors,
} from "playwright-core";
import type * as vscode from "vscode";
import {
  editorCacheDir,
  findChromium,
  findEditorServer,
  missingForEditor,
} from "../../scripts/editor-cache.ts";
import { repository, sourceFiles } from "../../scripts/source-files.ts";
import { platformHere } from "../../scripts/sqlite-binary.ts";
import { type Client, connect } from "../../service/client/index.ts";
import { startDesktop } from "./editor-desktop.ts";
import { eventually } from "./eventually.ts";

/** Loading takes 6 to 13 s on two idle cores; a limit against hangs, never a measure. */
const LOAD_TIMEOUT_MS = 120_000;
export const STEP_TIMEOUT_MS = 60_000;
/** After so long a gesture begins anew. */
const GESTURE_TIMEOUT_MS = 8_000;
/** So long a gesture that was made is given to have its effect. */
const EFFECT_TIMEOUT_MS = 8_000;

/** A language that nobody speaks, so that no language pack is asked for. */
const PSEUDO_LOCALE = "qps-ploc";

const bridgeFolder = join(repository, "test/harness/editor-bridge");

export interface EditorOptions {
  /** Files of the folder that is opened, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Settings besides those that keep the window quiet. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** True: the folder is not trusted. */
  readonly isRestricted?: boolean;
  /** Packed extensions that are installed besides. */
  readonly extensions?: readonly string[];
  /** Of the service; put there before the window opens. */
  readonly serviceFiles?: Readonly<Record<string, string>>;
  readonly size?: { readonly width: number; readonly height: number };
  /** The extension in a language of its own, made by this of its English words. With VS Code's server only. */
  readonly translate?: (words: string) => string;
}

export interface Editor {
  readonly page: Page;
  /** Where the service keeps everything. */
  readonly home: string;
  readonly folder: string;
  /** Runs a function in the extension host; it sees its two arguments and nothing of this file. */
  call<A, R>(
    run: (api: typeof vscode, arg: A, load: (name: string) => unknown) => R | Promise<R>,
    arg?: A,
  ): Promise<R>;
  /** A client of the service that the extension has started; it starts none itself. */
  client(): Promise<Client>;
  /** Another window on the same folder, without the bridge. */
  openWindow(): Promise<Page>;
  close(): Promise<void>;
}

export async function startEditor(options: EditorOptions = {}): Promise<Editor> {
  if (process.env.SIGNALBOX_E2E_DESKTOP) return startOnDesktop(process.env.SIGNALBOX_E2E_DESKTOP, options);
  const missing = missingForEditor();
  if (missing !== null) throw new Error(`${missing} is missing: npm run setup:e2e`);
  const root = mkdtempSync(join(tmpdir(), "signalbox-editor-"));
  const place = prepare(root, options);
  const server = await startServer(root, place, options);
  let browser: Browser | undefined;
  try {
    browser = await launchBrowser();
    const context = await browser.newContext({
      viewport: { ...(options.size ?? { width: 1280, height: 800 }) },
      reducedMotion: "reduce",
    });
    if (options.translate !== undefined) {
      // As the editor's own page says it where a language pack is installed.
      const language = `globalThis._VSCODE_NLS_LANGUAGE = ${JSON.stringify(PSEUDO_LOCALE)};`;
      await context.addInitScript({ content: language });
    }
    const page = await openPage(context, server.url, place, true);
    const stop = async () => {
      await browser?.close();
      await stopServer(server.child);
    };
    return editorOf({
      root,
      place,
      page,
      stop,
      openWindow: () => openPage(context, server.url, place, false),
    });
  } catch (error) {
    await browser?.close();
    await stopServer(server.child);
    rmSync(root, { recursive: true, force: true });
    throw error;
  }
}

/** @param version as `1.139.1`; see editor-desktop.ts */
async function startOnDesktop(version: string, options: EditorOptions): Promise<Editor> {
  const root = mkdtempSync(join(tmpdir(), "signalbox-editor-"));
  const place = prepare(root, options);
  const desktop = await startDesktop({
    version,
    ...place,
    vsix: [...(options.extensions ?? []), vsixFile()],
    bridge: { extension: bridgeFolder, run: join(bridgeFolder, "run.cjs") },
    env: editorEnvironment(place),
    isRestricted: options.isRestricted === true,
    askForWindow: async () => {
      await ask(place.bridge, `return vscode.commands.executeCommand("workbench.action.newWindow")`, null);
    },
  });
  desktop.page.setDefaultTimeout(STEP_TIMEOUT_MS);
  await untilAnswers(place.bridge);
  return editorOf({ root, place, page: desktop.page, openWindow: desktop.openWindow, stop: desktop.close });
}

interface Place {
  readonly home: string;
  readonly folder: string;
  readonly user: string;
  readonly extensions: string;
  readonly bridge: string;
}

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
}

function prepare(root: string, options: EditorOptions): Place {
  const place = {
    home: join(root, "home"),
    folder: join(root, "project"),
    user: join(root, "user"),
    extensions: join(root, "extensions"),
    bridge: join(root, "bridge.sock"),
  };
  mkdirSync(place.home, { mode: 0o700 });
  write(place.home, options.serviceFiles ?? {});
  write(place.folder, { "README.md": "# A project\n", ...options.files });
  write(place.user, {
    "User/settings.json": JSON.stringify({ ...quietSettings(options), ...options.settings }),
  });
  writeFileSync(join(root, "config.yaml"), "auth: none\ncert: false\n");
  return place;
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Nothing that moves, asks, or fetches. */
function quietSettings(options: EditorOptions): Record<string, unknown> {
  return {
    "chat.disableAIFeatures": true,
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.enableExperiments": false,
    "workbench.tips.enabled": false,
    "extensions.autoUpdate": false,
    "extensions.autoCheckUpdates": false,
    "telemetry.telemetryLevel": "off",
    "git.enabled": false,
    "editor.wordBasedSuggestions": "off",
    "security.workspace.trust.enabled": options.isRestricted === true,
    "window.commandCenter": false,
  };
}

export const vsixFile = (): string => {
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
    version: string;
  };
  const file = join(repository, `dist/signalbox-${platformHere()}-${version}.vsix`);
  if (!existsSync(file)) throw new Error(`${file} is not there: npm run package`);
  warnOfOld(file);
  return file;
};

/** Beside the installed extension's English words, where the editor looks for those of another language. */
function putTranslation(place: Place, translate: (words: string) => string): void {
  const name = readdirSync(place.extensions).find((one) => one.startsWith("signalbox.signalbox-")) ?? "";
  const extension = join(place.extensions, name);
  const texts = (file: string) =>
    JSON.parse(readFileSync(join(extension, file), "utf8")) as Record<string, string>;
  const translated = (file: string) =>
    JSON.stringify(
      Object.fromEntries(Object.entries(texts(file)).map(([key, text]) => [key, translate(text)])),
    );
  const words = translated("l10n/bundle.l10n.json");
  writeFileSync(join(extension, `l10n/bundle.l10n.${PSEUDO_LOCALE}.json`), words);
  writeFileSync(join(extension, `package.nls.${PSEUDO_LOCALE}.json`), translated("package.nls.json"));
}

/** A package from before a change fails in ways that nobody understands. */
function warnOfOld(file: string): void {
  const packed = statSync(file).mtimeMs;
  const newer = sourceFiles(/^(extension|webview|service)\/.*\.(ts|json|css)$/).find(
    ({ path }) => !path.endsWith(".test.ts") && statSync(join(repository, path)).mtimeMs > packed,
  );
  if (newer !== undefined)
    process.stderr.write(`the package is older than ${newer.path}, if need be: npm run package\n`);
}

async function startServer(root: string, place: Place, options: EditorOptions): Promise<Server> {
  const found = findEditorServer();
  if (found === null) throw new Error("VS Code's server is missing");
  const common = [
    "--config",
    join(root, "config.yaml"),
    "--user-data-dir",
    place.user,
    "--extensions-dir",
    place.extensions,
  ];
  const env = { ...editorEnvironment(place), EXTENSIONS_GALLERY: '{"serviceUrl":""}' };
  for (const vsix of [...(options.extensions ?? []), vsixFile()]) {
    const install = [found.entry, ...common, "--install-extension", vsix];
    execFileSync(process.execPath, install, { env, stdio: "ignore" });
  }
  if (options.translate !== undefined) putTranslation(place, options.translate);
  const args = [
    ...common,
    "--bind-addr",
    "127.0.0.1:0",
    "--disable-telemetry",
    "--disable-update-check",
    "--disable-getting-started-override",
    ...(options.isRestricted === true ? [] : ["--disable-workspace-trust"]),
    "--vscode-option",
    "enable-smoke-test-driver",
    "--vscode-option",
    `builtin-extensions-dir=${join(editorCacheDir(), "builtins")}`,
  ];
  const child = spawn(process.execPath, [found.entry, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  return { child, url: await addressOf(child) };
}

/** Of the tests' own environment nothing that an editor, the service or a test runner would take for its own. */
function editorEnvironment(place: Place): Record<string, string> {
  const own = /^(VSCODE_|CODE_SERVER|ELECTRON_|PORT$|PASSWORD$|SIGNALBOX_|VITEST|NODE_ENV|CI$)/;
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !own.test(entry[0]),
  );
  return { ...Object.fromEntries(kept), SIGNALBOX_HOME: place.home, SIGNALBOX_TEST_BRIDGE: place.bridge };
}

/** The port is chosen by the system, so that suites can run side by side. */
async function addressOf(child: ChildProcess): Promise<string> {
  let output = "";
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const read = (piece: Buffer) => {
    output += piece.toString();
    const found = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
    if (found !== undefined) resolve(found);
  };
  child.stdout?.on("data", read);
  child.stderr?.on("data", read);
  child.once("exit", (code) => reject(new Error(`VS Code's server ended with ${code}:\n${output}`)));
  return promise;
}

async function launchBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === null) throw new Error("there is no Chromium");
  return chromium.launch({
    executablePath,
    timeout: LOAD_TIMEOUT_MS,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // Nothing but this machine can be reached.
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
}

async function openPage(
  context: BrowserContext,
  url: string,
  place: Place,
  isBridged: boolean,
): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT_MS);
  const address = new URL(`${url}/`);
  address.searchParams.set("folder", place.folder);
  if (isBridged) {
    await page.exposeFunction("codeAutomationLog", () => {});
    await page.exposeFunction("codeAutomationExit", () => {});
    const remote = (path: string) => `vscode-remote://${new URL(url).host}${path}`;
    const payload = [
      ["extensionDevelopmentPath", remote(bridgeFolder)],
      ["extensionTestsPath", remote(join(bridgeFolder, "run.cjs"))],
    ];
    address.searchParams.set("payload", JSON.stringify(payload));
  }
  await page.goto(address.href, { waitUntil: "commit", timeout: LOAD_TIMEOUT_MS });
  await page.locator(".part.statusbar").waitFor({ timeout: LOAD_TIMEOUT_MS });
  if (isBridged) await untilAnswers(place.bridge);
  return page;
}

async function untilAnswers(bridge: string): Promise<void> {
  const answers = () => ask(bridge, "return true", null).catch(() => false); // Not there yet.
  await eventually(answers, Boolean, LOAD_TIMEOUT_MS);
}

interface Running {
  readonly root: string;
  readonly place: Place;
  readonly page: Page;
  openWindow(): Promise<Page>;
  /** Ends the editor. */
  stop(): Promise<void>;
}

function editorOf({ root, place, page, openWindow, stop }: Running): Editor {
  const client = () => connect({ home: place.home, start: false, env: {} });
  return {
    page,
    home: place.home,
    folder: place.folder,
    call: async (run, arg) =>
      (await ask(place.bridge, `return (${run})(vscode, arg, require)`, arg)) as never,
    client,
    openWindow,
    async close() {
      await stop();
      await stopService(client);
      rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function ask(bridge: string, body: string, arg: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(bridge);
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (piece) => {
      text += piece;
    });
    socket.on("error", reject);
    socket.on("end", () => {
      const answer = JSON.parse(text) as { value: unknown } | { error: string };
      if ("error" in answer) reject(new Error(answer.error));
      else resolve(answer.value);
    });
    socket.write(`${JSON.stringify({ body, arg })}\n`);
  });
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** The service outlives the window, as it should. */
async function stopService(client: () => Promise<Client>): Promise<void> {
  let running: Client;
  try {
    running = await client();
  } catch {
    return; // This suite never started one, or stopped it itself.
  }
  const { pid } = await running.getInfo();
  await running.shutdown({});
  running.close();
  await eventually(() => !isAlive(pid), Boolean, STEP_TIMEOUT_MS);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // There is no such process any more.
  }
}

/** Opens the container and shows one of its views. */
export async function openView({ call, page }: Editor, name: string): Promise<void> {
  await call(async (api, id) => {
    await api.commands.executeCommand(`signalbox.${id}.focus`);
  }, name);
  await page.locator(".part.sidebar").waitFor();
}

/**
 * Makes a gesture until its effect is seen. A gesture may come to nothing: a tree that is drawn anew takes the row away
 * from under the pointer, a menu closes, and in its first moments takes no press.
 */
export async function untilSeen(
  gesture: () => Promise<unknown>,
  isSeen: () => boolean | Promise<boolean>,
  timeoutMs = 2 * STEP_TIMEOUT_MS,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isSeen())) {
    if (performance.now() > end) throw new Error("the gesture has had no effect");
    try {
      await gesture();
    } catch (error) {
      if (performance.now() > end || !(error instanceof playwrightErrors.TimeoutError)) throw error;
      continue; // Whatever it waited for did not come; from the beginning, then.
    }
    await eventually(isSeen, Boolean, EFFECT_TIMEOUT_MS).catch(() => {}); // Perhaps it has not reached anybody.
  }
}

/** Chooses an entry of a row's menu until its effect is seen. */
export async function chooseFromMenu(
  { page }: Pick<Editor, "page">,
  row: Locator,
  entry: string,
  isSeen: () => boolean | Promise<boolean>,
): Promise<void> {
  const limit = { timeout: GESTURE_TIMEOUT_MS };
  const item = page.getByRole("menuitem", { name: entry });
  const choose = async () => {
    if (await page.getByRole("menuitem").count()) await page.keyboard.press("Escape");
    await row.click({ button: "right", ...limit });
    await item.waitFor(limit);
    // Pressed until it is gone, or the menu has closed without it.
    while (await item.count()) await item.click({ timeout: 500 }).catch(() => {});
  };
  await untilSeen(choose, isSeen);
}

/** The document of a webview: the editor keeps it two frames deep. */
export function webview(page: Page, nth = 0): FrameLocator {
  return page.frameLocator("iframe.webview.ready").nth(nth).frameLocator("iframe#active-frame");
}
