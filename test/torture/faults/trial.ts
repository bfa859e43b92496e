import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "../../../service/client/call.ts";
import { type ErrorCode, SignalboxError } from "../../../service/contract/errors.ts";
import { createRandom, type Random } from "../random.ts";
import { createHome, type Home, type ServiceProcess, serviceFile, startService } from "../service-process.ts";

/** One fault, provoked: what was tried and what was found broken. */
export interface TrialResult {
  readonly operations: number;
  readonly violations: readonly string[];
}

/** The service must live through it and keep its promises. `entry` is the service's file. */
export interface Fault {
  readonly name: string;
  run(options: { seed: number; entry?: string | undefined }): Promise<TrialResult>;
}

interface StartOptions {
  set?: readonly string[];
  wrap?: readonly string[];
  /** Of what is built and of the sources, the sources if it must be them. */
  entry?: string;
}

/** A home, processes that are killed at the end, and a list of what was acknowledged. */
export class Trial {
  readonly random: Random;
  readonly home: Home = createHome();
  readonly client: Client = this.home.client();
  readonly violations: string[] = [];
  /** Ids of acknowledged events with the body that each was pushed with. */
  readonly acknowledged = new Map<string, string>();
  operations = 0;
  readonly #entry: string;
  readonly #started: ServiceProcess[] = [];
  #pushed = 0;

  constructor(seed: number, entry: string | undefined) {
    this.random = createRandom(seed);
    this.#entry = entry ?? serviceFile();
  }

  async start(options: StartOptions = {}): Promise<ServiceProcess> {
    const service = await startService(this.home, { entry: this.#entry, ...options });
    this.#started.push(service);
    return service;
  }

  get entry(): string {
    return this.#entry;
  }

  expect(isSo: boolean, text: string): void {
    if (!isSo) this.violations.push(text);
  }

  /** Null when it worked, else the error that the service answered. */
  async refusal(call: Promise<unknown>): Promise<SignalboxError | null> {
    this.operations += 1;
    try {
      await call;
      return null;
    } catch (error) {
      if (SignalboxError.is(error)) return error;
      throw error;
    }
  }

  /** Pushes one event. @returns the error it was refused with, or null */
  async push(chars = 200, topic = "inbox"): Promise<SignalboxError | null> {
    this.#pushed += 1;
    const body = `event ${this.#pushed} ${"x".repeat(chars)}`;
    return this.refusal(
      this.client.pushEvent({ topic, body }).then(({ event_id }) => this.acknowledged.set(event_id, body)),
    );
  }

  async pushMany(count: number, chars = 200): Promise<void> {
    for (let n = 0; n < count; n++) {
      const error = await this.push(chars);
      this.expect(error === null, `a push was refused: ${error?.code} ${error?.message}`);
    }
  }

  /** Every acknowledged event is there as it was pushed. */
  async checkAcknowledged(): Promise<void> {
    const found = new Map<string, string | null>();
    for await (const event of this.client.exportEvents()) found.set(event.id, event.body);
    for (const [id, body] of this.acknowledged) {
      this.expect(
        found.get(id) === body,
        `${id} was acknowledged and is ${found.has(id) ? "changed" : "lost"}`,
      );
    }
  }

  async checkDoctor(): Promise<void> {
    const { findings } = await this.client.doctor();
    for (const { check, ok, message } of findings) this.expect(ok, `doctor: ${check}: ${message}`);
  }

  /** The service called nothing an internal error. */
  checkLog(): void {
    const bug = this.home
      .log()
      .split("\n")
      .find((line) => line.includes("a bug ended the service") || line.includes('"request failed"'));
    this.expect(bug === undefined, `the service logged a bug: ${bug?.slice(0, 1_000)}`);
  }

  folder(name: string): string {
    const folder = join(this.home.folder, name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  async close(): Promise<void> {
    for (const service of this.#started) if (service.isAlive) await service.kill();
    this.home.remove();
  }
}

/** Makes a fault of a function on a trial, which it cleans up after. */
export function fault(name: string, act: (trial: Trial) => Promise<void>): Fault {
  return {
    name,
    async run({ seed, entry }) {
      const trial = new Trial(seed, entry);
      try {
        await act(trial);
        trial.checkLog();
      } catch (error) {
        trial.violations.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      } finally {
        await trial.close();
      }
      return trial;
    },
  };
}

export function isOneOf(error: SignalboxError | null, ...codes: ErrorCode[]): boolean {
  return error !== null && codes.includes(error.code);
}
