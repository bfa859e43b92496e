import * as fc from "fast-check";
import * as z from "zod";

/** Values that others have choked on. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "x\udfffy",
    "__proto__",
    "constructor",
    "toString",
    "../../etc/passwd",
    "%00",
    "%",
    "%ff",
    "null",
    "NaN",
    "-1",
    "1e309",
    "9007199254740993",
    "' OR 1=1 --",
    '"; DROP TABLE events; --',
    '"',
    '""',
    "*",
    "^",
    "NEAR(",
    "NEAR(a b, 3)",
    "a AND",
    "NOT",
    "body : x",
    "{a b}",
    "a*b*",
    "\u202e\u200b",
    "\u2028",
    "@",
    "@@",
    ">",
    "*.>",
    "a..b",
    ".a",
    "🦊",
    "İ",
    "ﬀ",
    "\r\nx: y",
    "{{7*7}}",
    "\x1b[2J",
  ),
  fc.string({ maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.integer({ min: 201, max: 70_000 }).map((length) => "x".repeat(length)),
);

const hostileNumber = fc.oneof(
  fc.constantFrom(0, -0, -1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 53) - 2, 8.64e15, 8.64e15 + 1, 1e308, 5e-324),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

const deep = fc
  .integer({ min: 2, max: 3_000 })
  .map((levels) => JSON.parse("[".repeat(levels) + "]".repeat(levels)));

/** Any JSON, also that which no schema expects. */
export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  hostileNumber,
  fc.constantFrom(null, true, false, [], {}, [[]], [null], JSON.parse('{"__proto__":{"x":1}}')),
  fc.jsonValue({ maxDepth: 3 }),
  deep,
  fc.array(hostileText, { maxLength: 5 }),
  fc.dictionary(hostileText, hostileText, { maxKeys: 4 }),
);

/** The part of JSON Schema that zod writes for the contract. */
interface Node {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Node[];
  allOf?: Node[];
  properties?: Record<string, Node>;
  required?: string[];
  additionalProperties?: Node | boolean;
  items?: Node;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  minItems?: number;
  pattern?: string;
}

/** Words that fit most patterns, and that meet what other requests made. */
const words = fc.constantFrom(
  "inbox",
  "a",
  "github.issue.opened",
  "@ann",
  "worker",
  "topics.inbox",
  "x-1",
  "job.done",
);

export interface Hints {
  /** Values by the name of their field, such as ids that exist. */
  readonly [field: string]: fc.Arbitrary<unknown>;
}

/** Values that a schema mostly accepts: made from it, with a hostile one here and there. */
export function fromSchema(schema: z.ZodType, hints: Hints): fc.Arbitrary<unknown> {
  const node = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Node;
  return spoiled(fromNode(node, hints));
}

/** One time in eight something else altogether. */
function spoiled(sound: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 14, arbitrary: sound }, { weight: 1, arbitrary: hostile });
}

function fromNode(node: Node, hints: Hints): fc.Arbitrary<unknown> {
  if (node.const !== undefined) return fc.constant(node.const);
  if (node.enum) return fc.constantFrom(...node.enum);
  if (node.anyOf) return fc.oneof(...node.anyOf.map((option) => fromNode(option, hints)));
  if (node.allOf) return fromNode(Object.assign({}, ...node.allOf) as Node, hints);
  switch (node.type) {
    case "string":
      return textOf(node);
    case "integer":
      return numberOf(node).map(Math.trunc);
    case "number":
      return numberOf(node);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(spoiled(fromNode(node.items ?? {}, hints)), {
        minLength: node.minItems ?? 0,
        maxLength: Math.min(node.maxItems ?? 4, 4),
      });
    case "object":
      return objectOf(node, hints);
    default:
      return fc.oneof(fc.dictionary(words, hostile, { maxKeys: 4 }), hostile);
  }
}

function textOf(node: Node): fc.Arbitrary<unknown> {
  const most = Math.min(node.maxLength ?? 60, 60);
  return fc.oneof(words, fc.string({ maxLength: most }), hostileText);
}

function numberOf({ minimum, maximum }: Node): fc.Arbitrary<number> {
  const low = Math.max(minimum ?? -1_000, Number.MIN_SAFE_INTEGER);
  const high = Math.min(maximum ?? 100_000, low + 1_000_000_000);
  return fc.oneof(
    fc.integer({ min: low, max: Math.max(low, high) }),
    fc.constantFrom(low, high),
    hostileNumber,
  );
}

function objectOf(node: Node, hints: Hints): fc.Arbitrary<unknown> {
  const required = new Set(node.required ?? []);
  const fields = Object.entries(node.properties ?? {}).map(([name, child]) => {
    const value = Object.hasOwn(hints, name) ? (hints[name] ?? hostile) : fromNode(child, hints);
    // Optional ones are mostly left out, else no request would ever be accepted.
    const mayBeMissing = required.has(name)
      ? spoiled(value)
      : fc.option(spoiled(value), { nil: undefined, freq: 2 });
    return [name, mayBeMissing] as const;
  });
  const sound = fc.record(Object.fromEntries(fields));
  const extra = fc
    .tuple(sound, fc.oneof(words, hostileText), hostile)
    .map(([base, key, value]) => ({ ...base, [key]: value }));
  return fc.oneof({ weight: 12, arbitrary: sound }, { weight: 1, arbitrary: extra });
}
