import { createRequire } from "node:module";

/** Replaced by the build; from the sources the package tells it. */
declare const SIGNALBOX_VERSION: string | undefined;

export const version: string =
  typeof SIGNALBOX_VERSION === "string"
    ? SIGNALBOX_VERSION
    : (createRequire(import.meta.url)("../package.json") as { version: string }).version;
