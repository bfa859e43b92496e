import { SignalboxError } from "../../contract/errors.ts";
import { defaultRules, describeBudget, describeRule, explain, originOf } from "../../effects/policy.ts";
import { judgedOf } from "../../effects/policy-file.ts";
import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

type PolicyRoutes = "getPolicy" | "checkPolicy" | "explainPolicy" | "testPolicy";

export function policyHandlers({ policy, ledger, clock }: Parts): Pick<Handlers, PolicyRoutes> {
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
      const judged = act ? judgedOf(act) : await ledger.get(effect_id ?? "");
      const found = explain(judged, policy.current().rules, act?.at_ms ?? clock.nowMs());
      return { ...found.policy, origin: originOf(judged.cause.source), steps: found.steps };
    },
    testPolicy: async (request) => ({ results: policy.test(request, clock.nowMs()) }),
  };
}
