/** Which of better-sqlite3's binaries goes where: one file for each platform, chosen when the package is made. */
import type { BuildOptions } from "esbuild";

/** Platforms by the name that the editor's package has, and better-sqlite3's name for the same. */
export const sqliteOf: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "alpine-x64": "linuxmusl-x64",
  "alpine-arm64": "linuxmusl-arm64",
  "darwin-x64": "darwin-x64",
  "darwin-arm64": "darwin-arm64",
  "win32-x64": "win32-x64",
  "win32-arm64": "win32-arm64",
};

/** The driver with the binary of one platform beside it. @param platform as better-sqlite3 names it */
export function sqliteBundle(platform: string): BuildOptions {
  return {
    bundle: true,
    platform: "node",
    format: "cjs",
    entryPoints: [`better-sqlite3/${platform}`],
    loader: { ".node": "copy" },
    assetNames: "[name]",
  };
}

/** This machine's, by the name that the editor's package has. */
export function platformHere(): string {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const isMusl = process.platform === "linux" && report.header?.glibcVersionRuntime === undefined;
  return `${isMusl ? "alpine" : process.platform}-${process.arch}`;
}
