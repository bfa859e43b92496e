import { existsSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { startGithubFake } from "../../service/connectors/github/fake.ts";
import {
  MORTAL,
  resumeTopics,
  runAgent,
  runClaimer,
  runOperator,
  runPusher,
  runReader,
  runSdkAgent,
  type Stage,
  TOPICS,
} from "./actors.ts";
import { checkAll, checkDoctor, checkRecent, checkSearch } from "./check.ts";
import { Ledger, type Push } from "./ledger.ts";
import { createRandom, type Random } from "./random.ts";
import {
  createHome,
  type Home,
  isReady,
  pause,
  type ServiceProcess,
  spawnService,
  until,
} from "./service-process.ts";
import { COMMENTED, echo, help, stepsOf, torture } from "./workload.ts";

export interface KillOptions {
  seed: number;
  entry?: string | undefined;
  /** Asked after each kill and restart. */
  isEnough(ledger: Ledger): boolean;
  /** Longest time that the service lives between two kills. */
  lifeMs?: number;
  /** With an agent on the SDK. */
  withSdk?: boolean;
}

const TOKEN = "ghp_torture";
// A command whose agent never saw it comes again when its lease of 90 s has run out.
const QUIET_MS = 180_000;

/**
 * One round of kill -9 under mixed load: a fresh home, actors outside, random kills, restarts, and at the end a quiet
 * service whose database is held against the ledger. The seed fixes what each actor wants to do, in order; how the
 * machine times it differs from run to run.
 */
export async function killRound(options: KillOptions): Promise<Ledger> {
  const ledger = new Ledger(options.seed);
  const random = createRandom(options.seed);
  const home = createHome();
  const github = await startGithubFake({ token: TOKEN });
  const issue = github.addIssue(COMMENTED);
  home.env.GITHUB_TOKEN = TOKEN;
  home.env.GITHUB_WEBHOOK_SECRET = "unused";
  home.writeConfig(`[connectors.github]\napi_url = "${github.url}"\n[log]\nmax_mb = 1000\n`);
  home.writeWorkflow("torture", torture);
  home.writeWorkflow("echo", echo);
  if (options.withSdk) home.writeWorkflow("help", help);
  const round = new Round({ ledger, random, home, options });
  try {
    await round.run();
    checkAll(
      ledger,
      home,
      issue.comments.map(({ body }) => body),
      (work) => stepsOf(work, options.withSdk === true),
    );
  } catch (error) {
    ledger.violation(
      `the round broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  } finally {
    await round.close();
    await github.close();
    // What is left of a broken promise tells more than its description.
    if (ledger.violations.length === 0) home.remove();
    else ledger.violation(`its folder is kept: ${home.folder}`);
  }
  return ledger;
}

class Round {
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #home: Home;
  readonly #options: KillOptions;
  #service: ServiceProcess | null = null;
  #up = Promise.withResolvers<void>();
  /** Pushes not yet looked for in the database. */
  #checkedUpTo = 0;

  constructor(given: { ledger: Ledger; random: Random; home: Home; options: KillOptions }) {
    this.#ledger = given.ledger;
    this.#random = given.random;
    this.#home = given.home;
    this.#options = given.options;
  }

  async run(): Promise<void> {
    await this.#killStarts();
    await this.#start();
    await this.#prepareTopics();
    const producing = new AbortController();
    const consuming = new AbortController();
    const producers = this.#produce(producing.signal);
    const consumers = this.#consume(consuming.signal);
    try {
      while (!this.#options.isEnough(this.#ledger) && this.#ledger.violations.length === 0) {
        await pause(this.#random.int(20, this.#options.lifeMs ?? 900));
        await this.#killAndRestart();
      }
    } finally {
      // A service that did not come up must not leave them waiting for it.
      this.#up.resolve();
      producing.abort();
      await Promise.all(producers);
    }
    await resumeTopics(this.#stage(consuming.signal));
    await this.#settleDown();
    consuming.abort();
    await Promise.all(consumers);
    const client = this.#home.client();
    await checkDoctor(this.#ledger, client);
    await checkSearch(this.#ledger, client);
    this.#checkBackup();
    await this.#service?.stop();
  }

  async close(): Promise<void> {
    if (this.#service?.isAlive) await this.#service.kill();
  }

  #stage(signal: AbortSignal): Stage {
    return {
      ledger: this.#ledger,
      client: this.#home.client(),
      signal,
      whenUp: () => this.#up.promise,
      backupFile: join(this.#home.folder, "backup.db"),
    };
  }

  #produce(signal: AbortSignal): Promise<void>[] {
    const random = this.#random;
    return [
      ...["north", "south", "east"].map((lane) => runPusher(this.#stage(signal), random.fork(lane), lane)),
      runOperator(this.#stage(signal), random.fork("operator")),
    ];
  }

  #consume(signal: AbortSignal): Promise<void>[] {
    const random = this.#random;
    return [
      ...["@ann", "@bob", "@cho"].map((name) => runClaimer(this.#stage(signal), random.fork(name), name)),
      runAgent(this.#stage(signal), random.fork("agent-1"), "1.0.0"),
      runAgent(this.#stage(signal), random.fork("agent-2"), "1.0.0"),
      ...(this.#options.withSdk
        ? [runSdkAgent(this.#stage(signal), random.fork("sdk"), this.#home.folder)]
        : []),
      runReader(this.#stage(signal)),
    ];
  }

  async #prepareTopics(): Promise<void> {
    const client = this.#home.client();
    for (const topic of TOPICS) {
      await client.createTopic({ name: topic, max_attempts: topic === MORTAL ? 3 : 1_000, lease_ms: 2_000 });
    }
  }

  async #start(): Promise<void> {
    const { entry } = this.#options;
    const service = spawnService(this.#home, { entry });
    this.#service = service;
    if (!(await isReady(this.#home, service))) {
      throw new Error(`the service did not come up: ${this.#home.log().slice(-3_000)}`);
    }
    void service.ended.then(({ code, signal }) => {
      if (signal !== "SIGKILL" && code !== 0)
        this.#ledger.violation(`the service ended by itself: ${code ?? signal}`);
    });
    this.#up.resolve();
  }

  async #killAndRestart(): Promise<void> {
    this.#up = Promise.withResolvers();
    await this.#service?.kill();
    this.#ledger.counts.kills += 1;
    await this.#killStarts();
    await this.#start();
    this.#ledger.counts.restarts += 1;
    const pushes: Push[] = [...this.#ledger.pushes.values()];
    // The newest may still be under way, so they are looked at again.
    checkRecent(this.#ledger, this.#home, pushes.slice(this.#checkedUpTo));
    this.#checkedUpTo = Math.max(0, pushes.length - 500);
  }

  /** Now and then it dies before it is up, the first time while it makes its database. */
  async #killStarts(): Promise<void> {
    while (this.#random.chance(0.15)) {
      const { entry } = this.#options;
      const stillborn = spawnService(this.#home, { entry });
      await pause(this.#random.int(0, 400));
      await stillborn.kill();
      this.#ledger.counts.kills += 1;
    }
  }

  /** Until the workflows have seen everything and the agent has done everything. */
  async #settleDown(): Promise<void> {
    const db = new Database(this.#home.paths.databaseFile, { readonly: true });
    const openEffects = db
      .prepare<[], number>("SELECT count(*) FROM effects WHERE state IN ('proposed', 'approved', 'running')")
      .pluck();
    const openRuns = db
      .prepare<[], number>("SELECT count(*) FROM runs WHERE status IN ('queued', 'running', 'waiting')")
      .pluck();
    const client = this.#home.client();
    let seen = "";
    const isQuiet = async () => {
      const { workflows } = await client.listWorkflows();
      const lag = workflows.reduce((sum, workflow) => sum + workflow.lag, 0);
      const { last_seq } = await client.getStatus();
      const isRead = (this.#ledger.stream.at(-1)?.seq ?? 0) >= last_seq;
      const states = workflows.map(
        ({ name, state, problem }) => `${name} ${state} ${problem?.message ?? ""}`,
      );
      seen = `${states.join(", ")}, lag ${lag}, effects ${openEffects.get()}, runs ${openRuns.get()}, read ${isRead}`;
      return lag === 0 && openEffects.get() === 0 && openRuns.get() === 0 && isRead;
    };
    try {
      await until("all work is done", isQuiet, QUIET_MS);
    } catch (error) {
      throw new Error(`the service did not come to rest: ${seen}`, { cause: error });
    } finally {
      db.close();
    }
  }

  #checkBackup(): void {
    const file = join(this.#home.folder, "backup.db");
    if (!existsSync(file)) return;
    const db = new Database(file, { readonly: true });
    const integrity = db.pragma("integrity_check(5)", { simple: true });
    db.close();
    if (integrity !== "ok") this.#ledger.violation(`the backup is damaged: ${String(integrity)}`);
  }
}
