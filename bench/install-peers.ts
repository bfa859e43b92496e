import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PeerMissing, type Peers } from "./peer.ts";

const folder = join(import.meta.dirname, "peers");
const stamp = join(folder, "node_modules", ".installed");

/** The packages to compare with, in a folder of their own: installed when first asked for. */
export function openPeers(progress: (text: string) => void): Peers {
  let failure: string | null | undefined;
  return {
    async load(name) {
      failure ??= install(progress);
      if (failure) throw new PeerMissing(`${name}: its packages could not be installed (${failure})`);
      return await import(pathToFileURL(join(folder, `${name}.ts`)).href);
    },
  };
}

/** For runs without them. */
export function noPeers(): Peers {
  return {
    load: (name) => Promise.reject(new PeerMissing(`${name}: left out with --no-peers`)),
  };
}

/** "" when they are there, else the reason. */
function install(progress: (text: string) => void): string {
  const wanted = createHash("sha256")
    .update(readFileSync(join(folder, "package-lock.json")))
    .digest("hex");
  if (installedStamp() === wanted) return "";
  progress("installing the peers (once)");
  // Their install scripts are not needed, so they are not trusted either.
  const { status, stderr } = spawnSync("npm", ["ci", "--ignore-scripts", "--loglevel=error"], {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) return stderr?.trim().split("\n").at(0) || "npm ci failed";
  writeFileSync(stamp, wanted);
  return "";
}

function installedStamp(): string | null {
  try {
    return readFileSync(stamp, "utf8");
  } catch {
    return null; // Not installed yet.
  }
}
