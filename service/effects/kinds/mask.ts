import type { Json, JsonObject } from "../../contract/common.ts";
import { sha256 } from "../../lib/canonical.ts";
import { isSecretName } from "../../lib/secret-name.ts";

export { isSecretName };

/** Another secret looks different, so that a change can be seen without it. */
export function mask(text: string): string {
  return `[secret ${sha256(text).slice(0, 6)}]`;
}

/** The same value with texts and numbers masked wherever their name says that they are secret. */
export function maskFields<T extends Json>(value: T): T {
  return maskValue(value, false) as T;
}

function maskValue(value: Json, isSecret: boolean): Json {
  if (Array.isArray(value)) return value.map((item) => maskValue(item, isSecret));
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value as JsonObject);
    return Object.fromEntries(
      fields.map(([name, field]) => [name, maskValue(field, isSecret || isSecretName(name))]),
    );
  }
  if (!isSecret || value === null || typeof value === "boolean") return value;
  return mask(String(value));
}

/** A URL with the values of secret parameters masked. */
export function maskUrl(text: string): string {
  const query = text.indexOf("?");
  if (query < 0) return text;
  const parts = text.slice(query + 1).split("&");
  const shown = parts.map((part) => {
    const [name = "", ...value] = part.split("=");
    return isSecretName(decoded(name)) && value.length > 0 ? `${name}=${mask(value.join("="))}` : part;
  });
  return `${text.slice(0, query)}?${shown.join("&")}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Not percent-encoded after all.
  }
}
