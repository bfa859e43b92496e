/** Fills the index in a thread of its own while there is much to do: neither answers nor commits wait for it. */
import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import { createBatch, type Gone, removeGone } from "./index-batch.ts";
import { IndexFile } from "./index-file.ts";

export interface IndexWork {
  /** Index so far. */
  upTo?: number;
  gone?: Gone[];
  end?: boolean;
}

export type IndexNews = { indexed: number } | { failed: { message: string; code: string } };

/** Larger batches are cheaper by the event, and nobody waits for the end of one. */
const BATCH = 1_024;

const { file, path } = workerData as { file: string; path: string };
const port = parentPort;
if (!port) throw new Error("this runs in a worker thread");
const log = new Database(file, { readonly: true, timeout: 5_000 });
const index = new IndexFile(path);
const batch = createBatch(log, index);

let upTo = 0;
let isWorking = false;
let isEnded = false;

function work(): void {
  isWorking = false;
  if (isEnded) return;
  attempt(() => {
    const indexed = index.readState()?.indexed_seq ?? 0;
    if (indexed >= upTo) return;
    tell({ indexed: index.write(() => batch(indexed, upTo, BATCH)) });
    later();
  });
}

function later(): void {
  if (isWorking) return;
  isWorking = true;
  setImmediate(work);
}

/** What fails is tried again when there is more to do. */
function attempt(run: () => void): void {
  try {
    run();
  } catch (error) {
    const { message, code } = error as { message: string; code?: unknown };
    tell({ failed: { message, code: String(code) } });
  }
}

function tell(news: IndexNews): void {
  port?.postMessage(news);
}

port.on("message", (asked: IndexWork) => {
  const { gone } = asked;
  if (gone) attempt(() => removeGone(log, index, gone));
  if (asked.upTo !== undefined) {
    upTo = Math.max(upTo, asked.upTo);
    later();
  }
  if (!asked.end) return;
  isEnded = true;
  index.close();
  log.close();
  port.close();
});
