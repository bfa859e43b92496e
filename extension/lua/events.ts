import type { FieldShape, TypeShape, ValueKind, ValueShape } from "../../service/contract/types.ts";
import { boundParameter, callType, chosen, namedCall, signaturesOf } from "./calls.ts";
import type { Inference } from "./inference.ts";
import { valueAt } from "./narrow.ts";
import type { Call, Expression, FunctionBody, Member } from "./syntax/ast.ts";
import {
  any,
  boolean,
  fieldOf,
  integer,
  literal,
  nil,
  number,
  object,
  type Signature,
  string,
  type Type,
  union,
} from "./types.ts";

/** A handler of `sekia.on` or `signalbox.on`. */
export interface HandlerContext {
  call: Call;
  /** Null while it is not a plain text. */
  pattern: string | null;
  fn: FunctionBody;
}

export function isOn(name: string | undefined): boolean {
  return name === "sekia.on" || name === "signalbox.on";
}

/** The handler that a function is; null for any other. */
export function handlerOf(fn: FunctionBody): HandlerContext | null {
  if (fn.up?.kind !== "call") return null;
  const named = namedCall(fn.up);
  if (!named || !isOn(named.name) || !named.args.includes(fn)) return null;
  const [pattern] = named.args;
  return { call: fn.up, pattern: pattern?.kind === "string" ? pattern.value : null, fn };
}

/** What whoever takes a function gives to it. */
export function contextOfFunction(infer: Inference, fn: FunctionBody): Signature | null {
  const { up } = fn;
  if (!up) return null;
  if (up.kind === "call") {
    const index = up.args.indexOf(fn);
    const type = callType(infer, up);
    const signature = chosen(infer, up, signaturesOf(type));
    const asked = signature ? boundParameter(infer, up, signature, index + (up.method ? 1 : 0)) : null;
    return asked ? (signaturesOf(asked)[0] ?? null) : null;
  }
  if (up.kind === "local") {
    const type = infer.typeInDoc(up.doc, up.values.indexOf(fn));
    return type ? (signaturesOf(type)[0] ?? null) : null;
  }
  return null;
}

/** The handler whose event an expression is, as in `event` or a local that was set to it. */
export function eventHandler(node: Expression): HandlerContext | null {
  if (node.kind !== "name" || !node.local) return null;
  const { origin } = node.local;
  if (origin.kind === "parameter") return origin.index === 0 ? handlerOf(origin.fn) : null;
  if (origin.kind !== "value") return null;
  const value = origin.values[origin.index];
  return value ? eventHandler(value) : null;
}

/** `event.payload` inside a handler: what recorded events of its subject held, by type where a condition names it. */
export function payloadAt(infer: Inference, node: Member): Type | null {
  if (node.name.name !== "payload") return null;
  const handler = eventHandler(node.object);
  if (!handler || handler.pattern === null) return null;
  const all = infer.project.host.types(handler.pattern);
  if (!all || all.length === 0) return null;
  const type = valueAt(node, node.object, "type");
  const fitting = type === null ? all : all.filter((one) => one.type === type);
  return fitting.length === 0 ? null : payloadType(fitting);
}

/** Types recorded for the subject of the handler that an event belongs to. */
export function typesOfEvent(infer: Inference, event: Expression): TypeShape[] | null {
  const handler = eventHandler(event);
  if (!handler || handler.pattern === null) return null;
  return infer.project.host.types(handler.pattern);
}

export function payloadType(shapes: TypeShape[]): Type {
  const sampled = shapes.reduce((sum, shape) => sum + shape.sampled, 0);
  const merged = shapes.length === 1 ? shapes[0]?.payload : merge(shapes);
  if (!merged) return any;
  const words = shapes.length === 1 ? `\`${shapes[0]?.type}\` events` : "events of this subject";
  return recordedType(merged, `the newest ${sampled} ${words}`);
}

/** Payloads of several types as one: a field of only some of them may be absent. */
function merge(shapes: TypeShape[]): ValueShape {
  const sampled = shapes.reduce((sum, shape) => sum + shape.sampled, 0);
  const fields: Record<string, FieldShape> = {};
  for (const { payload, sampled: count } of shapes) {
    for (const [name, field] of Object.entries(payload.fields ?? {})) {
      const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
      const share = (field.presence * count) / Math.max(1, sampled);
      if (!known) fields[name] = { ...field, presence: share };
      else {
        const { values: _values, ...rest } = known;
        const all = [...new Set([...(known.values ?? []), ...(field.values ?? [])])];
        const hasAll = known.values !== undefined && field.values !== undefined;
        fields[name] = {
          ...rest,
          ...(hasAll ? { values: all } : {}),
          kinds: [...new Set([...known.kinds, ...field.kinds])],
          presence: known.presence + share,
        };
      }
    }
  }
  return { kinds: ["object"], fields };
}

function recordedType(shape: ValueShape, where: string): Type {
  return union(shape.kinds.map((kind) => typeOfKind(kind, shape, where)));
}

function typeOfKind(kind: ValueKind, shape: ValueShape, where: string): Type {
  switch (kind) {
    case "string":
      return shape.values
        ? union(shape.values.filter((one) => typeof one === "string").map(literal))
        : string;
    case "integer":
      return integer;
    case "number":
      return number;
    case "boolean":
      return boolean;
    // A field that is null is absent in Lua.
    case "null":
      return nil;
    case "array":
      return { kind: "array", element: shape.items ? recordedType(shape.items, where) : any };
    case "object":
      return recordedObject(shape, where);
  }
}

function recordedObject(shape: ValueShape, where: string): Type {
  const list = Object.entries(shape.fields ?? {})
    .sort(([, one], [, other]) => other.presence - one.presence)
    .map(([name, field]) => {
      const optional = field.presence < 1;
      const share = percent(field.presence);
      const type = recordedType(field, where);
      return fieldOf(name, optional ? union([type, nil]) : type, {
        optional,
        detail: share,
        doc: recordedDoc(field, `In ${share} of ${where}.`),
      });
    });
  return object({ list, recorded: list.length > 0 });
}

function recordedDoc(field: FieldShape, presence: string): string {
  const lines = [presence];
  if (field.sample !== undefined) lines.push(`For example \`${field.sample.replaceAll("`", "'")}\``);
  return lines.join("\n\n");
}

function percent(presence: number): string {
  const share = Math.round(presence * 100);
  // Rounding must not say that what is sometimes absent is always there.
  if (share === 100 && presence < 1) return "99%";
  return `${Math.max(1, share)}%`;
}
