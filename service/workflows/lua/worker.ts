/** Entry of a worker thread that runs workflows; pool.ts starts it. */
import { getHeapStatistics } from "node:v8";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { tidyWhenQuiet } from "../../lib/heap.ts";
import { type FromWorker, Shared, type ToWorker, type WorkerData } from "./protocol.ts";
import { type JobMeter, Scheduler } from "./scheduler.ts";

/** Longest time a reply waits for others while the thread is busy. */
const FLUSH_MS = 1;
const MEMORY_LOOK_MS = 10;

if (!parentPort) throw new Error("this file is the entry of a worker thread");
const port = parentPort;
const { limits, shared: memory } = workerData as WorkerData;
const shared = new Int32Array(memory);

let replies: FromWorker[] = [{ kind: "ready" }];
let flushedMs = 0;
let idleKb = ownKb();
let lookedMs = 0;

const meter: JobMeter = {
  enter(job) {
    Atomics.store(shared, Shared.cpuMs, 0);
    Atomics.add(shared, Shared.progress, 1);
    Atomics.store(shared, Shared.job, job);
  },
  leave() {
    Atomics.store(shared, Shared.job, 0);
  },
  tick(cpuMs) {
    Atomics.store(shared, Shared.cpuMs, Math.floor(cpuMs));
    Atomics.add(shared, Shared.progress, 1);
    const nowMs = performance.now();
    if (nowMs - lookedMs < MEMORY_LOOK_MS) return;
    lookedMs = nowMs;
    Atomics.store(shared, Shared.grownKb, ownKb() - idleKb);
  },
};
const scheduler = new Scheduler(limits, meter, (message) => replies.push(message));

port.on("message", (batch: ToWorker[]) => {
  for (const message of batch) scheduler.accept(message);
  work();
});
flush();
tidyWhenQuiet();

/** Computes until nothing is left, hearing new messages between turns. */
function work(): void {
  while (scheduler.turn()) {
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
      for (const message of next.message as ToWorker[]) scheduler.accept(message);
    }
    if (performance.now() - flushedMs > FLUSH_MS) flush();
  }
  flush();
  idleKb = ownKb();
}

function flush(): void {
  flushedMs = performance.now();
  if (replies.length === 0) return;
  const batch = replies;
  replies = [];
  port.postMessage(batch);
}

/** This thread's own heap and the strings outside of it. */
function ownKb(): number {
  const heap = getHeapStatistics();
  return Math.round((heap.used_heap_size + heap.external_memory) / 1_024);
}
