import { SignalboxError } from "../contract/errors.ts";
import { type Output, type RouteName, type Routes, routes } from "../contract/routes.ts";
import { buildClient, type Client } from "./call.ts";
import type { Transport } from "./transport.ts";

/** The typed client: every reply is checked against the contract. Runs anywhere. */
export function createClient(transport: Transport): Client {
  return buildClient(transport, routes, parseReply);
}

function parseReply<N extends RouteName>(name: N, reply: unknown): Output<N> {
  const schema: Routes[RouteName]["reply"] = routes[name].reply;
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data as Output<N>;
  throw new SignalboxError("protocol_mismatch", `The service's answer to ${name} is not as agreed`, {
    cause: parsed.error,
  });
}
