// Who may import whom: CONTRIBUTING.md explains the table, `npm run check:imports` enforces it.
// Everything is forbidden but what a folder's row names, so a new folder needs a row before its first import.

const { builtinModules } = require("node:module");

const TESTS = ["\\.test\\.ts$", "^test/", "(^|/)fake[^/]*\\.ts$"];
const OURS = "^(service|extension|webview|opencode-plugin|scripts|test)/";

const CONTRACT = "^service/contract/";
const LIB = "^service/lib/";
const CLIENT = "^service/client/";
/** Files beside an adapter's folder: the port, and the decisions that its adapters share. */
const PORTS = "^service/(store|bus)/[^/]+\\.ts$";
const CONNECTOR_PORT = "^service/connectors/connector\\.ts$";
const REGISTRY = "^service/connectors/registry\\.ts$";

/** A part may import parts on an earlier line, never one on its own. */
const LINES = [
  ["events", "identity", "workspaces", "search", "health"],
  ["topics", "agents"],
  ["connections", "scheduler", "actions", "models"],
  ["effects"],
  ["workflows"],
  ["chat"],
];
const PARTS = LINES.flat();
const FOLDERS = [
  "lib",
  "contract",
  "client",
  "store",
  "bus",
  "connectors",
  ...PARTS,
  "mcp",
  "http",
  "compat",
  "cli",
];

const anyOf = (folders) => `^service/(${folders.join("|")})/`;
const folder = (name) => `^service/${name}/`;

/** Forbids files under `from` to import any file of ours but `allowed` ones. */
function mayImport(name, from, allowed, comment) {
  return {
    name,
    comment,
    severity: "error",
    from: { ...from, pathNot: [...TESTS, ...(from.pathNot ?? [])] },
    to: { path: OURS, pathNot: [...TESTS, ...allowed] },
  };
}

/** Forbids a package outside the folders that own it. */
function packageOnlyIn(name, packages, owners, comment) {
  return {
    name: `only-owner-of-${name}`,
    comment,
    severity: "error",
    from: { path: OURS, pathNot: [...TESTS, ...owners] },
    to: { path: [`^${packages}(/|$)`, `node_modules/(@types/)?${packages}(/|$)`] },
  };
}

const SDK = "^service/agents/sdk[^/]*\\.ts$";

const parts = LINES.flatMap((line, index) =>
  line.map((name) =>
    mayImport(
      `part-${name}`,
      { path: folder(name), pathNot: [SDK] },
      [
        folder(name),
        CONTRACT,
        LIB,
        PORTS,
        CONNECTOR_PORT,
        REGISTRY,
        ...LINES.slice(0, index).flat().map(folder),
      ],
      "A part imports contract, lib, the ports, connector.ts, registry.ts and parts on an earlier line.",
    ),
  ),
);

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment: "Move what both need into a file that both may import.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "known-folder",
      comment: "Give this folder a row in .dependency-cruiser.cjs first.",
      severity: "error",
      from: { path: "^service/[^/]+/", pathNot: [anyOf(FOLDERS)] },
      to: {},
    },
    {
      name: "contract-is-zod-only",
      comment: "The contract is bundled everywhere: zod and nothing else, no Node.",
      severity: "error",
      from: { path: CONTRACT, pathNot: TESTS },
      to: { pathNot: [CONTRACT, "node_modules/zod/"] },
    },
    {
      name: "lib-is-small",
      comment: "lib knows no product words: Node, pino, rotating-file-stream and ulid only.",
      severity: "error",
      from: { path: LIB, pathNot: TESTS },
      to: {
        dependencyTypesNot: ["core"],
        pathNot: [LIB, "node_modules/(pino|pino-pretty|rotating-file-stream|ulid)/"],
      },
    },
    {
      name: "client-runs-anywhere",
      comment: "client.ts also runs in a webview: nothing it leads to may need Node.",
      severity: "error",
      from: { path: "^service/client/client\\.ts$" },
      to: { path: `^(node:)?(${builtinModules.join("|")})$`, reachable: true },
    },
    mayImport("client", { path: CLIENT }, [CLIENT, CONTRACT, LIB], "The client imports contract and lib."),
    mayImport(
      "store",
      { path: folder("store") },
      [folder("store"), CONTRACT, LIB],
      "The store imports contract and lib, an adapter also its own port.",
    ),
    mayImport(
      "bus",
      { path: folder("bus"), pathNot: ["^service/bus/outbox\\.ts$", "^service/bus/sqlite/"] },
      [folder("bus"), CONTRACT, LIB],
      "The bus imports contract and lib, an adapter also its own port; only outbox.ts and the embedded bus, whose log is the store's, know both ports.",
    ),
    mayImport(
      "outbox",
      { path: "^service/bus/(outbox\\.ts$|sqlite/)" },
      [PORTS, CONTRACT, LIB],
      "outbox.ts imports contract, lib and both ports.",
    ),
    {
      name: "adapters-only-in-app",
      comment: "Name the port; only service/app.ts names an adapter.",
      severity: "error",
      from: { path: "^service/", pathNot: [...TESTS, "^service/app\\.ts$", "^service/(store|bus)/[^/]+/"] },
      to: { path: "^service/(store|bus)/[^/]+/" },
    },
    {
      name: "adapters-do-not-meet",
      comment: "Move what two adapters share beside their port.",
      severity: "error",
      from: { path: "^service/(store|bus)/([^/]+)/", pathNot: TESTS },
      to: { path: "^service/(store|bus)/[^/]+/", pathNot: ["^service/$1/$2/"] },
    },
    mayImport(
      "connector-folder",
      { path: "^service/connectors/([^/]+)/" },
      ["^service/connectors/$1/", "^service/connectors/(connector|poll)\\.ts$", CONTRACT, LIB],
      "A connector imports connector.ts, poll.ts, contract and lib; never another connector, the store or the bus.",
    ),
    mayImport(
      "connector-interface",
      { path: "^service/connectors/[^/]+\\.ts$", pathNot: [REGISTRY] },
      ["^service/connectors/[^/]+\\.ts$", CONTRACT, LIB],
      "Only registry.ts names the connectors.",
    ),
    mayImport(
      "connector-registry",
      { path: REGISTRY },
      ["^service/connectors/[^/]+\\.ts$", "^service/connectors/[^/]+/index\\.ts$", CONTRACT, LIB],
      "registry.ts imports each connector's index.ts.",
    ),
    ...parts,
    mayImport(
      "agent-sdk",
      { path: SDK },
      [SDK, CLIENT, CONTRACT, LIB],
      "The SDK is a client like any other.",
    ),
    ...["http", "compat"].map((name) =>
      mayImport(
        name,
        { path: folder(name) },
        [folder(name), anyOf(PARTS), PORTS, CONNECTOR_PORT, CONTRACT, LIB],
        "It imports the parts, the ports, contract and lib.",
      ),
    ),
    mayImport(
      "cli",
      { path: folder("cli") },
      [folder("cli"), CLIENT, CONTRACT, LIB, "^service/compat/verbs\\.ts$"],
      "The CLI imports client, contract, lib and the older verbs; it reaches everything else through the service.",
    ),
    mayImport(
      "mcp",
      { path: folder("mcp") },
      [folder("mcp"), CLIENT, CONTRACT, LIB],
      "A front end imports client, contract and lib; it reaches everything else through the service.",
    ),
    ...["extension", "opencode-plugin"].map((name) =>
      mayImport(
        name,
        { path: `^${name}/` },
        // messages.ts is what extension and webview say to each other.
        [`^${name}/`, CLIENT, CONTRACT, LIB, ...(name === "extension" ? ["^webview/messages\\.ts$"] : [])],
        "A front end imports client, contract and lib; it reaches everything else through the service.",
      ),
    ),
    mayImport(
      "webview",
      { path: "^webview/" },
      ["^webview/", "^service/client/client\\.ts$", CONTRACT],
      "The webview imports contract and client/client.ts.",
    ),
    {
      name: "composition-is-the-root",
      comment: "Hand the setting or the part in; only main.ts, app.ts and config*.ts know the whole.",
      severity: "error",
      from: { path: "^(service/[^/]+/|extension/|webview/|opencode-plugin/)", pathNot: TESTS },
      to: { path: "^service/[^/]+\\.ts$" },
    },
    {
      name: "connectors-only-in-registry",
      comment: "Take it from registry.ts; there is no second list of connectors.",
      severity: "error",
      from: { path: "^service/[^/]+\\.ts$", pathNot: TESTS },
      to: { path: "^service/connectors/[^/]+/" },
    },
    {
      name: "product-without-tests",
      comment:
        "Tests, test/harness and fake.ts stay out of the product; scripts/demo.ts, torture.ts, screenshots.ts and measure-editor.ts may use them.",
      severity: "error",
      from: {
        path: OURS,
        pathNot: [...TESTS, "^scripts/(demo|torture|screenshots|measure-editor)(\\.ts$|/)"],
      },
      to: { path: TESTS },
    },
    packageOnlyIn(
      "vscode",
      "vscode",
      ["^extension/", "^test/"],
      "vscode exists in the extension host alone.",
    ),
    packageOnlyIn("lua", "fengari", ["^service/workflows/lua/"], "Lua values stay inside workflows/lua/."),
    packageOnlyIn(
      "fastify",
      "(fastify|@fastify/[^/]+)",
      ["^service/http/"],
      "Routes are data; only http/ knows the server.",
    ),
    packageOnlyIn(
      "sqlite",
      "better-sqlite3",
      ["^service/(store|bus)/sqlite/", "^service/[^/]+\\.ts$", "^scripts/"],
      "SQL is spoken by the adapters.",
    ),
    packageOnlyIn("arguments", "commander", ["^service/cli/"], "Arguments are read by the CLI."),
    packageOnlyIn(
      "octokit",
      "@octokit",
      ["^service/connectors/github/", "^scripts/(demo|torture)(\\.ts$|/)"],
      "Remote services are known by their connector; the demo sends recorded webhooks.",
    ),
    {
      name: "resolvable",
      comment: "There is no such file or package.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: ["^vscode$"] },
    },
    {
      name: "declared-package",
      comment: "Add the package to package.json, and say why in the commit.",
      severity: "error",
      from: { path: OURS },
      // The editor itself brings this one; only its types are a package.
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"], pathNot: ["node_modules/@types/vscode/"] },
    },
    {
      name: "no-dev-package-in-product",
      comment:
        "The product is installed without devDependencies; the webview is bundled, with all that it needs.",
      severity: "error",
      from: { path: "^(service|extension|opencode-plugin)/", pathNot: TESTS },
      to: {
        dependencyTypes: ["npm-dev"],
        dependencyTypesNot: ["type-only"],
        pathNot: ["node_modules/@types/"],
      },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|coverage)/" },
    // An import of a type is an import as well: it says who knows whom.
    tsPreCompilationDeps: true,
    preserveSymlinks: true,
    // extension/package.json is the editor's manifest; the packages are those of the root.
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      extensions: [".ts", ".js", ".mjs", ".cjs", ".d.ts"],
    },
  },
};
