import type { Approval } from "../contract/approvals.ts";
import { statusPart } from "./event-view.ts";
import type { Output } from "./output.ts";
import { showAge, showTime, styled } from "./text.ts";

function printJson(out: Output, title: string, value: object): void {
  out.line(styled("dim", title));
  for (const line of JSON.stringify(value, null, 2).split("\n")) out.line(`  ${line}`);
}

/** All that is approved, nothing left out or cut. */
export function printApproval(out: Output, approval: Approval): void {
  const { code, effect, chain, risks, difference, decision } = approval;
  const { cause } = effect;
  out.fields([
    ["code", styled("bold", code)],
    ["id", effect.id],
    ["state", statusPart(effect.state)],
    ["summary", effect.summary],
    ["what", `${effect.kind} ${effect.action} → ${effect.target}`],
    ["sha256", effect.sha256],
    ["from", [cause.source, cause.line].filter((part) => part !== null).join(" at ")],
    ["run", cause.run_id],
    ["says", effect.note],
    ["policy", effect.policy.rule],
    ["asked", showAge(effect.created_ms)],
    ["expires", approval.expires_ms === null ? null : showAge(approval.expires_ms)],
  ]);
  out.line("");
  printJson(out, "payload", effect.payload);
  if (effect.bound !== null) printJson(out, "bound to", effect.bound);
  if (chain.length > 0) {
    out.line(styled("dim", "because of"));
    for (const event of chain) {
      out.line(`  ${showTime(event.time_ms)}  ${event.event_id}  ${event.type} from ${event.source}`);
      if (event.body) out.line(`    ${event.body}`);
    }
  }
  if (difference !== null) {
    out.line(styled("dim", `against ${difference.effect_id}, ${showAge(difference.created_ms)}`));
    const text = (value: unknown) => (value === undefined ? "nothing" : JSON.stringify(value));
    for (const { path, before, after } of difference.changes)
      out.line(`  ${path}: ${text(before)} → ${text(after)}`);
    if (difference.changes.length === 0) out.line("  the same");
  }
  for (const risk of risks) out.line(styled("yellow", `! ${risk}`));
  if (decision !== null) {
    const { by, reason } = decision;
    const why = reason === null ? "" : `: ${reason}`;
    out.line(styled("bold", `${decision.decision} by ${by ?? "nobody"}, ${showAge(decision.time_ms)}${why}`));
  }
}
