import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { connect } from "../../service/client/index.ts";
import { eventually } from "../harness/service.ts";

const repository = resolve(import.meta.dirname, "../..");

interface Demo {
  readonly child: ChildProcess;
  output(): string;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** As `npm run demo` does after the build, which is there already. */
function demo(args: string[] = [], env: Record<string, string> = {}): Demo {
  const child = spawn(process.execPath, [join(repository, "scripts/demo.ts"), ...args], {
    cwd: repository,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => {
      output += piece.toString();
    });
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  return { child, output: () => output, ended };
}

/** A fact of the story: what stands after its label, the first time or, with `nth`, a later one. */
function fact(output: string, label: string, nth = 0): string {
  const values = [...output.matchAll(new RegExp(`^ {3}${label} +(.*)$`, "gm"))];
  return values[nth]?.[1] ?? "";
}

it("S31 S32 S36 S41 the demo takes a signed issue to its label and tells of each step, in plain text, with exit code 0", async () => {
  const run = demo();
  expect(await run.ended, run.output()).toBe(0);
  const text = run.output();
  expect(fact(text, "answer")).toBe("200 accepted");
  expect(fact(text, "event")).toMatch(/^evt_\w{26} {2}github\.issue\.opened /);
  expect(fact(text, "handler")).toMatch(/^github-auto-label\.lua:\d+ {2}succeeded, run_\w{26}$/);
  expect(fact(text, "effect")).toMatch(
    /^eff_\w{26} {2}add_label by github-agent, from github-auto-label\.lua:\d+$/,
  );
  expect(fact(text, "request")).toBe(
    'POST /repos/Codertocat/Hello-World/issues/1/labels  {"labels":["bug"]}',
  );
  expect(fact(text, "result")).toMatch(/^succeeded {2}told by evt_\w{26}$/);
  expect(fact(text, "event", 1)).toMatch(/^evt_\w{26} {2}github\.pr\.opened /);
  expect(fact(text, "answer", 2)).toMatch(/^401 bad_signature: /);
  expect(fact(text, "event", 2)).toContain("nothing was recorded");
  for (const command of ["status", "search spelling", "pull reviews --claim --agent @reviewer", "down"])
    expect(text).toContain(`$ signalbox ${command}\n`);
  expect(text).toContain(`${fact(text, "event").slice(0, 30)}\n`);
  expect(text).not.toContain("\u001b[");
  expect(existsSync(fact(text, "folder"))).toBe(false);
});

it("S41 the demo has colours where they are wanted, and heeds no setting of the machine it runs on", async () => {
  const misleading = { SIGNALBOX_INGRESS_ENABLED: "false", GITHUB_TOKEN: "somebody's", OC_AGENT_ID: "@me" };
  const run = demo([], { FORCE_COLOR: "1", ...misleading });
  expect(await run.ended, run.output()).toBe(0);
  expect(run.output()).toContain("\u001b[1m2. GitHub tells of a new issue");
});

it("the demo with --keep stays for looking around until Ctrl-C, then leaves nothing behind", async () => {
  const { run, home } = await keptDemo();
  const list = spawn(process.execPath, [join(repository, "bin/signalbox.cjs"), "events", "list"], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, SIGNALBOX_HOME: home },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let listed = "";
  list.stdout.on("data", (piece: Buffer) => {
    listed += piece.toString();
  });
  await once(list, "close");
  expect(listed).toContain("github.issue.opened");
  run.child.kill("SIGINT");
  expect(await run.ended, run.output()).toBe(0);
  expect(existsSync(home)).toBe(false);
});

it("the demo is a check too: when the service does not end as it should, it says so and exits with 1", async () => {
  const { run, home } = await keptDemo();
  const client = await connect({ home, env: {}, start: false });
  const { pid } = await client.getInfo();
  client.close();
  process.kill(pid, "SIGKILL");
  expect(await run.ended).toBe(1);
  expect(run.output()).toContain("This did not happen: the service ends with 0, not with SIGKILL");
  expect(existsSync(home)).toBe(false);
});

async function keptDemo(): Promise<{ run: Demo; home: string }> {
  const run = demo(["--keep"]);
  await eventually(run.output, (text) => text.includes("To stop it: Ctrl-C") || run.child.exitCode !== null);
  expect(run.child.exitCode, run.output()).toBe(null);
  return { run, home: fact(run.output(), "folder") };
}
