import { SignalboxError } from "../contract/errors.ts";
import type { Context } from "./context.ts";

/**
 * Whoever goes by the name of an agent here does not decide, though the service would take it for the owner.
 * @throws SignalboxError `forbidden`
 */
export function requirePerson(context: Context): void {
  const agent = context.agent(undefined);
  if (agent === undefined) return;
  throw new SignalboxError("forbidden", `${agent} can't decide about this: a person has to`, {
    hint: "If you are one, unset SIGNALBOX_AGENT and OC_AGENT_ID.",
  });
}
