import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { SignalboxError } from "../../contract/errors.ts";
import { sha256 } from "../../lib/canonical.ts";
import { type Dependencies, findDependencies } from "./dependencies.ts";
import { type Entry, findEntry, showEntry } from "./entrypoint.ts";
import type { ActionProgram } from "./executor.ts";
import { readFilePowers } from "./powers.ts";

/** What image a program needs, and what is started in it. */
export interface ContainerPlan {
  readonly image: string;
  /** Null: the program's own Dockerfile. A text: one made for it. Undefined: the image is used as it is. */
  readonly dockerfile: string | null | undefined;
  /** Null: what the image itself starts. */
  readonly command: readonly string[] | null;
  /** What the action file has installed. */
  readonly packages: readonly string[];
  /** One sentence for an approval. */
  readonly note: string;
}

/** Who programs are where we are root. Nobody has this number for anything. */
export const NOBODY = 65_534;

const DEFAULT_IMAGES = {
  python: "docker.io/library/python:3-slim",
  node: "docker.io/library/node:22-slim",
  other: "docker.io/library/debian:stable-slim",
  /** Has the names of packages that such files use. */
  system: "docker.io/library/alpine:3",
};

/**
 * A Dockerfile among the files is built; else packages are installed on top of `image`; else `image` runs with the
 * files laid into it. What is built has a name made of everything that goes into it.
 * @throws SignalboxError `action_source`
 */
export function planContainer(program: ActionProgram): ContainerPlan {
  const base = program.image ?? null;
  if (base !== null && !/^[A-Za-z0-9][\w./:@-]{0,250}$/.test(base))
    throw new SignalboxError("action_source", `${JSON.stringify(base)} is no name of an image`);
  if (existsSync(join(program.dir, "Dockerfile"))) {
    const named = program.entrypoint === null ? null : findEntry(program);
    return {
      image: `signalbox-action:${program.digest.slice(0, 32)}`,
      dockerfile: null,
      command: named === null ? null : showEntry(named),
      packages: [],
      note: "Its image is built from its Dockerfile, with the network.",
    };
  }
  const entry = findEntry(program);
  const dependencies = findDependencies(program, entry);
  const from = base ?? DEFAULT_IMAGES[dependencies.kind === "system" ? "system" : languageOf(entry)];
  const install = installLines(dependencies);
  const rest = { command: showEntry(entry), packages: dependencies.more };
  if (install.length === 0)
    return { image: from, dockerfile: undefined, ...rest, note: `Its image is ${from}.` };
  const dockerfile = [`FROM ${from}`, "WORKDIR /action", "COPY . /action", ...install, ""].join("\n");
  return {
    image: `signalbox-action:${sha256(`${program.digest}\n${dockerfile}`).slice(0, 32)}`,
    ...{ dockerfile, ...rest },
    note: `Its image is ${from} with its packages, installed with the network.`,
  };
}

function languageOf({ interpreter }: Entry): "python" | "node" | "other" {
  return interpreter === "python" || interpreter === "node" ? interpreter : "other";
}

/** In the form without a shell, so that no name is read by one. */
function installLines(dependencies: Dependencies): string[] {
  const line = (...words: string[]) => `RUN ${JSON.stringify(words)}`;
  const { kind, more } = dependencies;
  switch (kind) {
    case "python": {
      const listed = { "requirements.txt": ["--requirement", "requirements.txt"], "pyproject.toml": ["."] };
      const from = dependencies.from === null ? [] : listed[dependencies.from];
      return [line("pip", "install", "--no-cache-dir", ...from, ...more)];
    }
    case "node": {
      const { from } = dependencies;
      const listed = from === "the lock file" ? [line("npm", "ci", "--omit=dev")] : [];
      const install = [
        "npm",
        "install",
        "--omit=dev",
        "--no-save",
        "--no-package-lock",
        "--prefix",
        "/action",
      ];
      return [...listed, ...(from === "package.json" || more.length > 0 ? [line(...install, ...more)] : [])];
    }
    case "system":
      return [line("apk", "add", "--no-cache", ...more)];
    case "none":
      return [];
  }
}

interface ContainerRun {
  /** Null in an approval, where there is none yet. */
  readonly name: string | null;
  readonly files: string;
  /** The folder that is `/tmp` inside. */
  readonly tmp: string;
  readonly args: readonly string[];
}

/** The words for docker or podman. Values of variables stay out of them, since anybody sees a process's words. */
export function containerArgv(
  cli: string,
  program: ActionProgram,
  plan: ContainerPlan,
  run: ContainerRun,
): string[] {
  const uid = process.getuid?.() ?? NOBODY;
  const user =
    uid === 0 || process.getgid === undefined ? `${NOBODY}:${NOBODY}` : `${uid}:${process.getgid()}`;
  const volumes = readFilePowers(program.powers).map(
    ({ path, writable }) => `${path}:${path}:${writable ? "rw" : "ro"}`,
  );
  const command = plan.command ?? [];
  const [entrypoint, ...words] = command;
  return [
    ...[cli, "run", "--rm", "--interactive", ...(run.name === null ? [] : ["--name", run.name])],
    ...(program.powers.hosts.length === 0 ? ["--network", "none"] : []),
    ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    // Where SELinux guards containers, they could not read the folders laid into them.
    ...["--security-opt", "label=disable", "--user", user],
    ...(uid !== 0 && basename(cli) === "podman" ? ["--userns", "keep-id"] : []),
    ...["--pids-limit", "256", "--memory", "1g", "--ulimit", "nofile=1024:1024"],
    // The limit counts all processes of a user, so it is for the one that has no others.
    ...(uid === 0 ? ["--ulimit", "nproc=512:512"] : []),
    ...["--volume", `${run.tmp}:/tmp:rw`, ...volumes.flatMap((volume) => ["--volume", volume])],
    ...(plan.dockerfile === undefined ? ["--volume", `${run.files}:/action:ro`] : []),
    ...(plan.dockerfile === null ? [] : ["--workdir", "/action"]),
    ...["--env", "HOME=/tmp", "--env", "TMPDIR=/tmp", "--env", "IDEMPOTENCY_KEY"],
    ...program.env.flatMap((name) => ["--env", name]),
    ...(entrypoint === undefined ? [] : ["--entrypoint", entrypoint]),
    ...[plan.image, ...words, ...run.args],
  ];
}
