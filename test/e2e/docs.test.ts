import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import examples from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };
import { expect, it, onTestFinished } from "vitest";
import { sourceFiles } from "../../scripts/source-files.ts";
import { type Client, connect } from "../../service/client/index.ts";
import { loadConfig } from "../../service/config-load.ts";

/**
 * Runs what the pages show, page by page, each from nothing, as a reader would. A fenced block takes part by the words
 * after its language:
 *
 * - `sh example`: run by a shell that keeps its variables from block to block; `eventually` runs it again until what
 *   it prints is right
 * - `text output`: what the block before prints, where `…` stands for anything
 * - `lua example NAME.lua`: saved in the workflow folder and loaded
 * - `lua part`: lines of a handler, which must load
 * - `toml example`: saved as the settings; the service is started again with them
 * - `toml example NAME.toml`: saved in the folder that the shell works in
 * - `toml policy`: added to the policy file
 * - `toml part`: settings that have to be right
 * - `json example NAME.json` or `NAME.ndjson`: saved in the folder that the shell works in
 */
const repository = resolve(import.meta.dirname, "../..");
const pages = [
  "README.md",
  "docs/getting-started.md",
  "docs/events-and-topics.md",
  "docs/workflows.md",
  "docs/schedules.md",
  "docs/actions.md",
  "docs/github.md",
  "docs/effects.md",
  "docs/policy.md",
  "docs/approvals.md",
];

interface Block {
  readonly language: string;
  readonly words: readonly string[];
  readonly text: string;
  readonly line: number;
}

function blocksOf(file: string): Block[] {
  const found: Block[] = [];
  let open: { info: string[]; lines: string[]; line: number } | null = null;
  for (const [index, line] of readFileSync(join(repository, file), "utf8").split("\n").entries()) {
    const fence = /^ {0,3}```(.*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === null) open = { info: (fence[1] ?? "").trim().split(/\s+/), lines: [], line: index + 1 };
    else {
      const [language = "", ...words] = open.info;
      found.push({ language, words, text: `${open.lines.join("\n")}\n`, line: open.line });
      open = null;
    }
  }
  return found;
}

/** A folder for one page, with the built command line on its path. */
class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "signalbox-docs-"));
  readonly home = join(this.folder, "home");
  readonly #work = join(this.folder, "work");
  readonly #variables = join(this.folder, "variables.sh");

  constructor() {
    const bin = join(this.folder, "bin");
    for (const folder of [bin, this.#work, join(this.home, "workflows")])
      mkdirSync(folder, { recursive: true });
    chmodSync(this.home, 0o700);
    writeFileSync(this.#variables, "");
    const shim = join(bin, "signalbox");
    const command = [process.execPath, join(repository, "bin/signalbox.cjs")]
      .map((part) => `'${part}'`)
      .join(" ");
    writeFileSync(shim, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  }

  run(script: string): string {
    const whole = `. '${this.#variables}'\nset -eu\nset -a\n${script}\nset +a\nexport -p > '${this.#variables}'`;
    return execFileSync("sh", ["-c", `exec 2>&1\n${whole}`], {
      cwd: this.#work,
      encoding: "utf8",
      env: {
        PATH: `${join(this.folder, "bin")}:${process.env.PATH}`,
        HOME: this.folder,
        SIGNALBOX_HOME: this.home,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  save(name: string, text: string): void {
    writeFileSync(join(this.#work, name), text);
  }

  saveWorkflow(name: string, text: string): void {
    writeFileSync(join(this.home, "workflows", name), text);
    // Nothing to tell a service that does not run yet: it reads the folder when it starts.
    if (existsSync(join(this.home, "token"))) this.run("signalbox workflow reload");
  }

  /** Lines of a handler have to load like any others. */
  check(text: string): void {
    this.save("part.lua", `signalbox.on("part", function(event)\n${text}\nend)`);
    this.run("signalbox workflow check part.lua");
  }

  saveSettings(text: string): void {
    // Another program may have that port on the machine that tests.
    writeFileSync(join(this.home, "config.toml"), text.replace(/^port = 8080$/m, "port = 0"));
    this.run("signalbox down");
  }

  addPolicy(text: string): void {
    appendFileSync(join(this.home, "policy.toml"), text, { mode: 0o600 });
  }

  checkSettings(text: string): void {
    const home = join(this.folder, "settings");
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "config.toml"), text);
    loadConfig({ home, cwd: home, env: {} });
  }

  /** Of the service that the page has left running. */
  connect(): Promise<Client> {
    return connect({ home: this.home, env: {}, start: false });
  }

  close(): void {
    this.run("signalbox down");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const spaces = (text: string) =>
  text
    .replace(/[ \t]+/g, " ")
    .replace(/ $/gm, "")
    .trim();

function toPattern(expected: string): RegExp {
  const parts = spaces(expected).split("…");
  return new RegExp(`^${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("[^]*?")}$`);
}

/** Runs a page from top to bottom. */
function follow(place: Place, file: string): void {
  const blocks = blocksOf(file);
  for (const [index, block] of blocks.entries()) {
    const next = blocks[index + 1];
    const output = next?.language === "text" && next.words[0] === "output" ? next.text : null;
    try {
      tryBlock(place, block, output);
    } catch (error) {
      throw new Error(`${file}:${block.line}`, { cause: error });
    }
  }
}

function tryBlock(place: Place, { language, words, text }: Block, output: string | null): void {
  const [kind, name = ""] = words;
  const what = `${language} ${kind}`;
  if (what === "sh example") tryCommands(place, text, output, name === "eventually" ? 15_000 : 0);
  else if (what === "lua example") place.saveWorkflow(name, text);
  else if (what === "lua part") place.check(text);
  else if (what === "toml example" && name !== "") place.save(name, text);
  else if (what === "toml example") place.saveSettings(text);
  else if (what === "toml policy") place.addPolicy(text);
  else if (what === "toml part") place.checkSettings(text);
  else if (what === "json example") place.save(name, text);
}

function tryCommands(place: Place, script: string, output: string | null, patienceMs: number): void {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const printed = spaces(place.run(script));
    if (output === null || toPattern(output).test(printed)) return;
    if (performance.now() >= deadline) expect(printed).toBe(spaces(output));
  }
}

/** Follows a page in a folder of its own, which goes when the test ends. */
function followed(file: string): Place {
  const place = new Place();
  onTestFinished(() => place.close());
  follow(place, file);
  return place;
}

it("M17 getting started works from nothing as it stands there, up to a webhook from GitHub", async () => {
  const place = followed("docs/getting-started.md");
  const client = await place.connect();
  onTestFinished(() => client.close());
  const { ingress } = await client.getStatus();
  const webhook = examples.find(({ name }) => name === "issues")?.examples[0];
  const body = JSON.stringify(webhook);
  const signature = createHmac("sha256", "choose your own").update(body).digest("hex");
  const reply = await fetch(`http://${ingress.listening}/webhook`, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-github-event": "issues",
      "x-hub-signature-256": `sha256=${signature}`,
    },
  });
  expect(reply.status).toBe(200);
});

it("M19 M8 one agent hands work to another and gets its answer, as the page on topics shows it", () => {
  followed("docs/events-and-topics.md");
});

it("S21 S27 workflows react, remember, wait and are tried dry, as their page shows it", () => {
  followed("docs/workflows.md");
});

it("U11 schedules are made, missed, answered and looked at as their page shows it", () => {
  followed("docs/schedules.md");
});

it("K1 U30 an action is written, approved, run, changed and asked about again as its page shows it", () => {
  followed("docs/actions.md");
});

it("U6 R69 R71 acts are asked for, approved and done as their page shows it", () => {
  followed("docs/effects.md");
});

it("U8 rules decide and are tried before they count, as the page on the policy shows it", () => {
  followed("docs/policy.md");
});

it("R65 U7 R68 what waits is shown, approved and denied as the page on approvals shows it", () => {
  followed("docs/approvals.md");
});

it("S31 S30 GitHub is connected as its page shows it", async () => {
  const place = followed("docs/github.md");
  const client = await place.connect();
  onTestFinished(() => client.close());
  const { connectors } = await client.getStatus();
  expect(connectors.find(({ id }) => id === "github")?.state).toBe("ready");
});

it("S27 the README's example does what stands beside it", () => {
  followed("README.md");
});

const known =
  /^(lua|sh( example( eventually)?)?|lua (example [\w-]+\.lua|part)|toml (example( [\w-]+\.toml)?|part|policy)|json example [\w-]+\.(json|ndjson)|text( output)?)$/;

it("every example on a page is tried, and what is none says so", () => {
  for (const page of pages) {
    for (const { language, words, line } of blocksOf(page))
      expect([language, ...words].join(" "), `${page}:${line}`).toMatch(known);
  }
});

it("every link from page to page leads somewhere", () => {
  const written = sourceFiles(/^(README|CONTRIBUTING|ARCHITECTURE|SECURITY|docs\/[\w-]+)\.md$/);
  const broken = written.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !existsSync(join(repository, dirname(path), target)))
      .map((target) => `${path} → ${target}`),
  );
  expect(broken).toEqual([]);
  const index = written.find(({ path }) => path === "docs/README.md")?.text;
  for (const { path } of written.filter((one) => /^docs\/(?!README)/.test(one.path)))
    expect(index).toContain(`](${path.replace("docs/", "")})`);
});
