/** A door between a program and the service that lets requests through and can keep answers back. */
import { createServer, connect as dial, type Socket } from "node:net";
import { join } from "node:path";

export interface Gate {
  readonly socket: string;
  /** From now on nothing that the service sends on connections that are open already arrives. */
  holdBack(): void;
  /** Breaks every connection, as a network does. */
  cut(): void;
  close(): Promise<void>;
}

/** `target` is asked for each connection, since a service that starts again may listen elsewhere. */
export async function openGate(folder: string, target: () => string): Promise<Gate> {
  const socket = join(folder, "gate.sock");
  const open = new Map<Socket, { holds: boolean }>();
  const server = createServer((near) => {
    const state = { holds: false };
    const far = dial(target());
    open.set(near, state);
    const end = () => {
      open.delete(near);
      near.destroy();
      far.destroy();
    };
    near.on("data", (piece) => far.write(piece));
    far.on("data", (piece) => {
      if (!state.holds) near.write(piece);
    });
    for (const one of [near, far]) one.on("error", end).on("close", end);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const cut = () => {
    for (const near of open.keys()) near.destroy();
  };
  return {
    socket,
    holdBack() {
      for (const state of open.values()) state.holds = true;
    },
    cut,
    close() {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
