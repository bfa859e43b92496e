import type { ActionDetail, ActionIdentity, ScriptItem } from "../contract/actions.ts";
import type { Approval } from "../contract/approvals.ts";
import type { Run } from "../contract/workflows.ts";
import type { Output } from "./output.ts";
import { type Part, styled } from "./text.ts";

type Field = readonly [string, Part | null];

/** What an approval of an action stands for, nothing left out. */
export function identityFields(identity: ActionIdentity): Field[] {
  const { digest, commit, executor, argv, env, hosts, files, sandbox, packages } = identity;
  const list = (words: readonly string[], none: string) =>
    words.length === 0 ? styled("dim", none) : words.join(", ");
  return [
    ["commit", commit],
    ["digest", digest],
    ["runs", argv.join(" ")],
    ["executor", executor],
    ["sandbox", sandbox === "none" ? styled("red", "none: what you can read and write, it can") : sandbox],
    ["variables", list(env, "none")],
    ["hosts", list(hosts, "none")],
    ["files", list(files, "none but its own")],
    ["packages", packages.length === 0 ? null : packages.join(", ")],
  ];
}

/** Asked on standard error, since standard output is the script's. */
export function printRequest(out: Output, { effect, risks, code }: Approval): void {
  const field = ([name, value]: Field) => {
    if (value !== null) out.remark("  ", styled("dim", name.padEnd(11)), value);
  };
  out.remark("");
  out.remark(
    styled("bold", effect.kind === "action" ? effect.target : effect.summary),
    styled("dim", `  ${code}`),
  );
  if (effect.cause.line !== null) field(["line", effect.cause.line]);
  if (effect.kind === "action") {
    field(["source", sourceOf(effect.payload)]);
    for (const one of identityFields(effect.bound as ActionIdentity)) field(one);
    field(["parameters", JSON.stringify(effect.payload.params ?? {})]);
  } else field(["payload", JSON.stringify(effect.payload)]);
  for (const risk of risks) out.remark(styled("yellow", `  ! ${risk}`));
}

function sourceOf(payload: Approval["effect"]["payload"]): string | null {
  return typeof payload.repository === "string" ? `of ${payload.repository}` : null;
}

/** How a script ended, where it did not succeed: Kael's words first (K16), then the place. */
export function printEnd(out: Output, run: Run): void {
  if (run.status === "cancelled") out.remark(styled("yellow", "Stopped."));
  if (run.error === null) return;
  const { message, file, line } = run.error;
  out.remark(styled("red", `Error: ${message}`));
  if (line !== null) out.remark(styled("dim", `  at ${file ?? "?"}:${line}`));
}

/** What goes on, for people. */
export function printProgress(out: Output, item: ScriptItem): void {
  if (item.kind === "progress") out.remark(styled("dim", `${item.action}  ${item.text}`));
  else if (item.kind === "log") {
    const { level, message } = item.line;
    out.remark(
      styled(level === "error" ? "red" : level === "warn" ? "yellow" : "dim", `${level}  ${message}`),
    );
  } else if (item.kind === "effect" && item.effect.state === "running") {
    out.remark(styled("dim", `· ${item.effect.summary}`));
  }
}

export function printAction(out: Output, action: ActionDetail): void {
  const { identity, approval, approved_by, problem, notes, schema, annotations } = action;
  out.fields([
    ["name", styled("bold", action.name)],
    ["about", action.description],
    ["defined", `${action.file}:${action.line}`],
    ["source", action.source],
    ["subdir", action.subdir],
    ["tag", action.tag],
    ["entrypoint", action.entrypoint],
    ["timeout", `${action.timeout_ms / 1_000} s`],
    ["input", `${action.input_adapter}`],
    ["output", `${action.output_adapter}`],
    ["retries", action.retry_attempts === 0 ? null : String(action.retry_attempts)],
    ["cache", action.cache_ms === null ? null : `${action.cache_ms / 1_000} s`],
    ["defaults", Object.keys(action.defaults).length === 0 ? null : JSON.stringify(action.defaults)],
    ...(identity === null ? [] : identityFields(identity)),
    ["approval", approvalPart(approval, approved_by)],
    ["problem", problem === null ? null : styled("red", problem)],
  ]);
  printFields(out, "parameters", schema.input);
  printFields(out, "answer", schema.output);
  for (const { name, fields } of annotations.classes) {
    out.line(styled("dim", `class ${name}`));
    for (const field of fields)
      out.line(`  ${field.name}${field.optional ? "?" : ""}  ${field.type}  ${field.description}`.trimEnd());
  }
  for (const note of notes) out.line(styled("dim", `· ${note}`));
}

function printFields(out: Output, title: string, fields: ActionDetail["schema"]["input"]): void {
  if (fields === null) return;
  out.line(styled("dim", title));
  for (const [name, { type, required, description }] of Object.entries(fields))
    out.line(`  ${name}${required ? "" : "?"}  ${type}${description === null ? "" : `  ${description}`}`);
}

export function approvalPart(approval: ActionDetail["approval"], by: string | null): Part {
  if (approval === "approved")
    return styled("green", by === null ? "approved, has run before" : `approved by ${by}`);
  return approval === "new" ? styled("yellow", "not approved yet: asked about at its first run") : "unknown";
}
