import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../../test/harness/eventually.ts";
import { silentLog } from "../../lib/log.ts";
import { preparePodman } from "../fixtures/container-image.ts";
import { type Files, writeFiles } from "../fixtures/git-repository.ts";
import { call, makeProgram, makeRequest } from "../fixtures/program.ts";
import type { ActionProgram, Executor } from "./executor.ts";
import { createExecutors } from "./executors.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync("/var/tmp/actions-container-");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function executor(env: NodeJS.ProcessEnv, id = "docker"): Executor {
  const made = createExecutors({ cacheDir: join(base, "cache"), log: silentLog, env });
  return made.all.find((one) => one.id === id)!;
}
const docker = (files: Files, given: Partial<ActionProgram> = {}) =>
  makeProgram(base, files, { executor: "docker", ...given });
const user = process.getuid?.() === 0 ? "65534:65534" : `${process.getuid?.()}:${process.getgid?.()}`;
const rootOnly = process.getuid?.() === 0 ? ["--ulimit", "nproc=512:512"] : [];

/** A program on PATH that writes down how it was called, one word a line, and answers as `script` says. */
function fake(name: string, script: string): { env: NodeJS.ProcessEnv; calls: () => string[][] } {
  const log = join(base, "calls");
  mkdirSync(join(base, "bin"), { recursive: true });
  writeFiles(join(base, "bin"), {
    [name]: `#!/bin/bash\nprintf '%s\\n' "$@" --- >> ${log}\n${script}\n:\n`,
  });
  const calls = () =>
    (existsSync(log) ? readFileSync(log, "utf8") : "")
      .split("---\n")
      .filter(Boolean)
      .map((text) => text.trimEnd().split("\n"));
  return { env: { ...process.env, PATH: `${join(base, "bin")}:/usr/bin:/bin`, AWS_PROFILE: "dev" }, calls };
}
/** Answers every call; `run` with what it was given, and the values of some variables. */
const ANSWERS = `case "$1 $2" in
  "image inspect") exit 1 ;;
  run*) printf '{"stdin": %s, "profile": "%s", "key": "%s"}' "$(cat)" "$AWS_PROFILE" "$IDEMPOTENCY_KEY" ;;
esac`;

describe("the words for docker and podman", () => {
  it("U20 K6 shut everything that was not declared", async () => {
    const { env, calls } = fake("docker", ANSWERS);
    const program = await docker({ "main.py": "" }, { env: ["AWS_PROFILE"] });
    const outcome = await executor(env).run(program, makeRequest({ params: { a: 1 }, args: ["--x"] }));
    expect(outcome).toMatchObject({
      result: { stdin: { a: 1 }, profile: "dev", key: "key-1" },
      sandbox: "container",
    });
    const run = calls().find(([word]) => word === "run")!;
    const name = run[run.indexOf("--name") + 1];
    expect(name).toMatch(/^signalbox-[0-9a-z]{26}$/);
    const volumes = run.filter((_, index) => run[index - 1] === "--volume");
    expect(volumes[0]).toMatch(/\/cache\/runs\/[^/]+\/tmp:\/tmp:rw$/);
    expect(volumes[1]).toMatch(/\/cache\/programs\/[^/]+\/files:\/action:ro$/);
    expect(run).toEqual([
      ...[
        "run",
        "--rm",
        "--interactive",
        "--name",
        name,
        "--network",
        "none",
        "--read-only",
        "--cap-drop",
        "ALL",
      ],
      ...["--security-opt", "no-new-privileges", "--security-opt", "label=disable", "--user", user],
      ...["--pids-limit", "256", "--memory", "1g", "--ulimit", "nofile=1024:1024", ...rootOnly],
      ...["--volume", volumes[0], "--volume", volumes[1], "--workdir", "/action"],
      ...["--env", "HOME=/tmp", "--env", "TMPDIR=/tmp", "--env", "IDEMPOTENCY_KEY", "--env", "AWS_PROFILE"],
      ...["--entrypoint", "python3", "docker.io/library/python:3-slim", "main.py", "--x"],
    ]);
    // Anybody on the machine sees the words of a process.
    expect(run.join(" ")).not.toContain("dev ");
    expect(calls().map(([word]) => word)).toEqual(["version", "run"]);
  });

  it("U20 open what was declared, and show it in the approval", async () => {
    const { env, calls } = fake("docker", ANSWERS);
    const files = join(base, "data");
    mkdirSync(files);
    const powers = { hosts: ["api.example.com"], files: [`${files}:rw`, "/etc/hosts"] };
    const program = await docker({ "run.sh": "" }, { powers, image: "localhost/own:2" });
    await call(executor(env), program);
    const run = calls().find(([word]) => word === "run")!;
    expect(run).not.toContain("none");
    expect(run.join(" ")).toContain(`--volume ${files}:${files}:rw --volume /etc/hosts:/etc/hosts:ro`);
    expect(run.slice(-2)).toEqual(["localhost/own:2", "run.sh"]);
    const told = await executor(env).describe(program);
    expect(told.sandbox).toBe("container");
    expect(told.argv.slice(0, 4)).toEqual(["docker", "run", "--rm", "--interactive"]);
    expect(told.notes).toEqual([
      expect.stringContaining("a read-only system, no capabilities, at most 1 GB"),
      expect.stringContaining("It says it calls api.example.com."),
      "It also reads /etc/hosts.",
      `It also reads and changes ${files}.`,
      "Its image is localhost/own:2.",
    ]);
  });

  it("K23 builds the Dockerfile of the source once, under the name of its digest", async () => {
    const { env, calls } = fake(
      "docker",
      `[ "$1" = build ] && touch ${join("$(dirname $0)", "built")}
[ "$1 $2" = "image inspect" ] && { [ -e $(dirname $0)/built ]; exit; }
[ "$1" = run ] && echo 1`,
    );
    const program = await docker({ Dockerfile: "FROM scratch\n" });
    const image = `signalbox-action:${program.digest.slice(0, 32)}`;
    const made = executor(env);
    expect(await Promise.all([call(made, program), call(made, program)])).toEqual([1, 1]);
    const builds = calls().filter(([word]) => word === "build");
    expect(builds).toHaveLength(1);
    expect(builds[0]).toEqual([
      ...["build", "--tag", image, "--file", expect.stringMatching(/\/files\/Dockerfile$/)],
      expect.stringMatching(/\/files$/),
    ]);
    const run = calls().find(([word]) => word === "run")!;
    expect(run.at(-1)).toBe(image);
    expect(run).not.toContain("--entrypoint");
  });

  it("K23 installs dependencies on top of the image that was named", async () => {
    const { env, calls } = fake(
      "docker",
      `${ANSWERS}\n[ "$1" = build ] && cat "$5" > $(dirname $0)/dockerfile`,
    );
    const program = await docker(
      { "index.js": "", "package.json": '{"dependencies":{"a":"1"}}', "package-lock.json": "{}" },
      { image: "node:22" },
    );
    await call(executor(env), program);
    expect(readFileSync(join(base, "bin/dockerfile"), "utf8")).toBe(
      `FROM node:22\nWORKDIR /action\nCOPY . /action\nRUN ["npm","ci","--omit=dev"]\n`,
    );
    const run = calls().find(([word]) => word === "run")!;
    expect(run.slice(-3)).toEqual(["node", expect.stringMatching(/^signalbox-action:/), "index.js"]);
  });

  it("B19 installs the packages that the action file names", async () => {
    const { env } = fake("docker", `${ANSWERS}\n[ "$1" = build ] && cat "$5" > $(dirname $0)/dockerfile`);
    const cases: [Files, string[], string][] = [
      [
        { "a.py": "" },
        ["httpx>=0.27", "rich"],
        'python:3-slim RUN ["pip","install","--no-cache-dir","httpx>=0.27","rich"]',
      ],
      [
        { "a.py": "", "requirements.txt": "x" },
        ["rich"],
        'python:3-slim RUN ["pip","install","--no-cache-dir","--requirement","requirements.txt","rich"]',
      ],
      [
        { "a.js": "" },
        ["a@1"],
        'node:22-slim RUN ["npm","install","--omit=dev","--no-save","--no-package-lock","--prefix","/action","a@1"]',
      ],
      [{ "a.sh": "" }, ["bash", "jq"], 'alpine:3 RUN ["apk","add","--no-cache","bash","jq"]'],
    ];
    for (const [index, [files, deps, expected]] of cases.entries()) {
      const program = await docker(files, { name: `deps.n${index}`, deps });
      expect((await executor(env).describe(program)).packages).toEqual(deps);
      await call(executor(env), program);
      const [from, , , run] = readFileSync(join(base, "bin/dockerfile"), "utf8").split("\n");
      expect(`${from} ${run}`).toBe(`FROM docker.io/library/${expected}`);
    }
  });

  it("says what the build said when it failed", async () => {
    const { env } = fake(
      "docker",
      'case "$1" in image) exit 1 ;; build) echo "no such base" >&2; exit 1 ;; esac',
    );
    await expect(call(executor(env), await docker({ Dockerfile: "FROM x\n" }))).rejects.toMatchObject({
      code: "action_setup_failed",
      message: "docker build: no such base",
    });
  });

  it("ends the container too, not only the command line, at the deadline", async () => {
    const { env, calls } = fake("docker", '[ "$1" = run ] && sleep 600');
    const program = await docker({ "run.sh": "" }, { timeoutMs: 300 });
    await expect(call(executor(env), program)).rejects.toMatchObject({ code: "action_timeout" });
    const [, run, kill, remove] = calls();
    const name = run![run!.indexOf("--name") + 1];
    expect([kill, remove]).toEqual([
      ["kill", name],
      ["rm", "--force", name],
    ]);
  });

  it("takes podman where docker has no daemon, and says when there is neither", async () => {
    const { env, calls } = fake("podman", "[ $1 = run ] && echo 1");
    writeFiles(join(base, "bin"), {
      docker: "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n",
    });
    const program = await docker({ "run.sh": "" });
    expect(await call(executor(env), program)).toBe(1);
    expect(calls().map(([word]) => word)).toEqual(["version", "run"]);

    rmSync(join(base, "bin/podman"));
    const bin = { PATH: join(base, "bin") };
    writeFileSync(
      join(base, "bin/docker"),
      "#!/bin/bash\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n",
    );
    expect(await executor(bin).available()).toEqual({
      ok: false,
      reason: "docker: Cannot connect to the Docker daemon",
    });
    await expect(call(executor({ PATH: base }), program)).rejects.toMatchObject({
      code: "executor_missing",
      message: "no container can be run: neither docker nor podman is installed",
    });
  });

  it("an image's name is no option and no line of a Dockerfile", async () => {
    const { env } = fake("docker", ANSWERS);
    for (const image of ["--privileged", "a\nRUN evil", "a b", ""])
      expect(() => executor(env).argv({ ...program, image }), image).toThrow(
        expect.objectContaining({ code: "action_source" }),
      );
    expect(executor(env).argv({ ...program, image: "ghcr.io/o/i@sha256:abc" })).toContain(
      "ghcr.io/o/i@sha256:abc",
    );
  });
  let program: ActionProgram;
  beforeEach(async () => {
    program = await docker({ "run.sh": "" }, { name: "x.y" });
  });
});

describe("K15 envyr", () => {
  it("K15 is called with exactly these words, and the approved files as the source", async () => {
    const { env, calls } = fake("envyr", `printf '{"got": %s}' "$(cat)"`);
    const given = {
      executor: "envyr",
      timeoutMs: 60_000,
      env: ["AWS_PROFILE"],
      source: "https://h/r.git",
    } as const;
    const program = await makeProgram(base, { "main.py": "" }, given);
    const envyr = executor(env, "envyr");
    expect(envyr.argv(program)).toEqual(
      "envyr run --executor docker --autogen --timeout 60 --env-map AWS_PROFILE https://h/r.git".split(" "),
    );
    expect(await call(envyr, program, { params: { q: 1 } })).toEqual({ got: { q: 1 } });
    expect(calls()).toEqual([
      [
        ..."run --executor docker --autogen --timeout 60 --env-map AWS_PROFILE".split(" "),
        expect.stringMatching(/\/cache\/programs\/[^/]+\/files$/),
      ],
    ]);
    writeFileSync(join(program.dir, "main.py"), "changed");
    rmSync(join(base, "cache"), { recursive: true });
    await expect(call(envyr, program)).rejects.toMatchObject({ code: "action_changed" });
  });

  it("K15 hands over words, failures and the deadline", async () => {
    const { env, calls } = fake("envyr", 'echo "connection refused" >&2; exit 1');
    const program = await makeProgram(
      base,
      { "a.py": "" },
      { executor: "envyr", entrypoint: "a.py", timeoutMs: 1_500 },
    );
    await expect(call(executor(env, "envyr"), program, { args: ["x", "--y"] })).rejects.toMatchObject({
      code: "action_failed",
      message: "connection refused",
    });
    expect(calls()[0]!.join(" ")).toMatch(/ --timeout 2 --entrypoint a\.py \S+\/files -- x --y$/);
  });

  it("K15 is said to be missing where it is", async () => {
    const program = await makeProgram(base, { "a.py": "" }, { executor: "envyr" });
    const envyr = executor({ PATH: base }, "envyr");
    expect(await envyr.available()).toEqual({ ok: false, reason: "envyr is not on PATH" });
    await expect(call(envyr, program)).rejects.toMatchObject({ code: "executor_missing" });
  });
});

const liveBase = mkdtempSync("/var/tmp/actions-podman-");
const live = preparePodman(liveBase);
afterAll(() => {
  live.remove();
  rmSync(liveBase, { recursive: true, force: true });
});

describe.skipIf(live.env === null)(
  `a real podman${live.reason === null ? "" : ` (not tried: ${live.reason})`}`,
  () => {
    let podman: Executor;
    beforeEach(() => {
      podman = executor({ ...live.env, AWS_PROFILE: "dev", SECRET_TOKEN: "hunter2" });
    });
    const sh = (script: string, given: Partial<ActionProgram> = {}) =>
      docker({ "main.sh": `${script}\n` }, { image: live.image, ...given });

    it("K2 K23 runs a program on a named image, with JSON in and out", async () => {
      expect(await podman.available()).toEqual({ ok: true, reason: null });
      const lines: string[] = [];
      const program = await sh('echo working >&2; printf \'{"got": %s}\' "$(cat)"');
      const outcome = await podman.run(
        program,
        makeRequest({ params: { a: [1] }, log: (line) => lines.push(line) }),
      );
      expect(outcome).toMatchObject({ result: { got: { a: [1] } }, sandbox: "container" });
      expect(lines).toEqual(["working"]);
      await expect(call(podman, await sh("echo connection refused >&2; exit 3"))).rejects.toThrow(
        "connection refused",
      );
    });

    it("U20 there is no network, no root, nothing to write to but /tmp, and no secret", async () => {
      const script = `
      (exec 3<>/dev/tcp/127.0.0.1/1) 2>&1; (echo x > /x) 2>&1; (echo x > /action/x) 2>&1
      ls /sys/class/net; id -u; echo "$AWS_PROFILE:$SECRET_TOKEN:$HOME"; echo y > /tmp/y && cat /tmp/y`;
      const text = (await call(podman, await sh(script, { env: ["AWS_PROFILE"] }), {
        output: "text",
      })) as string;
      expect(text).toMatch(/\/x: Read-only file system/);
      expect(text).toMatch(/\/action\/x: Read-only file system/);
      const [interfaces, id, variables, written] = text.split("\n").slice(-4);
      expect([interfaces, id, variables, written]).toEqual(["lo", user.split(":")[0], "dev::/tmp", "y"]);
    });

    it("K26 takes a large answer from /tmp", async () => {
      const program = await sh(
        `echo '{"rows":[1]}' > /tmp/kael-data-x.json; echo '{"_file":"/tmp/kael-data-x.json"}'`,
      );
      expect(await call(podman, program)).toEqual({ rows: [1] });
    });

    it("K11 the deadline ends the container", async () => {
      const program = await sh("trap '' TERM; echo up >&2; sleep 600; sleep 600", { timeoutMs: 3_000 });
      await expect(call(podman, program)).rejects.toMatchObject({ code: "action_timeout" });
      const names = () =>
        execFileSync("podman", ["ps", "--all", "--format", "{{.Names}}"], {
          env: live.env!,
          encoding: "utf8",
        });
      await eventually(() => !names().includes("signalbox-"));
    });

    it("K23 builds the Dockerfile of the source and runs what it says", async () => {
      const program = await docker({
        Dockerfile: `FROM ${live.image}\nCOPY tool.sh /tool.sh\nENTRYPOINT ["/bin/bash", "/tool.sh"]\n`,
        "tool.sh": 'echo "[\\"$1\\", $(cat)]"',
      });
      try {
        expect(await call(podman, program, { params: { a: 1 }, args: ["word"] })).toEqual(["word", { a: 1 }]);
      } finally {
        const image = `signalbox-action:${program.digest.slice(0, 32)}`;
        execFileSync("podman", ["rmi", "--force", image], { env: live.env!, stdio: "ignore" });
      }
    });
  },
);
