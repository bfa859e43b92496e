import { createHmac } from "node:crypto";
import { connect, type Socket } from "node:net";
import Database from "better-sqlite3";
import { tokenOf } from "../../harness/http.ts";
import { pause, until } from "../service-process.ts";
import { fault, isOneOf, type Trial } from "./trial.ts";

const MB = 1_048_576;

export const foreignWriter = fault("a foreign writer that holds the database", async (trial) => {
  await trial.start();
  await trial.pushMany(5);
  const foreign = new Database(trial.home.paths.databaseFile);
  foreign.exec("BEGIN IMMEDIATE");
  const waiting = Array.from({ length: 20 }, () => trial.push());
  // Reading goes on while writes wait.
  await trial.client.findEvents({ limit: 5 });
  trial.expect(trial.acknowledged.size === 5, "a push was acknowledged while another program held the file");
  await pause(trial.random.int(100, 1_500));
  foreign.exec("ROLLBACK");
  foreign.close();
  for (const refused of await Promise.all(waiting)) {
    trial.expect(refused === null, `a push was refused after a short wait: ${refused?.code}`);
  }
  await trial.checkAcknowledged();
});

/** Opens connections and sends `first` on each, then nothing; none reads. */
async function crowd(
  target: { path: string } | { port: number; host: string },
  count: number,
  first: string,
) {
  const sockets: Socket[] = [];
  let refused = 0;
  const openAll = async (share: number) => {
    for (let opened = 0; opened < share; ) {
      const socket = await openOne(target);
      if (socket === null) refused += 1;
      // The queue of connections not yet accepted is full for the moment.
      else if (socket === "later") await pause(5);
      else {
        if (first !== "") socket.write(first);
        sockets.push(socket);
      }
      if (socket !== "later") opened += 1;
    }
  };
  await Promise.all(Array.from({ length: 20 }, () => openAll(count / 20)));
  return {
    refused,
    end() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function openOne(
  target: { path: string } | { port: number; host: string },
): Promise<Socket | "later" | null> {
  return new Promise((resolve) => {
    const socket = connect({ ...target, allowHalfOpen: true });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EAGAIN" ? "later" : null));
    socket.once("connect", () => resolve(socket));
  });
}

const CONNECTIONS = 10_000;
/** Generous: what a connection may cost the service. */
const CONNECTION_BYTES = 40_000;

export const idleConnections = fault("10,000 connections opened and left", async (trial) => {
  const service = await trial.start();
  await trial.pushMany(3);
  const before = service.rssBytes();
  const token = tokenOf(trial.home.paths);
  const half = `GET /v1/status HTTP/1.1\r\nhost: signalbox\r\nauthorization: Bearer ${token}\r\n`;
  const silent = await crowd({ path: trial.home.paths.socket }, CONNECTIONS / 2, "");
  const begun = await crowd({ path: trial.home.paths.socket }, CONNECTIONS / 2, half);
  trial.operations += CONNECTIONS;
  trial.expect(
    silent.refused + begun.refused === 0,
    `${silent.refused + begun.refused} connections were refused`,
  );
  const asked = performance.now();
  await trial.pushMany(20);
  await trial.client.getStatus();
  const tookMs = performance.now() - asked;
  trial.expect(
    tookMs < 10_000,
    `beside ${CONNECTIONS} idle connections 20 pushes took ${Math.round(tookMs)} ms`,
  );
  const grown = service.rssBytes() - before;
  trial.expect(
    grown < CONNECTIONS * CONNECTION_BYTES,
    `${CONNECTIONS} idle connections cost ${grown / MB} MB`,
  );
  silent.end();
  begun.end();
  await trial.pushMany(3);
  const stopped = await Promise.race([service.stop(), pause(15_000).then(() => "still there")]);
  trial.expect(stopped === 0, `it ended with ${stopped}`);
});

const SECRET = "ingress secret";
const ingressConfig = `[ingress]
enabled = true
port = 0
[connectors.webhook]
routes = [{ path = "/hook", topic = "hooks", secret = { env = "HOOK" }, auth = "hmac-sha256" }]
`;

async function startIngress(trial: Trial) {
  trial.home.env.HOOK = SECRET;
  trial.home.env.GITHUB_WEBHOOK_SECRET = SECRET;
  trial.home.writeConfig(ingressConfig);
  const service = await trial.start();
  const { ingress } = await trial.client.getStatus();
  const [host = "", port = ""] = ingress.listening?.split(":") ?? [];
  return { service, host, port: Number(port), url: `http://${ingress.listening}/hook` };
}

async function postHook(url: string, body: string): Promise<number> {
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const headers = { "content-type": "application/json", "x-hub-signature-256": `sha256=${signature}` };
  try {
    return (await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(5_000) })).status;
  } catch {
    return 0; // No connection to be had.
  }
}

export const slowSenders = fault("slow senders on the ingress", async (trial) => {
  const { host, port, url, service } = await startIngress(trial);
  const before = service.rssBytes();
  const drip = "POST /hook HTTP/1.1\r\nhost: hooks\r\ncontent-length: 1000000\r\n";
  const crawl = await crowd({ host, port }, 2_000, drip);
  trial.operations += 2_000;
  // The socket of the owner is not concerned.
  await trial.pushMany(5);
  const page = await fetch(url.replace("/hook", "/v1/status"), { signal: AbortSignal.timeout(5_000) }).catch(
    () => null,
  );
  trial.expect(page === null || page.status === 404, `the ingress answers control routes: ${page?.status}`);
  // Those who send too slowly are cut off, and then there is room again.
  await until("an honest sender is served", async () => (await postHook(url, "{}")) === 200, 30_000);
  const grown = service.rssBytes() - before;
  trial.expect(grown < 150 * MB, `slow senders cost ${grown / MB} MB`);
  crawl.end();
});

export const flood = fault("more events than it can take", async (trial) => {
  const service = await trial.start({ set: ["store.max_pending=500"] });
  await trial.pushMany(5);
  const before = service.rssBytes();
  let busy = 0;
  let largest = 0;
  const watching = new AbortController();
  const watch = (async () => {
    for (; !watching.signal.aborted; await pause(10))
      largest = Math.max(largest, service.rssBytes() - before);
  })();
  const batches = Array.from({ length: 40 }, (_, batch) =>
    floodBatch(trial, batch).then((refused) => (busy += refused)),
  );
  await Promise.all(batches);
  watching.abort();
  await watch;
  trial.expect(busy > 0, "nothing was ever refused, so this was no flood");
  trial.expect(largest < 500 * MB, `the flood cost ${Math.round(largest / MB)} MB`);
  await trial.pushMany(5);
  await trial.checkAcknowledged();
});

const BATCH = 500;

/** @returns how many were refused as `busy` */
async function floodBatch(trial: Trial, batch: number): Promise<number> {
  const events = Array.from({ length: BATCH }, (_, n) => ({
    topic: "flood",
    body: `flood ${batch}-${n} ${"x".repeat(1_000)}`,
  }));
  trial.operations += BATCH;
  const { results } = await trial.client.pushEvents({ events });
  let busy = 0;
  results.forEach((result, index) => {
    if ("event_id" in result) trial.acknowledged.set(result.event_id, events[index]?.body ?? "");
    else if (result.error.code === "busy") busy += 1;
    else trial.violations.push(`a flood was answered ${result.error.code}: ${result.error.message}`);
  });
  return busy;
}

/** Singles, so that the answer's status and header show. */
export const backPressure = fault("back-pressure names the time to wait", async (trial) => {
  await trial.start({ set: ["store.max_pending=1"] });
  // While another program holds the file, one write waits and the next ones are too many.
  const foreign = new Database((await trial.client.getInfo()).database);
  foreign.exec("BEGIN IMMEDIATE");
  const first = trial.push();
  const others = Array.from({ length: 10 }, () => trial.push());
  const refused = (await Promise.race([Promise.all([first]), Promise.all(others.slice(1))])) ?? [];
  foreign.exec("ROLLBACK");
  foreign.close();
  const all = await Promise.all([first, ...others]);
  const busy = all.filter((error) => error !== null);
  trial.expect(busy.length > 0 && refused.length > 0, "nothing was refused");
  for (const error of busy) {
    trial.expect(isOneOf(error, "busy"), `too many writes were answered ${error.code}`);
    trial.expect((error.retryAfterS ?? 0) >= 1, "the answer has no Retry-After");
  }
  await trial.checkAcknowledged();
});

/** Bodies of the largest size, many at a time. */
export const largeBodies = fault("many large bodies at once", async (trial) => {
  const service = await trial.start();
  await trial.pushMany(1);
  const before = service.rssBytes();
  let largest = 0;
  const watching = new AbortController();
  const watch = (async () => {
    for (; !watching.signal.aborted; await pause(5)) largest = Math.max(largest, service.rssBytes() - before);
  })();
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, () => trial.refusal(trial.client.pushEvent({ body: "x".repeat(10 * MB) }))),
  );
  watching.abort();
  await watch;
  for (const error of outcomes) {
    const isHonest = isOneOf(error, "invalid_request", "too_large", "busy");
    trial.expect(isHonest, `10 MB were answered ${error?.code ?? "with success"}`);
  }
  trial.expect(largest < 600 * MB, `40 bodies of 10 MB at once cost ${Math.round(largest / MB)} MB`);
  await trial.pushMany(3);
});
