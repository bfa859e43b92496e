import { openSqliteBus } from "../../service/bus/sqlite/bus.ts";
import type { Event } from "../../service/contract/events.ts";
import type { Clock } from "../../service/lib/clock.ts";
import { silentLog } from "../../service/lib/log.ts";
import type { PlanLimits } from "../../service/scheduler/plan.ts";
import { Scheduler } from "../../service/scheduler/scheduler.ts";
import type { Store } from "../../service/store/store.ts";
import { openSqlite, type SqliteOpened } from "./store.ts";

export interface OpenedScheduler {
  readonly opened: SqliteOpened;
  readonly scheduler: Scheduler;
  /** Moves time on in steps, and lets the scheduler do its work after each. */
  pass(ms: number, stepMs?: number): Promise<void>;
  /** All that was asked of it so far is done. */
  idle(): Promise<void>;
  /** Ends it without a word and starts it again on the same data, `ms` later. */
  restart(ms?: number): Promise<void>;
  /** Events that schedules recorded, oldest first. */
  recorded(): Promise<Event[]>;
  close(): Promise<void>;
}

interface Options {
  limits?: Partial<PlanLimits>;
  /** Puts something between the scheduler and its store or its clock. */
  store?(store: Store): Store;
  clock?(clock: Clock): Clock;
}

/** The scheduler on a real store and bus, with a clock that the test turns. */
export async function openScheduler(options: Options = {}): Promise<OpenedScheduler> {
  const opened = await openSqlite();
  const { store: wrap = (store: Store) => store, clock: wrapClock = (clock: Clock) => clock } = options;
  const start = async () => {
    const clock = wrapClock(opened.clock);
    const bus = openSqliteBus({ store: opened.store, clock: opened.clock, log: silentLog });
    const scheduler = await Scheduler.start({
      store: wrap(opened.store),
      bus,
      clock,
      log: silentLog,
      events: opened.events,
      limits: { lateMs: 60_000, catchUp: 100, ...options.limits },
    });
    return { bus, scheduler };
  };
  let { bus, scheduler } = await start();
  const idle = () => scheduler.remove("nobody").catch(() => undefined);
  const stop = async () => {
    await scheduler.close();
    await bus.close();
  };
  return {
    opened,
    get scheduler() {
      return scheduler;
    },
    idle,
    async pass(ms, stepMs = ms) {
      for (let passed = 0; passed < ms; passed += stepMs) {
        opened.clock.advance(Math.min(stepMs, ms - passed));
        await idle();
      }
    },
    async restart(ms = 0) {
      await stop();
      opened.clock.advance(ms);
      await opened.reopen();
      ({ bus, scheduler } = await start());
      // A due time of the past is fired by a timer of no length.
      opened.clock.advance(0);
      await idle();
    },
    async recorded() {
      const log = await opened.store.readLog(0, 10_000);
      return log.filter((event) => event.source === "scheduler");
    },
    async close() {
      await stop();
      await opened.close();
    },
  };
}
