import { type ChildProcess, spawn } from "node:child_process";
import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../../service/client/index.ts";
import { type GithubFake, startGithubFake } from "../../service/connectors/github/fake.ts";
import { Scope } from "../../service/lib/scope.ts";
import { repository } from "../source-files.ts";
import { DemoFailure, expectThat, until } from "./story.ts";

/** The workflows that the demo loads, from `workflows/`. */
export const workflows = ["github-auto-label", "review-queue"] as const;

/** Variables that could make this service another one than the demo tells of. */
const misleading =
  /^(SIGNALBOX|SEKIA|AGENT_RUNTIME|KAISER|OC|KAEL|GITHUB)_|^(NODE_USE_ENV_PROXY|NODE_OPTIONS)$/;

export interface Stage {
  readonly home: string;
  readonly pid: number;
  readonly client: Client;
  readonly github: GithubFake;
  /** Where GitHub would send its webhooks. */
  readonly webhookUrl: string;
  /** Resolves when the service has ended, with what it ended with. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  /** Posts a webhook as GitHub does; `secret` replaces the right one. */
  post(kind: string, payload: object, secret?: string): Promise<Posted>;
  /** Runs the built command line in a process of its own. On a terminal it writes there by itself. */
  cli(words: readonly string[], show: (output: string) => void): Promise<string>;
  /** The end of what the service wrote. */
  log(): string;
  /** Ends what still runs and removes the folder. Safe to call twice. */
  close(): Promise<void>;
}

export interface Posted {
  readonly delivery: string;
  readonly status: number;
  readonly body: { status?: string; error?: { code: string; message: string } };
  readonly bytes: number;
}

/** Starts the built service in a folder of its own, and a stand-in for GitHub, both on this machine alone. */
export async function setUp(): Promise<Stage> {
  const scope = new Scope();
  try {
    return await build(scope);
  } catch (error) {
    await scope.close();
    throw error;
  }
}

async function build(scope: Scope): Promise<Stage> {
  const service = join(repository, "dist/service.js");
  expectThat(existsSync(service), "dist/service.js is not there; `npm run build` makes it");
  const secret = randomBytes(16).toString("hex");
  const token = randomBytes(16).toString("hex");
  const github = scope.use(await startGithubFake({ token }));
  const home = furnish(github.url, secret, token);
  scope.defer(() => rmSync(home, { recursive: true, force: true }));
  const env = cleanEnvironment(home);
  const child = spawn(process.execPath, [service], {
    cwd: home,
    env,
    // A group of its own: Ctrl-C is for the demo, which then stops the service in an orderly way.
    detached: true,
    windowsHide: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  scope.defer(() => endChild(child));
  const log = collect(child);
  const client = await whenReady(home, env, child, log);
  scope.defer(() => client.close());
  const { ingress } = await client.getStatus();
  expectThat(ingress.listening !== null, "the service does not listen for webhooks");
  const webhookUrl = `http://${ingress.listening}/webhook`;
  return {
    home,
    client,
    github,
    webhookUrl,
    ended,
    log,
    pid: child.pid ?? 0,
    post: (kind, payload, other) => post(webhookUrl, kind, payload, other ?? secret),
    cli: (words, show) => runCli(words, home, env, show),
    close: () => scope.close(),
  };
}

/** A folder with all that the service needs, as SIGNALBOX_HOME. */
function furnish(api_url: string, secret: string, token: string): string {
  const home = mkdtempSync(join(tmpdir(), "signalbox-demo-"));
  writeFileSync(join(home, "github-token"), token, { mode: 0o600 });
  writeFileSync(join(home, "webhook-secret"), secret, { mode: 0o600 });
  writeFileSync(
    join(home, "config.toml"),
    `[ingress]
enabled = true
port = 0                                      # any free one, on loopback

[connectors.github]
api_url = "${api_url}"             # the stand-in; leave it out for the real one
token = { file = "github-token" }
webhook_secret = { file = "webhook-secret" }
`,
  );
  mkdirSync(join(home, "workflows"));
  for (const name of workflows)
    copyFileSync(join(repository, `workflows/${name}.lua`), join(home, `workflows/${name}.lua`));
  return home;
}

function cleanEnvironment(home: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !misleading.test(name));
  return { ...Object.fromEntries(kept), SIGNALBOX_HOME: home, SIGNALBOX_NO_AUTOSTART: "1" };
}

function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (piece: Buffer) => {
      text = (text + piece.toString()).slice(-10_000);
    });
  return () => text;
}

async function whenReady(
  home: string,
  env: NodeJS.ProcessEnv,
  child: ChildProcess,
  log: () => string,
): Promise<Client> {
  const attempt = async () => {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new DemoFailure(`the service ended at once:\n${log()}`);
    // Nobody listens yet, or this start's token is not written yet.
    return connect({ home, env, start: false }).catch(() => null);
  };
  const client = await until("the service answers", attempt, (one) => one !== null);
  if (client === null) throw new DemoFailure("the service does not answer");
  return client;
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const tooLong = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(tooLong);
}

async function post(url: string, kind: string, payload: object, secret: string): Promise<Posted> {
  const body = JSON.stringify(payload);
  const delivery = randomUUID();
  const reply = await fetch(url, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/demo",
      "x-github-event": kind,
      "x-github-delivery": delivery,
      "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
    },
  });
  const answer = (await reply.json()) as Posted["body"];
  return { delivery, status: reply.status, body: answer, bytes: Buffer.byteLength(body) };
}

async function runCli(
  words: readonly string[],
  home: string,
  env: NodeJS.ProcessEnv,
  show: (output: string) => void,
): Promise<string> {
  const isTerminal = process.stdout.isTTY === true;
  const output = isTerminal ? "inherit" : "pipe";
  const child = spawn(process.execPath, [join(repository, "bin/signalbox.cjs"), ...words], {
    cwd: home,
    env,
    windowsHide: true,
    stdio: ["ignore", output, output],
  });
  const text = collect(child);
  const [code] = await once(child, "close");
  if (!isTerminal) show(text());
  expectThat(code === 0, `signalbox ${words.join(" ")} ended with ${code}`);
  return text();
}
