import { agentName } from "../../contract/agent-name.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Act } from "../../contract/policy.ts";
import {
  defaultRules,
  describeBudget,
  describeRule,
  explain,
  type Judged,
  originOf,
} from "../../effects/policy.ts";
import { judgedOf } from "../../effects/policy-file.ts";
import { requireEffect } from "../../effects/steps.ts";
import { readDecisions, type Suggestion, suggestRules } from "../../effects/suggest.ts";
import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

type PolicyRoutes =
  | "getPolicy"
  | "checkPolicy"
  | "explainPolicy"
  | "testPolicy"
  | "suggestPolicy"
  | "acceptSuggestion";

export function policyHandlers(parts: Parts): Pick<Handlers, PolicyRoutes> {
  const { policy, clock } = parts;
  return {
    async getPolicy() {
      const rules = [...policy.current().rules, ...defaultRules].map(describeRule);
      const budgets = policy.current().budgets.map(describeBudget);
      return { file: policy.file, problem: policy.problem, rules, budgets };
    },
    async checkPolicy({ text, file }) {
      try {
        const { rules, budgets } = policy.check(file, text);
        return {
          ok: true,
          problem: null,
          rules: rules.map(describeRule),
          budgets: budgets.map(describeBudget),
        };
      } catch (error) {
        if (!SignalboxError.is(error, "invalid_config")) throw error;
        return { ok: false, problem: error.message, rules: [], budgets: [] };
      }
    },
    async explainPolicy({ effect_id, act }) {
      if ((effect_id === undefined) === (act === undefined))
        throw new SignalboxError("invalid_request", "give either effect_id or act");
      const judged = act ? await judgedAct(parts, act) : await judgedEffect(parts, effect_id ?? "");
      const found = explain(judged, policy.current().rules, act?.at_ms ?? clock.nowMs());
      return { ...found.policy, origin: originOf(judged.cause.source), steps: found.steps };
    },
    testPolicy: async (request) => ({ results: policy.test(request, clock.nowMs()) }),
    suggestPolicy: async () => ({ suggestions: await suggestions(parts) }),
    acceptSuggestion: ({ suggestion, by }) => accept(parts, suggestion, by),
  };
}

/** A made-up act is as known as the ones before it. */
async function judgedAct({ ledger }: Parts, act: Act): Promise<Judged> {
  const judged = judgedOf(act);
  return { ...judged, familiar: await ledger.judging.isFamiliar(judged, null) };
}

/** As it was, with what it was bound to; the rules are those of now. */
async function judgedEffect({ store, ledger }: Parts, id: string): Promise<Judged> {
  const row = await requireEffect(store, id);
  return { ...row, familiar: await ledger.judging.isFamiliar(row, row.bound) };
}

async function suggestions({ store, policy, clock }: Parts): Promise<Suggestion[]> {
  return suggestRules(await readDecisions(store), policy.current().rules, clock.nowMs());
}

/** What was looked at is what is written, or nothing is. */
async function accept(parts: Parts, id: string, by: string): Promise<{ rule: string; file: string }> {
  const isAgent = (await parts.store.getAgent(agentName(by))) !== null;
  if (isAgent || ["workflow", "model"].includes(originOf(by)))
    throw new SignalboxError("forbidden", `${by} can't change the policy: a person has to`);
  const found = (await suggestions(parts)).find((one) => one.id === id);
  if (!found)
    throw new SignalboxError("conflict", `there is no suggestion ${id} any more`, {
      hint: "Decisions since then changed what is suggested: `signalbox policy suggest` lists them anew.",
    });
  parts.policy.append(found.toml);
  parts.log.info({ by, rule: found.toml }, "a suggested rule was accepted");
  return { rule: found.toml, file: parts.policy.file };
}
