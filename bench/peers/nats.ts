import { spawn, spawnSync } from "node:child_process";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type BusPeer, type NatsServer, PeerMissing, type PushPeer } from "../peer.ts";
import { freePort } from "../port.ts";
import { stopProcess } from "../service.ts";

/** A server of its own on a free port of this machine, with JetStream on files. */
export async function startNats(folder: string): Promise<NatsServer> {
  const version = spawnSync("nats-server", ["--version"], { encoding: "utf8" });
  if (version.error) throw new PeerMissing("NATS: nats-server is not installed (Debian: nats-server)");
  const port = await freePort();
  const begun = performance.now();
  const server = spawn(
    "nats-server",
    ["--addr", "127.0.0.1", "--port", `${port}`, "--jetstream", "--store_dir", folder],
    { stdio: "ignore" },
  );
  const open = () => connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1 });
  const first = await untilConnected(open, () => server.exitCode !== null);
  const startMs = performance.now() - begun;
  return {
    pid: server.pid ?? 0,
    startMs,
    version: /[\d.]+/.exec(version.stdout)?.[0] ?? "unknown",
    folder,
    jetStream: () => openStream(open),
    bus: () => openBus(open),
    async close() {
      await first.close();
      await stopProcess(server);
    },
  };
}

/** Each publish waits for the server's word that the file has it; with its defaults that is no fsync. */
async function openStream(open: () => Promise<NatsConnection>): Promise<PushPeer> {
  const connection = await open();
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "events", subjects: ["events.>"], storage: StorageType.File });
  const stream = jetstream(connection);
  const encoder = new TextEncoder();
  return {
    async push(event) {
      await stream.publish(`events.${event.topic ?? event.type}`, encoder.encode(JSON.stringify(event)));
    },
    close: () => connection.close(),
  };
}

async function openBus(open: () => Promise<NatsConnection>): Promise<BusPeer> {
  const publisher = await open();
  return {
    publish: (subject, data) => publisher.publish(subject, data),
    flush: () => publisher.flush(),
    async subscribe(subject, onMessage) {
      const subscriber = await open();
      subscriber.subscribe(subject, {
        callback: (error, message) => {
          if (!error) onMessage(message.string());
        },
      });
      await subscriber.flush();
      return { close: () => subscriber.close() };
    },
    close: () => publisher.close(),
  };
}

async function untilConnected(
  open: () => Promise<NatsConnection>,
  hasEnded: () => boolean,
): Promise<NatsConnection> {
  for (const deadline = performance.now() + 10_000; ; ) {
    try {
      return await open();
    } catch (error) {
      if (hasEnded() || performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}
