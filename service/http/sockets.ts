import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { SignalboxError } from "../contract/errors.ts";

/** How long somebody who is sent away may take to read why. */
const FAREWELL_MS = 1_000;

/**
 * Sends the last answer on a connection and lets go of it soon, also when the other side neither reads nor closes:
 * otherwise it would keep its place for ever.
 */
export function sayLast(socket: Socket, text: string): void {
  socket.end(text);
  const timer = setTimeout(() => socket.destroy(), FAREWELL_MS);
  socket.once("close", () => clearTimeout(timer));
}

/**
 * Bodies of requests under way must not fill the memory: beyond `maxBytes` together a request has to come later. What
 * is refused here is still read to its end and thrown away, so that the sender gets to see the answer.
 */
export function limitBodies(
  app: FastifyInstance,
  maxBytes: number,
  refusals: { tooLarge(): SignalboxError; busy: string },
): void {
  let reserved = 0;
  app.addHook("onRequest", (request, reply, done) => {
    if (request.method !== "POST" && request.method !== "PATCH") {
      done();
      return;
    }
    const limit = request.routeOptions.bodyLimit;
    const isUnmeasured = request.headers["transfer-encoding"] !== undefined;
    const bytes = isUnmeasured ? limit : Number(request.headers["content-length"] ?? 0);
    if (bytes > limit) {
      done(refusals.tooLarge());
      return;
    }
    if (reserved + bytes > maxBytes) {
      done(new SignalboxError("busy", refusals.busy, { retryAfterS: 1 }));
      return;
    }
    reserved += bytes;
    reply.raw.once("close", () => {
      reserved -= bytes;
    });
    done();
  });
}
