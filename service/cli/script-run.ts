import { createInterface } from "node:readline/promises";
import type { Client } from "../client/call.ts";
import type { ScriptItem } from "../contract/actions.ts";
import type { Approval } from "../contract/approvals.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Run } from "../contract/workflows.ts";
import type { Context } from "./context.ts";
import { given } from "./given.ts";
import { printProgress, printRequest } from "./script-view.ts";
import { styled } from "./text.ts";

interface FollowOptions {
  /** Approve what this run asks for, without asking. */
  yes: boolean;
  /** Ends the script. */
  signal: AbortSignal;
  /** How a person is asked; null where nobody is there. */
  ask: ((question: string) => Promise<string>) | null;
  /** Told of each answer of the script, on standard output. */
  onPrint(text: string): void;
}

/**
 * Shows a script up to its end, and gets the decisions that it needs.
 * @throws SignalboxError `approval_required` where it needs one and nobody is there to ask
 */
export async function followScript(context: Context, run_id: string, options: FollowOptions): Promise<Run> {
  const client = await context.client();
  const decided = new Set<string>();
  const stop = () => void client.stopScript({ run_id }).catch(() => undefined); // It may have ended already.
  if (options.signal.aborted) stop();
  options.signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const item of client.streamScript({ run_id })) {
      show(context, item, options);
      if (item.kind === "end") return item.run;
      if (item.kind !== "effect" || item.approval === null || decided.has(item.approval.code)) continue;
      decided.add(item.approval.code);
      await decide(context, client, run_id, item.approval, options);
    }
  } finally {
    options.signal.removeEventListener("abort", stop);
  }
  throw new SignalboxError("service_unreachable", "the service went away while the script ran");
}

function show({ out }: Context, item: ScriptItem, options: FollowOptions): void {
  if (out.isJson()) out.item(item, () => undefined);
  else if (item.kind === "print") options.onPrint(item.text);
  else printProgress(out, item);
}

async function decide(
  context: Context,
  client: Client,
  run_id: string,
  approval: Approval,
  { yes, ask: askPerson, signal }: FollowOptions,
): Promise<void> {
  const { effect } = approval;
  const ask = askPerson && untilAborted(askPerson, signal);
  const isQuestion = effect.kind === "ask";
  if (!context.out.isJson() || ask !== null) printRequest(context.out, approval);
  if (yes && !isQuestion) {
    await answer(context, client, approval, "approve", "--yes at the command line");
    return;
  }
  if (ask === null) {
    if (isQuestion) {
      context.out.remark(
        styled("yellow", `It waits for an answer: signalbox approvals approve ${approval.code}`),
      );
      return;
    }
    await client.stopScript({ run_id });
    throw new SignalboxError(
      "approval_required",
      `${effect.target} needs your approval, and nobody is here to ask`,
      {
        details: { effect_id: effect.id, target: effect.target, bound: effect.bound },
        ...(effect.kind === "action" ? { hint: howTo(effect.target) } : {}),
      },
    );
  }
  if (isQuestion) await answerQuestion(context, client, approval, ask, signal);
  else {
    const typed = await ask("Run exactly this? [y/N] ");
    if (signal.aborted) return;
    await answer(context, client, approval, /^y(es)?$/i.test(typed.trim()) ? "approve" : "deny", null);
  }
}

/** Ctrl-C at a question ends the script; there is no answer to wait for then. */
function untilAborted(ask: (question: string) => Promise<string>, signal: AbortSignal) {
  return (question: string): Promise<string> => {
    const aborted = new Promise<string>((resolve) => {
      signal.addEventListener("abort", () => resolve(""), { once: true });
    });
    return signal.aborted ? Promise.resolve("") : Promise.race([ask(question), aborted]);
  };
}

const howTo = (action: string) =>
  `Look at it with \`signalbox actions describe ${action}\`, then \`signalbox actions approve ${action}\`; or run with --yes.`;

async function answerQuestion(
  context: Context,
  client: Client,
  approval: Approval,
  ask: (question: string) => Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  const choices = (approval.effect.payload.choices as string[] | undefined) ?? [];
  const typed = (await ask(`Answer (${choices.join(", ")}): `)).trim();
  if (signal.aborted) return;
  if (choices.includes(typed)) await answer(context, client, approval, "approve", null, typed);
  else await answer(context, client, approval, "deny", "no answer was given at the command line");
}

async function answer(
  context: Context,
  client: Client,
  { effect }: Approval,
  decision: "approve" | "deny",
  reason: string | null,
  choice?: string,
): Promise<void> {
  const request = {
    ...{ approval: effect.id, decision, sha256: effect.sha256, by: context.agent(undefined) ?? "cli" },
    ...given({ reason: reason ?? undefined, choice }),
  };
  try {
    await client.decideApproval(request);
  } catch (error) {
    // Somebody else was faster: what they decided counts.
    if (!SignalboxError.is(error, "conflict")) throw error;
    context.out.remark(styled("yellow", error.message));
  }
}

/** Asks the person before the terminal; null where there is none. Questions come one after the other. */
export function createAsk({ io, out }: Context): { ask: FollowOptions["ask"]; close(): void } {
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true) return { ask: null, close: () => undefined };
  const lines = createInterface({ input: io.stdin });
  const iterator = lines[Symbol.asyncIterator]();
  return {
    async ask(question) {
      out.rawError(question);
      const { value, done } = await iterator.next();
      return done ? "" : value;
    },
    close: () => lines.close(),
  };
}

/** Aborts on Ctrl-C, once; a second one ends the process as usual. */
export function interruptOf({ io }: Context): { signal: AbortSignal; close(): void } {
  if (io.signal) return { signal: io.signal, close: () => undefined };
  const controller = new AbortController();
  const onInterrupt = () => controller.abort();
  process.once("SIGINT", onInterrupt);
  return { signal: controller.signal, close: () => process.off("SIGINT", onInterrupt) };
}
