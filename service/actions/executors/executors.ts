import { join } from "node:path";
import { type Bubblewrap, probeBubblewrap } from "../../lib/bubblewrap.ts";
import type { Logger } from "../../lib/log.ts";
import { createContainerExecutor } from "./container.ts";
import { createEnvyrExecutor } from "./envyr.ts";
import type { Executors } from "./executor.ts";
import { createNativeExecutor } from "./native.ts";
import { createProgramCache } from "./program-cache.ts";
import { createRunDirectories } from "./run-directory.ts";

interface ExecutorOptions {
  /** Absolute. Holds copies of programs, what was installed for them, and the folders of runs. May be deleted. */
  readonly cacheDir: string;
  readonly log: Logger;
  /** The service's own: where programs are looked for, and where named variables come from. */
  readonly env: NodeJS.ProcessEnv;
  /** Default: tries bubblewrap. */
  readonly probe?: (env: NodeJS.ProcessEnv) => Promise<Bubblewrap>;
}

/** The ways to run an action. Nothing is started or looked for before it is needed. */
export function createExecutors({ cacheDir, log, env, probe = probeBubblewrap }: ExecutorOptions): Executors {
  const cache = createProgramCache(join(cacheDir, "programs"));
  const runs = createRunDirectories(join(cacheDir, "runs"), log);
  const byId = {
    native: createNativeExecutor({ env, cache, runs, probe }),
    docker: createContainerExecutor({ env, cache, runs, log }),
    envyr: createEnvyrExecutor({ env, cache, runs }),
  };
  return { of: ({ executor }) => byId[executor], all: Object.values(byId) };
}
