import type { NewEvent } from "../service/contract/events.ts";
import type { Closeable } from "../service/lib/scope.ts";

/** What the peers' own folder offers. It is installed on demand and loaded by name, so nothing here needs it. */

/** A durable queue or log. What `push` resolved is stored. */
export interface PushPeer extends Closeable {
  push(event: NewEvent): Promise<void>;
}

/** Messages between processes, without storing them. */
export interface BusPeer extends Closeable {
  publish(subject: string, data: string): void;
  /** Resolves when everything published before is with the server. */
  flush(): Promise<void>;
  /** A connection of its own that calls back with each message. */
  subscribe(subject: string, onMessage: (data: string) => void): Promise<Closeable>;
}

/** A queue in the same process: claim one, complete it. */
export interface QueuePeer extends Closeable {
  add(events: NewEvent[]): void;
  /** Takes the oldest and finishes it. False: there was none. */
  claimAndComplete(): boolean;
  /** Lets so many workers take everything there is. */
  drain(workers: number, count: number): Promise<void>;
  bytes(): number;
}

export interface NatsServer extends Closeable {
  readonly pid: number;
  readonly startMs: number;
  readonly version: string;
  readonly folder: string;
  jetStream(): Promise<PushPeer>;
  bus(): Promise<BusPeer>;
}

/** A flow: a webhook, a function that decides, an HTTP call. */
export interface FlowPeer extends Closeable {
  readonly pid: number;
  readonly startMs: number;
  readonly url: string;
}

export interface PeerModules {
  nats: { startNats(folder: string): Promise<NatsServer> };
  plainjob: { openPlainjob(file: string): Promise<QueuePeer & PushPeer> };
  postgres: { startPgBoss(): Promise<PushPeer> };
  "node-red": { startNodeRed(folder: string, target: string): Promise<FlowPeer> };
  vega: { drawSvg(specification: object): Promise<string> };
}

/** Why a peer takes no part, as a sentence for the report. */
export class PeerMissing extends Error {}

export interface Peers {
  /** @throws PeerMissing when its packages could not be installed */
  load<Name extends keyof PeerModules>(name: Name): Promise<PeerModules[Name]>;
}

/** What `open` gives, or null with the reason in `skipped` when the peer is not on this machine. */
export async function present<T>(skipped: string[], open: () => Promise<T>): Promise<T | null> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof PeerMissing)) throw error;
    skipped.push(error.message);
    return null;
  }
}
