import type { ActionDefinition } from "./definition.ts";

/** What a script reads when parameters or an answer do not fit their schema (B19). */
export function schemaFailure(what: string): string {
  return `Schema Validation Failure: ${what}`;
}

/** What a script reads when an action fails: `prometheus.query failed: connection refused` (K16), or Kael's later words. */
export function runFailure(
  name: string,
  { flavour }: Pick<ActionDefinition, "flavour">,
  why: string,
): string {
  return flavour === "tools.define_tool" ? `Tool Run Failure: ${why}` : `${name} failed: ${why}`;
}
