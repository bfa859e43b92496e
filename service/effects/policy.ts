import type { Effect } from "../contract/effects.ts";
import type { EffectDraft } from "../store/store.ts";

/**
 * What may happen without a person. Only a workflow's file and the person at the command line can propose effects
 * so far, and both are the developer's own word; whoever else proposes is asked about.
 */
export function judge(effect: Pick<EffectDraft, "kind" | "target" | "cause">): Effect["policy"] {
  const { source } = effect.cause;
  if (source.startsWith("workflow:"))
    return { decision: "allow", rule: "default: commands of a workflow file run" };
  if (source === "cli" || source === "vscode")
    return { decision: "allow", rule: "default: commands of the owner run" };
  return { decision: "ask", rule: "default: what an agent, a model or a chat proposes is asked about" };
}
