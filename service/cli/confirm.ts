import type { Context } from "./context.ts";
import { UsageError } from "./usage.ts";

/**
 * Goes on when the person before the terminal says yes.
 * @throws UsageError when they do not, or when nobody is there to ask
 */
export async function confirmed(
  { io, out }: Context,
  question: string,
  isSure: boolean | undefined,
  unasked = "This can't be undone, and nobody is here to ask.",
): Promise<void> {
  if (isSure) return;
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true) throw new UsageError(unasked, "Add --yes.");
  const { createInterface } = await import("node:readline/promises");
  const prompt = createInterface({ input: io.stdin });
  out.rawError(`${question} [y/N] `);
  const answer = await prompt.question("");
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError("Nothing was changed.", "Answer y to go on.");
}
