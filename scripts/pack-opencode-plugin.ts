/**
 * Bundles the OpenCode plugin and packs it as npm would publish it. `--out FOLDER` says where the tarball goes; the
 * last line printed is its path.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { PROTOCOL } from "../service/contract/common.ts";

const root = resolve(import.meta.dirname, "..");
const source = join(root, "opencode-plugin");
const { values: flags } = parseArgs({ options: { out: { type: "string", default: join(root, "dist") } } });
const out = resolve(flags.out);

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "signalbox-pack-"));
try {
  const manifest = JSON.parse(readFileSync(join(source, "manifest.json"), "utf8"));
  // One number for the service and all its front ends; the protocol's is for `signalbox opencode doctor`.
  const told = { ...manifest, version, signalbox: { protocol: PROTOCOL } };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(told, null, 2)}\n`);
  cpSync(join(source, "README.md"), join(folder, "README.md"));
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  const { metafile } = await build({
    absWorkingDir: root,
    metafile: true,
    entryPoints: ["opencode-plugin/index.ts"],
    outfile: join(folder, "dist/index.js"),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    legalComments: "none",
    logLevel: "warning",
    define: { SIGNALBOX_VERSION: JSON.stringify(version) },
  });
  writeFileSync(join(folder, "dist/NOTICES.txt"), notices(Object.keys(metafile.inputs)));
  mkdirSync(out, { recursive: true });
  const packed = execFileSync(
    "npm",
    ["pack", folder, "--pack-destination", out, "--json", "--ignore-scripts"],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      shell: process.platform === "win32",
    },
  );
  const [{ filename }] = JSON.parse(packed);
  console.log(join(out, filename));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The licences of the packages that are bundled ask to travel with them. */
function notices(inputs: string[]): string {
  const folders = new Set(
    inputs.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
  );
  const texts = [...folders].sort().map((one) => {
    const { name, version: of, license } = JSON.parse(readFileSync(join(root, one, "package.json"), "utf8"));
    const file = readdirSync(join(root, one)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const text = file === undefined ? "" : readFileSync(join(root, one, file), "utf8").trim();
    return `${name} ${of} (${license})\n\n${text}\n`;
  });
  return texts.join(`\n${"-".repeat(78)}\n\n`);
}
