/** The downloaded VS Code instead of the server and a browser: the same suites on desktop, where it can be had. */
import { execFileSync } from "node:child_process";
import { downloadAndUnzipVSCode, resolveCliArgsFromVSCodeExecutablePath } from "@vscode/test-electron";
import { _electron as electron, type Page } from "playwright-core";
import { editorCacheDir } from "../../scripts/editor-cache.ts";

interface Desktop {
  readonly page: Page;
  openWindow(): Promise<Page>;
  close(): Promise<void>;
}

export interface DesktopOptions {
  readonly version: string;
  readonly folder: string;
  readonly user: string;
  readonly extensions: string;
  readonly vsix: readonly string[];
  readonly bridge: { readonly extension: string; readonly run: string };
  readonly env: Readonly<Record<string, string>>;
  readonly isRestricted: boolean;
  /** Opens another window from inside the extension host. */
  askForWindow(): Promise<void>;
}

/** @param options.version of VS Code, such as `1.139.1`; it is downloaded once into the cache folder */
export async function startDesktop(options: DesktopOptions): Promise<Desktop> {
  const executablePath = await downloadAndUnzipVSCode({
    version: options.version,
    cachePath: editorCacheDir(),
  });
  const [cli = "", ...cliArgs] = resolveCliArgsFromVSCodeExecutablePath(executablePath, {
    reuseMachineInstall: true,
  });
  const folders = [`--extensions-dir=${options.extensions}`, `--user-data-dir=${options.user}`];
  const install = options.vsix.flatMap((file) => ["--install-extension", file]);
  execFileSync(cli, [...cliArgs, ...folders, ...install], { stdio: "ignore" });
  const app = await electron.launch({
    executablePath,
    env: { ...options.env },
    args: [
      options.folder,
      ...folders,
      `--extensionDevelopmentPath=${options.bridge.extension}`,
      `--extensionTestsPath=${options.bridge.run}`,
      ...(options.isRestricted ? [] : ["--disable-workspace-trust"]),
      "--skip-welcome",
      "--skip-release-notes",
      "--disable-updates",
      "--disable-gpu",
      "--no-sandbox",
    ],
  });
  return {
    page: await app.firstWindow(),
    async openWindow() {
      const [page] = await Promise.all([app.waitForEvent("window"), options.askForWindow()]);
      return page;
    },
    close: () => app.close(),
  };
}
