/** Public entry `signalbox/agent`: all that a program needs to be an agent. */
import type { Clock } from "../lib/clock.ts";
import { openAgent } from "./sdk-agent.ts";
import type { AgentOptions, RunningAgent } from "./sdk-api.ts";

export type { Client } from "../client/call.ts";
export type { Json, JsonObject } from "../contract/common.ts";
export { type ErrorCode, SignalboxError } from "../contract/errors.ts";
export type { Event, NewEvent, Pushed } from "../contract/events.ts";
export type { Claimed } from "../contract/topics.ts";
export type {
  AgentLog,
  AgentOptions,
  CloseOptions,
  ErrorPlace,
  PullOptions,
  ReplyOptions,
  RunningAgent,
} from "./sdk-api.ts";
export {
  type CommandContext,
  type CommandDefinition,
  type CommandHandler,
  type Commands,
  command,
  type Schema,
  TryAgain,
} from "./sdk-commands.ts";
export type { EventFilter, Subscription } from "./sdk-subscription.ts";

/** The agent lives as long as it is not closed, so its timers keep the process alive. */
const agentClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * Registers an agent; resolves once the service knows it. From then on it beats every 30 s, is sent its commands as
 * they come, and finds the service again whenever that was away.
 * @throws SignalboxError `service_unreachable`, `protocol_mismatch`, `unauthorized`, `invalid_request` (a name or a
 * command is not as it should be), `conflict` (the name is a connector's)
 */
export function createAgent(options: AgentOptions): Promise<RunningAgent> {
  return openAgent(options, agentClock);
}
