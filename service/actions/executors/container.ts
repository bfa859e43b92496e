import { chown, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ulid } from "ulid";
import { SignalboxError } from "../../contract/errors.ts";
import { findProgram } from "../../lib/bubblewrap.ts";
import { sha256 } from "../../lib/canonical.ts";
import type { Logger } from "../../lib/log.ts";
import { type GroupEnd, runProcessGroup } from "../../lib/process-group.ts";
import { type ContainerPlan, containerArgv, NOBODY, planContainer } from "./container-plan.ts";
import type { ActionProgram, Executor } from "./executor.ts";
import { readFilePowers, requireFiles, showPowers } from "./powers.ts";
import type { ProgramCache } from "./program-cache.ts";
import type { RunDirectories } from "./run-directory.ts";
import { definedOf, requireApproved, runProgram } from "./run-program.ts";

interface ContainerOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cache: ProgramCache;
  readonly runs: RunDirectories;
  readonly log: Logger;
}

type Waiting = Parameters<Executor["prepare"]>[1];

const ASK_MS = 20_000;
const BUILD_MS = 1_200_000;

const SHUT_IN =
  "It runs in a container: a read-only system, no capabilities, at most 1 GB of memory and 256 processes, and one private folder to write to, deleted afterwards.";

/** Runs programs in containers by the docker or podman command line, whichever works. */
export function createContainerExecutor({ env, cache, runs, log }: ContainerOptions): Executor {
  const cli = createCli(env);
  const images = createImages(cli);

  async function prepare(
    program: ActionProgram,
    waiting: Waiting,
  ): Promise<{ files: string; plan: ContainerPlan }> {
    const path = await cli.require();
    const plan = planContainer(program);
    const { files, home } = await cache.get(program, "files", async () => {}, waiting);
    if (plan.dockerfile !== undefined) await images.ensure(path, plan, { files, home, ...waiting });
    return { files, plan };
  }

  return {
    id: "docker",
    available: async () => {
      const { reason } = await cli.find();
      return { ok: reason === null, reason };
    },
    async prepare(program, waiting) {
      await prepare(program, waiting);
    },
    argv: (program) => {
      const plan = planContainer(program);
      return containerArgv("docker", program, plan, { name: null, files: ".", tmp: "(private)", args: [] });
    },
    async describe(program) {
      const plan = planContainer(program);
      return {
        argv: this.argv(program),
        sandbox: "container",
        packages: plan.packages,
        notes: [SHUT_IN, ...showPowers(program), plan.note],
      };
    },
    async run(program, request) {
      requireApproved(request.sandbox, "container");
      requireFiles(readFilePowers(program.powers));
      const progress = request.progress ?? (() => {});
      const { files, plan } = await prepare(program, { signal: request.signal, progress });
      const path = await cli.require();
      return runProgram(runs, program, request, async ({ path: cwd, tmp }) => {
        if (process.getuid?.() === 0) await chown(tmp, NOBODY, NOBODY);
        const name = `signalbox-${ulid().toLowerCase()}`;
        return {
          argv: containerArgv(path, program, plan, { name, files, tmp, args: request.args ?? [] }),
          env: { ...definedOf(env), IDEMPOTENCY_KEY: request.idempotencyKey },
          ...{ cwd, seesTmpAs: "/tmp", sandbox: "container", timeoutMs: program.timeoutMs },
          // The command line has ended; what it started belongs to a daemon and may not have.
          onEnd: async ({ ended }) => (ended === "exit" ? undefined : endContainer(cli, path, name, log)),
        };
      });
    },
  };
}

interface Images {
  /** Builds the image unless it is there. Those who wait for the same one share the build. */
  ensure(path: string, plan: ContainerPlan, at: Building): Promise<void>;
}

function createImages(cli: Cli): Images {
  const building = new Map<string, Promise<void>>();
  return {
    async ensure(path, plan, at) {
      for (let other = building.get(plan.image); other !== undefined; other = building.get(plan.image)) {
        // Theirs may fail or be given up, which is their affair: then it is built here.
        if (await succeeds(other, at.signal)) return;
        if (at.signal.aborted) throw cancelled();
      }
      const mine = buildUnlessThere(cli, path, plan, at);
      building.set(plan.image, mine);
      try {
        await mine;
      } finally {
        building.delete(plan.image);
      }
    },
  };
}

/** False too when `signal` is aborted before it is known. */
async function succeeds(work: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  const gone = Promise.withResolvers<boolean>();
  const leave = () => gone.resolve(false);
  signal.addEventListener("abort", leave, { once: true });
  try {
    const done = work.then(
      () => true,
      () => false,
    );
    return await Promise.race([done, gone.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

const cancelled = () => new SignalboxError("action_cancelled", "building the image was cancelled");

async function endContainer(cli: Cli, path: string, name: string, log: Logger): Promise<void> {
  await cli.run([path, "kill", name], ASK_MS);
  const end = await cli.run([path, "rm", "--force", name], ASK_MS);
  if (end.exitCode !== 0 && !/no such container/i.test(end.stderrTail))
    log.warn({ container: name, said: end.stderrTail.trim() }, "a container could not be removed");
}

interface Building extends Waiting {
  readonly files: string;
  readonly home: string;
}

async function buildUnlessThere(cli: Cli, path: string, plan: ContainerPlan, at: Building): Promise<void> {
  const found = await cli.run([path, "image", "inspect", plan.image], ASK_MS);
  if (found.exitCode === 0) return;
  at.progress(`building the image ${plan.image}`);
  let dockerfile = join(at.files, "Dockerfile");
  if (plan.dockerfile !== null && plan.dockerfile !== undefined) {
    // Beside the files, not among them: those are what was approved.
    dockerfile = join(at.home, `Dockerfile-${sha256(plan.dockerfile).slice(0, 12)}`);
    await writeFile(dockerfile, plan.dockerfile);
  }
  const argv = [path, "build", "--tag", plan.image, "--file", dockerfile, at.files];
  const end = await cli.run(argv, BUILD_MS, at.signal);
  if (end.exitCode === 0) return;
  if (end.ended === "cancelled") throw cancelled();
  throw new SignalboxError("action_setup_failed", `${basename(path)} build: ${wordsOf(end)}`, {
    details: { stderr: end.stderrTail },
    hint: "The image could not be built; try the Dockerfile by hand, or name another `image`.",
  });
}

const wordsOf = (end: GroupEnd) =>
  end.stderrTail.trim().split("\n").at(-1) || end.error?.message || `exit code ${end.exitCode}`;

interface Cli {
  find(): Promise<{ path: string; reason: null } | { path: null; reason: string }>;
  /** @throws SignalboxError `executor_missing` */
  require(): Promise<string>;
  run(argv: string[], timeoutMs: number, signal?: AbortSignal): Promise<GroupEnd>;
}

/** The command line gets the whole environment, to find its daemon by; a program gets the variables it names. */
function createCli(env: NodeJS.ProcessEnv): Cli {
  let found: { path: string; reason: null } | null = null;
  const cli: Cli = {
    async find() {
      if (found !== null) return found;
      const reasons: string[] = [];
      for (const name of ["docker", "podman"]) {
        const path = findProgram(name, env.PATH);
        if (path === null) continue;
        // Without a daemon docker is there and can't do anything.
        const end = await cli.run([path, "version"], ASK_MS);
        if (end.exitCode === 0) {
          found = { path, reason: null };
          return found;
        }
        reasons.push(`${name}: ${wordsOf(end)}`);
      }
      return { path: null, reason: reasons.join("; ") || "neither docker nor podman is installed" };
    },
    async require() {
      const { path, reason } = await cli.find();
      if (path !== null) return path;
      throw new SignalboxError("executor_missing", `no container can be run: ${reason}`, {
        hint: 'Install podman or docker and start it, or choose `executor = "native"`.',
      });
    },
    run: (argv, timeoutMs, signal) =>
      runProcessGroup({
        ...{ argv, cwd: "/", env: definedOf(env), stdin: null, timeoutMs },
        ...{ maxStdoutBytes: 1_000_000, overflow: "truncate", stderrTailBytes: 16_384 },
        ...(signal === undefined ? {} : { signal }),
      }),
  };
  return cli;
}
