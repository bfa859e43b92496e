import type { FieldShape, TypeShape, ValueKind, ValueShape } from "../contract/types.ts";
import { type Comment, type LuaType, printComment, type Tag } from "../lib/emmylua.ts";

const header = `---@meta signalbox.events
--- What recorded events look like, type by type, for editors that read LuaLS annotations.
--- Written by \`signalbox types export\`; write it again when events change.
`;

/** Types by name as annotated Lua: \`---@param event events.github.issue.opened\` completes its payload's fields. */
export function eventAnnotations(types: readonly TypeShape[]): string {
  const used = new Set<string>();
  const parts = types
    .toSorted((one, other) => (one.type < other.type ? -1 : 1))
    .map((shape) => classesOf(shape, used));
  return `${[header, ...parts].join("\n")}`;
}

function classesOf(shape: TypeShape, used: Set<string>): string {
  const name = unique(classNameOf(shape.type), used);
  const where = shape.subjects.slice(0, 5).map((subject) => `\`${subject}\``);
  const event = comment(`Heard on ${where.join(", ")}; ${shape.sampled} were looked at.`, [
    classTag(name, [named("signalbox.Event")]),
    fieldTag("type", { kind: "literal", value: shape.type }, false, ""),
    fieldTag("payload", named(`${name}.payload`), false, ""),
  ]);
  const fields = Object.entries(shape.payload.fields ?? {}).map(([key, field]) =>
    fieldTag(key, typeOf(field), field.presence < 1 || field.kinds.includes("null"), describe(field)),
  );
  const more = fields.length === 0 ? [fieldTag(named("string"), named("any"), false, "")] : fields;
  const payload = comment("", [classTag(`${name}.payload`), ...more]);
  return `${printComment(event)}\n\n${printComment(payload)}\n`;
}

/** `events.` and the type, with what a name can't hold replaced. */
function classNameOf(type: string): string {
  const parts = type.split(".").map((part) => part.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(?=\d)|^$/, "_"));
  return ["events", ...parts].join(".");
}

function unique(name: string, used: Set<string>): string {
  let found = name;
  for (let count = 2; used.has(found); count++) found = `${name}_${count}`;
  used.add(found);
  return found;
}

function describe({ presence, sample }: FieldShape): string {
  const often = presence < 1 ? `In ${Math.max(1, Math.min(99, Math.round(presence * 100)))}% of them` : "";
  const example = sample === undefined ? "" : `such as ${sample}`;
  // A comment ends with its line.
  return [often, example].filter(Boolean).join(", ").replace(/\s+/g, " ");
}

function typeOf(shape: ValueShape): LuaType {
  const kinds = shape.kinds.filter((kind) => kind !== "null");
  const types = kinds.flatMap((kind) => typesOfKind(kind, shape));
  const [only] = types;
  return types.length === 1 && only ? only : types.length === 0 ? named("any") : { kind: "union", types };
}

function typesOfKind(kind: ValueKind, { values, items, fields }: ValueShape): LuaType[] {
  if (kind === "array") return [{ kind: "array", element: items ? typeOf(items) : named("any") }];
  if (kind === "string" && values) return values.map((value) => ({ kind: "literal", value }));
  if (kind !== "object") return [named(kind)];
  const known = Object.entries(fields ?? {});
  if (known.length === 0) return [named("table", named("string"), named("any"))];
  return [
    {
      kind: "table",
      fields: known.map(([name, field]) => ({
        key: isWord(name) ? name : { kind: "literal", value: name },
        optional: field.presence < 1 || field.kinds.includes("null"),
        type: typeOf(field),
      })),
    },
  ];
}

function isWord(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name);
}

function named(name: string, ...args: LuaType[]): LuaType {
  return { kind: "name", name, args };
}

function comment(description: string, tags: Tag[]): Pick<Comment, "description" | "tags"> {
  return { description, tags };
}

function classTag(name: string, parents: LuaType[] = []): Tag {
  return { tag: "class", name, generics: [], parents, isExact: false, description: "", line: 0 };
}

function fieldTag(key: string | LuaType, type: LuaType, optional: boolean, description: string): Tag {
  const written =
    typeof key !== "string" || isFieldName(key) ? key : ({ kind: "literal", value: key } as const);
  return { tag: "field", key: written, optional, visibility: null, type, description, line: 0 };
}

/** As a bare word these would say who may see the field that follows. */
function isFieldName(name: string): boolean {
  return isWord(name) && !/^(public|private|protected|package)$/.test(name);
}
