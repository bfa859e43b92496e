import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { JsonObject } from "../../contract/common.ts";
import type { Suggestion } from "../../contract/policy.ts";
import type { Output as RouteOutput } from "../../contract/routes.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { readInput } from "../input.ts";
import { jsonObject, wholeNumber } from "../parse.ts";
import { requirePerson } from "../person.ts";
import { printTable } from "../table.ts";
import { count, type Part, showAge, showTime, styled } from "../text.ts";
import { UsageError } from "../usage.ts";

interface ExplainOptions {
  kind?: string;
  target?: string;
  action?: string;
  payload?: JsonObject;
  source?: string;
}

export function register(program: Command, context: Context): void {
  const policy = program
    .command("policy")
    .description("what may happen outside without a person: the rules of policy.toml");
  policy
    .command("show", { isDefault: true })
    .description("list the rules, in the order they are tried")
    .action(() => show(context));
  policy
    .command("check")
    .description("see whether a policy file is right, without using it")
    .argument("[file]", "default: the one in use; - reads standard input")
    .action((file: string | undefined) => check(context, file));
  policy
    .command("explain")
    .description("tell which rule decides about an effect, and why the others do not")
    .argument("[effect]", "its id; without it, what the options say")
    .option("--kind <kind>", "such as command, http, shell; default: command")
    .option("--target <name>", "whom it goes to")
    .option("--action <name>", "what is asked for")
    .option("-p, --payload <json>", "a JSON object", jsonObject)
    .option("--source <name>", "who asks: workflow:NAME, cli, an agent's name; default: cli")
    .action((id: string | undefined, options: ExplainOptions) => explain(context, id, options));
  policy
    .command("suggest")
    .description("suggest rules for what you decided in the same way again and again")
    .option("--accept <number>", "add this one to the policy file", wholeNumber)
    .action((options: { accept?: number }) => suggest(context, options));
  policy
    .command("test")
    .description("judge the cases of a file and compare with what they expect")
    .argument("<file>", "TOML with [[case]] tables; - reads standard input")
    .option("--policy <file>", "test this policy file instead of the one in use")
    .action((file: string, options: { policy?: string }) => test(context, file, options));
}

const decisionPart = (decision: string): Part =>
  styled(decision === "allow" ? "green" : decision === "deny" ? "red" : "yellow", decision);

function printRules(
  { out }: Context,
  { rules, budgets }: Pick<RouteOutput<"getPolicy">, "rules" | "budgets">,
): void {
  printTable(out, {
    head: ["DECISION", "RULE", "WHEN"],
    rows: rules.map((rule) => [decisionPart(rule.decision), rule.rule, rule.when.join(", ")]),
    flexible: [1, 2],
    empty: "No rules.",
  });
  if (budgets.length === 0) return;
  out.line("");
  printTable(out, {
    head: ["BUDGET", "UNASKED", "WHEN"],
    rows: budgets.map((one) => [one.budget, budgetText(one), one.when.join(", ")]),
    flexible: [0, 2],
    empty: "",
  });
}

function budgetText({ count, bytes, per }: RouteOutput<"getPolicy">["budgets"][number]): string {
  const limits = [count === null ? null : String(count), bytes === null ? null : `${bytes} bytes`];
  return `${limits.filter((limit) => limit !== null).join(" and ")} per ${per}`;
}

async function show(context: Context): Promise<void> {
  const { client, out } = context;
  const reply = await (await client()).getPolicy();
  out.result(reply, () => {
    printRules(context, reply);
    if (reply.problem !== null) out.remark(styled("red", reply.problem));
    out.remark(`Rules of your own go into ${reply.file}; docs/policy.md says how.`);
  });
}

async function check(context: Context, file: string | undefined): Promise<void> {
  const { out, io } = context;
  const path = file ?? context.paths.policyFile;
  if (file === undefined && !existsSync(path)) {
    const reply = await (await context.client()).getPolicy();
    out.result(reply, () =>
      out.line(`There is no ${path}, so the defaults count: signalbox policy lists them.`),
    );
    return;
  }
  const text = await readInput(io, path);
  const reply = await (await context.client()).checkPolicy({ text, file: path });
  out.result(reply, () => {
    if (reply.ok) printRules(context, reply);
    else out.line(styled("red", reply.problem ?? ""));
  });
  if (!reply.ok) context.exit(1);
}

async function explain(context: Context, id: string | undefined, options: ExplainOptions): Promise<void> {
  const { target, source = "cli", ...rest } = options;
  if (id === undefined && target === undefined)
    throw new UsageError(
      "say which effect: its id, or --target NAME",
      "See signalbox policy explain --help.",
    );
  const request =
    id === undefined ? { act: { target: target ?? "", source, ...given(rest) } } : { effect_id: id };
  const reply = await (await context.client()).explainPolicy(request);
  context.out.result(reply, () => {
    context.out.line(decisionPart(reply.decision), `  ${reply.rule}`);
    printTable(context.out, {
      head: ["", "RULE", "WHY"],
      rows: reply.steps.map((step) => [step.matched ? "→" : "", step.rule, step.why]),
      flexible: [1, 2],
      empty: "",
    });
  });
}

async function suggest(context: Context, { accept }: { accept?: number }): Promise<void> {
  const { client, out } = context;
  const service = await client();
  const reply = await service.suggestPolicy();
  const { suggestions } = reply;
  if (accept === undefined) {
    out.result(reply, () => printSuggestions(context, suggestions));
    return;
  }
  requirePerson(context);
  const chosen = suggestions[accept - 1];
  if (!chosen)
    throw new UsageError(`there is no suggestion ${accept}`, "signalbox policy suggest lists them.");
  const accepted = await service.acceptSuggestion({ suggestion: chosen.id, by: "cli" });
  out.result(accepted, () => {
    out.line(accepted.rule.trimEnd());
    out.remark(`Added to ${accepted.file}.`);
  });
}

function printSuggestions({ out }: Context, suggestions: Suggestion[]): void {
  suggestions.forEach(({ toml, why, decision, past, expires_ms }, index) => {
    if (index > 0) out.line("");
    out.line(styled("bold", `${index + 1}  `), decisionPart(decision), `  ${why}`);
    for (const line of toml.trimEnd().split("\n")) out.line(styled("dim", `   ${line}`));
    out.line(
      `   It would have said the same ${count(past.length, "time")}, and ends ${showAge(expires_ms)}:`,
    );
    for (const one of past)
      out.line(`   ${showTime(one.time_ms)}  ${one.effect_id}  ${one.decision} by ${one.by}  ${one.summary}`);
  });
  out.remark(
    suggestions.length === 0
      ? "Nothing to suggest: a rule is suggested once you have decided the same way three times, and never otherwise."
      : "\nsignalbox policy suggest --accept NUMBER adds one to the policy file.",
  );
}

async function test(context: Context, file: string, options: { policy?: string }): Promise<void> {
  const { io, out } = context;
  const text = await readInput(io, file);
  const policy = options.policy === undefined ? undefined : await readInput(io, options.policy);
  const reply = await (await context.client()).testPolicy({ text, file, ...given({ policy }) });
  const failed = reply.results.filter((one) => !one.ok).length;
  out.result(reply, () => {
    printTable(out, {
      head: ["", "CASE", "DECISION", "RULE"],
      rows: reply.results.map((one) => [
        one.ok ? styled("green", "ok") : styled("red", "wrong"),
        one.name,
        one.ok ? one.decision : `${one.decision}, expected ${one.expect}`,
        one.rule,
      ]),
      flexible: [1, 3],
      empty: "",
    });
  });
  if (failed > 0) context.exit(1);
}
