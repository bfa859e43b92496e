/**
 * Bundles everything that runs into dist/, or the folder after `--out`. `--types` begins with an empty folder and adds
 * the declarations of the public entries, `--quiet` prints errors only, and names of entries build these alone.
 * `--minify`, and `--sqlite` with a platform such as linux-x64, make what travels inside the editor extension.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";
import { wire } from "../service/client/wire.ts";
import { sqliteBundle } from "./sqlite-binary.ts";

const root = resolve(import.meta.dirname, "..");
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quiet: { type: "boolean" },
    types: { type: "boolean" },
    out: { type: "string", default: "dist" },
    minify: { type: "boolean", default: false },
    sqlite: { type: "string" },
  },
});
const dist = resolve(root, flags.out);

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const SQLITE_FILE = "./better-sqlite3.cjs";

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node22",
  legalComments: "none",
  metafile: true,
  minify: flags.minify,
  // better-sqlite3 finds its binary beside itself, unless it comes as a file of ours.
  ...(flags.sqlite === undefined ? { external: ["better-sqlite3"] } : { plugins: [sqliteBeside()] }),
  logLevel: "warning",
  define: {
    SIGNALBOX_VERSION: JSON.stringify(version),
    ...(flags.sqlite === undefined ? {} : { SIGNALBOX_SQLITE: JSON.stringify(SQLITE_FILE) }),
  },
};

/** The service and its threads share one better-sqlite3, with the binary of one platform. */
function sqliteBeside(): Plugin {
  return {
    name: "sqlite-beside",
    setup({ onResolve }) {
      onResolve({ filter: /^better-sqlite3$/ }, () => ({ path: SQLITE_FILE, external: true }));
    },
  };
}

/**
 * An import of node:http reads all that it offers, also its WebSocket, for which Node loads its whole HTTP client: some
 * 10 ms of each start and 2 MB. `require` leaves it where it is.
 */
const lazyHttp: Plugin = {
  name: "lazy-http",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?https?$/ }, ({ path, namespace }) =>
      namespace === "lazy-http" ? { path, external: true } : { path, namespace: "lazy-http" },
    );
    onLoad({ filter: /.*/, namespace: "lazy-http" }, ({ path }) => ({
      contents: `module.exports = require("${path}");`,
    }));
  },
};

const esm: BuildOptions = {
  ...common,
  format: "esm",
  plugins: [...(common.plugins ?? []), lazyHttp],
  // CommonJS packages inside an ES module bundle expect these.
  banner: {
    js: [
      'import { createRequire as __createRequire } from "node:module";',
      "const require = __createRequire(import.meta.url);",
      "const __filename = import.meta.filename, __dirname = import.meta.dirname;",
    ].join("\n"),
  },
};

/**
 * What runs for weeks keeps its text in memory: without comments it is half as long, and one letter of them beyond
 * Latin-1 would double the whole of it. Names stay, for stack traces, and lines are short enough to be shown.
 */
const resident: BuildOptions = { ...esm, minifySyntax: true, minifyWhitespace: true, lineLimit: 240 };

/** Puts the finished table in the place of the schemas it is made from: the command line has no time to load them. */
const finishedWire: Plugin = {
  name: "finished-wire",
  setup({ onLoad }) {
    onLoad({ filter: /service[\\/]client[\\/]wire\.ts$/ }, () => ({
      contents: `export const wire = ${JSON.stringify(wire)};`,
    }));
  },
};

/**
 * commander loads node:child_process for sub-commands that are programs of their own, which we have none of; that
 * alone would be a tenth of a short command's time. Its other imports are handed over without a copy.
 */
const leanCommander: Plugin = {
  name: "lean-commander",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:(child_process|fs|path|process)$/ }, ({ path, importer, namespace }) =>
      namespace === "file" && importer.includes("/node_modules/commander/")
        ? { path, namespace: "lean-commander" }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: "lean-commander" }, ({ path }) => ({
      contents: `export default ${path === "node:child_process" ? "{}" : `require("${path}")`};`,
    }));
  },
};

/** What fastify loads for schemas of its own and for tests; `service/http/no-schemas.ts` says why the service has none. */
const leanFastify: Plugin = {
  name: "lean-fastify",
  setup({ onResolve, onLoad }) {
    onResolve(
      { filter: /^(@fastify\/(ajv|fast-json-stringify)-compiler|light-my-request)$/ },
      ({ path, importer }) =>
        importer.includes("/node_modules/fastify/") ? { path, namespace: "lean-fastify" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "lean-fastify" }, ({ path }) => ({
      contents: `throw new Error("${path} is not part of the service");`,
    }));
  },
};

const entries: Record<string, BuildOptions> = {
  service: {
    ...resident,
    entryPoints: ["service/main.ts"],
    outfile: join(dist, "service.js"),
    plugins: [...(resident.plugins ?? []), leanFastify],
  },
  "lua-worker": {
    ...resident,
    entryPoints: ["service/workflows/lua/worker.ts"],
    outfile: join(dist, "lua-worker.js"),
  },
  "index-worker": {
    ...esm,
    entryPoints: ["service/store/sqlite/worker.ts"],
    outfile: join(dist, "index-worker.js"),
  },
  agent: { ...esm, entryPoints: ["service/agents/sdk.ts"], outfile: join(dist, "agent.js") },
  client: { ...esm, entryPoints: ["service/client/index.ts"], outfile: join(dist, "client.js") },
  // Loaded by `signalbox mcp` alone. By zod's annotations esbuild leaves out that it has to run before what uses it.
  mcp: {
    ...esm,
    ignoreAnnotations: true,
    entryPoints: ["service/mcp/main.ts"],
    outfile: join(dist, "mcp.js"),
  },
  cli: {
    ...common,
    entryPoints: ["service/cli/main.ts"],
    outfile: join(dist, "cli.cjs"),
    format: "cjs",
    // Less to read at each start; names stay, for stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    define: { ...common.define, "import.meta.dirname": "__dirname" },
    // Its other form asks for its parts when it runs, where a bundle has none.
    alias: { ...common.alias, "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
    plugins: [finishedWire, leanCommander],
  },
};

const unknown = positionals.filter((name) => !(name in entries));
if (unknown.length > 0)
  throw new Error(`no such entry: ${unknown.join(", ")}; there are ${Object.keys(entries)}`);

const wanted = positionals.length === 0 ? Object.keys(entries) : positionals;
// Not for every build: somebody may be running what is there.
if (flags.types) rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

const packages = new Set<string>();
for (const name of wanted) {
  const options = entries[name] as BuildOptions;
  const { metafile } = await build(options);
  for (const folder of bundledPackages(metafile as Metafile)) packages.add(folder);
  report(options.outfile as string);
}
if (wanted.includes("service")) copyMigrations();
if (flags.sqlite !== undefined) await buildSqlite(flags.sqlite);
if (positionals.length === 0 || flags.minify) writeNotices([...packages].sort());
if (flags.types)
  execFileSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.types.json"],
    { cwd: root, stdio: "inherit" },
  );

function report(outfile: string): void {
  if (flags.quiet) return;
  console.log(`${relative(root, outfile)}  ${Math.round(statSync(outfile).size / 1024)} KB`);
}

async function buildSqlite(platform: string): Promise<void> {
  await build({
    ...common,
    ...sqliteBundle(platform),
    outfile: join(dist, SQLITE_FILE),
    plugins: [],
  });
  // What stands here is of one kind, so Node need not find out by reading it twice.
  writeFileSync(join(dist, "package.json"), '{"type":"module"}\n');
}

function copyMigrations(): void {
  cpSync(join(root, "service/store/sqlite/migrations"), join(dist, "migrations"), { recursive: true });
}

/** Folders of the packages whose code is in the bundle, such as `node_modules/@octokit/core`. */
function bundledPackages(metafile: Metafile): string[] {
  const used = Object.values(metafile.outputs).flatMap((output) =>
    Object.entries(output.inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  );
  const folders = used.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set(folders)];
}

/** The licences of everything that is bundled ask to travel with it. */
function writeNotices(folders: string[]): void {
  const notices = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const file = readdirSync(join(root, folder)).find((one) => /^(licen[cs]e|copying)/i.test(basename(one)));
    const text = file === undefined ? "" : readFileSync(join(root, folder, file), "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}`;
  });
  const rule = `\n\n${"-".repeat(78)}\n\n`;
  writeFileSync(
    join(dist, "NOTICES.txt"),
    `Signalbox contains these packages.${rule}${notices.join(rule)}\n`,
  );
}
