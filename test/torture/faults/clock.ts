import { SignalboxError } from "../../../service/contract/errors.ts";
import type { Claimed } from "../../../service/contract/topics.ts";
import { type ManualClock, manualClock } from "../../harness/clock.ts";
import { eventually, startTestService, type TestService } from "../../harness/service.ts";
import { createRandom, type Random } from "../random.ts";
import type { Fault } from "./trial.ts";

const DAY_MS = 86_400_000;
const ROUNDS = 300;
const counting = `
signalbox.on("work.>", function(event)
  signalbox.state.count = (signalbox.state.count or 0) + 1
  signalbox.command("worker", "do", { n = event.payload.n })
end)`;

/** The machine's clock is set to and fro by up to a day, under a service in this process whose clock we hold. */
export const clockJumps: Fault = {
  name: "clock jumps of a day to and fro",
  async run({ seed }) {
    const clock = manualClock();
    const service = await startTestService({
      clock,
      // A day's jump would expire them, as it should.
      set: ["agents.command_expires_ms=31000000000"],
      workflows: { "counting.lua": counting },
    });
    const jumping = new Jumping(service, clock, createRandom(seed));
    try {
      for (let round = 0; round < ROUNDS; round++) await jumping.step();
      await jumping.check();
    } catch (error) {
      jumping.violations.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      await service.close();
    }
    return { operations: ROUNDS, violations: jumping.violations };
  },
};

interface Held {
  readonly lease: string;
  readonly untilMs: number;
  /** The clock was past its end at some time, perhaps before it was set back. */
  isOver: boolean;
}

class Jumping {
  readonly violations: string[] = [];
  readonly #service: TestService;
  readonly #clock: ManualClock;
  readonly #random: Random;
  readonly #acknowledged: string[] = [];
  readonly #completed = new Set<string>();
  readonly #held = new Map<string, Held>();
  #work = 0;

  constructor(service: TestService, clock: ManualClock, random: Random) {
    this.#service = service;
    this.#clock = clock;
    this.#random = random;
  }

  async step(): Promise<void> {
    const acts = [
      () => this.#push(),
      () => this.#push(),
      () => this.#claim(),
      () => this.#claim(),
      () => this.#complete(),
      () => this.#clock.set(this.#clock.nowMs() + this.#random.int(-DAY_MS, DAY_MS)),
      () => this.#clock.advance(this.#random.int(1, 5_000)),
      () => this.#repeat(),
    ];
    await this.#random.pick(acts)();
    for (const held of this.#held.values()) if (held.untilMs <= this.#clock.nowMs()) held.isOver = true;
  }

  async check(): Promise<void> {
    const { client } = this.#service;
    const found = new Map<string, number>();
    let last = { seq: 0, recorded_ms: 0 };
    for await (const event of client.exportEvents()) {
      found.set(event.id, event.seq);
      if (event.seq <= last.seq || event.recorded_ms < last.recorded_ms) {
        this.violations.push(
          `event ${event.seq} was recorded at ${event.recorded_ms}, after ${JSON.stringify(last)}`,
        );
      }
      last = event;
    }
    for (const id of this.#acknowledged) if (!found.has(id)) this.violations.push(`${id} is lost`);
    const done = () => client.getWorkflow({ workflow: "counting" });
    await eventually(done, ({ lag, events }) => lag === 0 && events === this.#work);
    const { commands } = await client.claimCommands({ agent: "worker", limit: 100, wait_ms: 0 });
    const expected = Math.min(100, this.#work);
    if (commands.length !== expected) {
      this.violations.push(`${this.#work} events made ${commands.length} commands`);
    }
  }

  async #push(): Promise<void> {
    const isWork = this.#random.chance(0.3);
    const n = this.#acknowledged.length;
    const event = isWork ? { type: "work.wanted", payload: { n } } : { topic: "jobs", body: `job ${n}` };
    const { event_id } = await this.#service.client.pushEvent({ ...event, idempotency_key: `key-${n}` });
    this.#acknowledged.push(event_id);
    if (isWork) this.#work += 1;
  }

  /** The key of an event from before the clock was set. */
  async #repeat(): Promise<void> {
    if (this.#acknowledged.length === 0) return;
    const n = this.#random.int(0, this.#acknowledged.length - 1);
    try {
      await this.#service.client.pushEvent({ body: "other", idempotency_key: `key-${n}` });
      this.violations.push(`the key of event ${n} was forgotten`);
    } catch (error) {
      if (!SignalboxError.is(error, "idempotency_conflict")) throw error;
    }
  }

  async #claim(): Promise<void> {
    const request = { topic: "jobs", agent: "@a", limit: this.#random.int(1, 4), lease_ms: 60_000 };
    const { claimed } = await this.#service.client.claimEvents(request);
    for (const one of claimed) this.#granted(one);
  }

  #granted({ event, lease, lease_until_ms }: Claimed): void {
    const now = this.#clock.nowMs();
    const before = this.#held.get(event.id);
    if (this.#completed.has(event.id)) this.violations.push(`${event.id} was completed and given out again`);
    if (before && !before.isOver) {
      this.violations.push(`${event.id} was given out at ${now}, held until ${before.untilMs}`);
    }
    this.#held.set(event.id, { lease, untilMs: lease_until_ms, isOver: false });
  }

  async #complete(): Promise<void> {
    const [first] = this.#held;
    if (!first) return;
    const [event_id, { lease, isOver }] = first;
    this.#held.delete(event_id);
    try {
      await this.#service.client.completeClaim({ event_id, lease });
      this.#completed.add(event_id);
    } catch (error) {
      const isLost = SignalboxError.is(error, "lease_lost") || SignalboxError.is(error, "conflict");
      if (!isLost) throw error;
      if (!isOver) this.violations.push(`${event_id} was lost before its time`);
    }
  }
}
