import { l10n, window } from "vscode";
import type { Json, JsonObject } from "../../service/contract/common.ts";
import { type Field, fieldsOf, readField } from "../models/schema-form.ts";

/** The payload, asked for field by field, or as JSON where there is no schema; undefined when it was broken off. */
export async function askForPayload(
  title: string,
  schema: JsonObject | null,
): Promise<JsonObject | undefined> {
  const fields = fieldsOf(schema);
  if (fields === null) return askForJson(title);
  const payload: JsonObject = {};
  for (const [index, field] of fields.entries()) {
    const answer = await ask(`${title} (${index + 1}/${fields.length})`, field);
    if (answer === undefined) return undefined;
    if (answer.value !== undefined) payload[field.name] = answer.value;
  }
  return payload;
}

/** An answer may be to leave the field out, which is not the same as to break off. */
interface Answer {
  readonly value: Json | undefined;
}

async function ask(title: string, field: Field): Promise<Answer | undefined> {
  if (field.kind === "choice" || field.kind === "boolean") return choose(title, field);
  const typed = await window.showInputBox({
    title,
    prompt: promptOf(field),
    value: field.preset === undefined ? "" : text(field.preset),
    ignoreFocusOut: true,
    validateInput: (value) => whyNot(field, value),
  });
  return typed === undefined ? undefined : { value: readField(field, typed) };
}

function whyNot(field: Field, typed: string): string | null {
  try {
    readField(field, typed);
    return null;
  } catch (error) {
    return `${field.name} ${(error as Error).message}`;
  }
}

async function choose(title: string, field: Field): Promise<Answer | undefined> {
  const values: readonly Json[] = field.kind === "boolean" ? [true, false] : field.choices;
  const picks: { label: string; value: Json | undefined }[] = values.map((value) => ({
    label: text(value),
    value,
  }));
  if (!field.isRequired) picks.push({ label: l10n.t("leave out"), value: undefined });
  return window.showQuickPick(picks, { title, placeHolder: promptOf(field), ignoreFocusOut: true });
}

function promptOf({ name, description, isRequired }: Field): string {
  return [name, description, isRequired ? "" : l10n.t("may be left out")]
    .filter((part) => part !== "")
    .join(" — ");
}

function text(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

async function askForJson(title: string): Promise<JsonObject | undefined> {
  const parse = (typed: string): JsonObject | null => {
    try {
      const value: unknown = JSON.parse(typed);
      return typeof value === "object" && value !== null && !Array.isArray(value)
        ? (value as JsonObject)
        : null;
    } catch {
      return null; // Said below, while it is being typed.
    }
  };
  const typed = await window.showInputBox({
    title,
    prompt: l10n.t("The payload, as a JSON object"),
    value: "{}",
    ignoreFocusOut: true,
    validateInput: (value) => (parse(value) === null ? l10n.t("Must be a JSON object") : null),
  });
  return typed === undefined ? undefined : (parse(typed) ?? {});
}
