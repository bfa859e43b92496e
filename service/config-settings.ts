import * as z from "zod";
import { configSchema } from "./config.ts";

/** One setting, as people write it. */
export interface Setting {
  /** `workflows.hot_reload`. */
  readonly key: string;
  /** `SIGNALBOX_WORKFLOWS_HOT_RELOAD`. */
  readonly env: string;
  readonly kind: "text" | "choice" | "whole number" | "number" | "switch" | "list" | "secret";
  /** For a choice. */
  readonly values: readonly string[];
  readonly default: unknown;
  readonly description: string;
}

/** The part of JSON Schema that zod writes for the settings. */
interface Node {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
}

const root = z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" }) as Node;

export const settings: readonly Setting[] = collect(root, []);
export const settingByKey: ReadonlyMap<string, Setting> = new Map(settings.map((one) => [one.key, one]));

function collect(node: Node, path: readonly string[]): Setting[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const here = [...path, name];
    return child.properties ? collect(child, here) : [toSetting(child, here)];
  });
}

function toSetting(node: Node, path: readonly string[]): Setting {
  return {
    key: path.join("."),
    env: `SIGNALBOX_${path.join("_").toUpperCase()}`,
    kind: kindOf(node),
    values: node.enum ?? [],
    default: node.default,
    description: node.description ?? "",
  };
}

function kindOf(node: Node): Setting["kind"] {
  if (node.anyOf?.some((option) => option.properties?.env)) return "secret";
  if (node.enum) return "choice";
  if (node.type === "integer") return "whole number";
  if (node.type === "number") return "number";
  if (node.type === "boolean") return "switch";
  return node.type === "array" ? "list" : "text";
}

/** Names that may stand at a place: of sections, settings, or fields of a list's entries. Null: nothing has names there. */
export function namesAt(path: readonly PropertyKey[]): string[] | null {
  let node: Node | undefined = root;
  for (const step of path) {
    node = typeof step === "number" ? node?.items : node?.properties?.[String(step)];
  }
  return node?.properties ? Object.keys(node.properties) : null;
}

/** What a value must be, as the end of "… must be". */
export function expectation(setting: Setting): string {
  switch (setting.kind) {
    case "text":
      return "text";
    case "choice":
      return `one of ${setting.values.join(", ")}`;
    case "switch":
      return "true or false";
    case "list":
      return "a list";
    case "secret":
      return 'the place of a secret, { env = "NAME" } or { file = "path" }';
    default:
      return `a ${setting.kind}`;
  }
}
