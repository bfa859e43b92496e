import type { Agent } from "../contract/agents.ts";
import { nearest } from "../lib/nearest.ts";

/** Why a command may never be carried out, in a sentence; null where agent and command are known. */
export function doubtOf(agents: readonly Agent[], name: string, command?: string): string | null {
  const known = agents.find((agent) => agent.name === name);
  if (known === undefined) {
    const names = agents.map((agent) => agent.name);
    return `No agent ${name} has registered here; a command to it waits for one.${guess(name, names)}`;
  }
  const commands = known.commands.map((one) => one.name);
  if (command === undefined || commands.length === 0 || commands.includes(command)) return null;
  return `${name} has no command ${command}.${guess(command, commands)}`;
}

function guess(word: string, candidates: readonly string[]): string {
  const found = nearest(word, candidates);
  return found === null ? "" : ` Did you mean ${found}?`;
}
