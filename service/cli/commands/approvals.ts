import type { Command } from "commander";
import type { Approval } from "../../contract/approvals.ts";
import { printApproval } from "../approval-view.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { wholeNumber } from "../parse.ts";
import { requirePerson } from "../person.ts";
import { printTable } from "../table.ts";
import { showAge, showTime, styled } from "../text.ts";
import { UsageError } from "../usage.ts";

interface ApproveOptions {
  yes?: boolean;
  code?: string;
  sha256?: string;
  reason?: string;
  choice?: string;
  remember?: number | true;
}

const REMEMBER_DAYS = 30;

export function register(program: Command, context: Context): void {
  const approvals = program
    .command("approvals")
    .description("effects that wait for a person: look, approve, deny");
  approvals
    .command("list", { isDefault: true })
    .description("list what waits, newest first")
    .option("-n, --limit <count>", "at most so many", wholeNumber, 50)
    .option("--before <id>", "the page after the one that named this id")
    .action((options: { limit: number; before?: string }) => list(context, options));
  approvals
    .command("show")
    .description("show an approval: what, why, what is new about it")
    .argument("<id>", "the effect's id, or the code")
    .action(async (id: string) => {
      const approval = await (await context.client()).getApproval({ approval: id });
      context.out.result(approval, () => printApproval(context.out, approval));
    });
  approvals
    .command("approve")
    .description("show all of it, then approve it")
    .argument("<id>", "the effect's id, or the code")
    .option("-y, --yes", "do not ask; needs --code or --sha256")
    .option("--code <code>", "what is approved, as it was shown")
    .option("--sha256 <hash>", "the same, by its hash")
    .option("--choice <answer>", "the answer to a question")
    .option("--reason <text>", "for the audit trail")
    .option("--remember [days]", "let exactly this through unasked for so many days (30)", wholeNumber)
    .action((id: string, options: ApproveOptions) => approve(context, id, options));
  approvals
    .command("deny")
    .description("deny it")
    .argument("<id>", "the effect's id, or the code")
    .option("--reason <text>", "told to whoever asked")
    .action((id: string, options: { reason?: string }) => deny(context, id, options));
  approvals
    .command("watch")
    .description("follow what waits, and each decision")
    .action(() => watch(context));
}

async function list({ client, out }: Context, options: { limit: number; before?: string }): Promise<void> {
  const page = await (await client()).listApprovals(options);
  out.result(page, () => {
    printTable(out, {
      head: ["TIME", "CODE", "ID", "FROM", "EXPIRES", "SUMMARY"],
      rows: page.approvals.map(({ code, effect, asked_by, expires_ms }) => [
        styled("dim", showTime(effect.created_ms)),
        styled("bold", code),
        effect.id,
        effect.cause.line ?? asked_by,
        expires_ms === null ? "" : showAge(expires_ms),
        effect.summary,
      ]),
      flexible: [3, 5],
      empty: "Nothing waits for you.",
    });
    if (page.next !== null) out.remark(`There is more: --before ${page.next}`);
  });
}

async function approve(context: Context, id: string, options: ApproveOptions): Promise<void> {
  const { out } = context;
  requirePerson(context);
  const { yes, code, sha256, reason } = options;
  if (yes && code === undefined && sha256 === undefined)
    throw new UsageError(
      "--yes needs --code or --sha256, so that it is clear what is approved.",
      "signalbox approvals show ID prints both.",
    );
  const client = await context.client();
  const shown = await client.getApproval({ approval: id });
  if (!out.isJson()) printApproval(out, shown);
  const open = options.choice === undefined ? choicesOf(shown) : [];
  const typed = yes ? undefined : await confirmed(context, open);
  const choice = options.choice ?? typed;
  // What was shown is what is approved: bytes that change meanwhile are refused.
  const remember_days = options.remember === true ? REMEMBER_DAYS : options.remember;
  const what = {
    sha256: sha256 ?? shown.effect.sha256,
    ...given({ code, reason, choice, remember_days }),
  };
  const reply = await client.decideApproval({
    approval: shown.effect.id,
    decision: "approve",
    by: "cli",
    ...what,
  });
  out.result(reply, () => {
    out.line(styled("green", "approved"), `  ${reply.effect.id}`);
    if (remember_days !== undefined)
      out.remark(`Remembered for ${remember_days} days, as a rule in policy.toml.`);
  });
}

async function deny(context: Context, id: string, { reason }: { reason?: string }): Promise<void> {
  requirePerson(context);
  const client = await context.client();
  const { effect } = await client.getApproval({ approval: id });
  const reply = await client.decideApproval({
    ...{ approval: effect.id, decision: "deny", by: "cli", sha256: effect.sha256 },
    ...given({ reason }),
  });
  context.out.result(reply, () => {
    context.out.line(styled("red", "denied"), `  ${effect.id}  ${effect.summary}`);
  });
}

async function watch({ client, out, io }: Context): Promise<void> {
  const stream = (await client()).streamApprovals({}, given({ signal: io.signal }));
  for await (const approval of stream) {
    out.item(approval, () => {
      const { effect, decision, code } = approval;
      const end =
        decision === null
          ? effect.state
          : `${effect.state}, ${decision.decision} by ${decision.by ?? "nobody"}`;
      out.line(styled("bold", code), `  ${effect.id}  ${effect.summary}  `, styled("yellow", end));
    });
  }
}

function choicesOf({ effect }: Approval): string[] {
  return effect.kind === "ask" ? ((effect.payload.choices as string[] | undefined) ?? []) : [];
}

/** The person's yes; where there are several answers, the one that they type. */
async function confirmed({ io, out }: Context, choices: string[]): Promise<string | undefined> {
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true)
    throw new UsageError(
      "Nobody is here to ask.",
      "Look at it with approvals show, then add --yes and --code or --sha256.",
    );
  const { createInterface } = await import("node:readline/promises");
  const prompt = createInterface({ input: io.stdin });
  const isQuestion = choices.length > 1;
  out.rawError(isQuestion ? `Answer (${choices.join(", ")}): ` : "Approve exactly this? [y/N] ");
  const answer = await prompt.question("");
  prompt.close();
  if (isQuestion && choices.includes(answer.trim())) return answer.trim();
  if (isQuestion) throw new UsageError("Nothing was decided.", `Answer one of: ${choices.join(", ")}`);
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError("Nothing was decided.", "Answer y to approve.");
  return undefined;
}
