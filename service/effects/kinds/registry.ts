import type { JsonObject } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import { nearest } from "../../lib/nearest.ts";
import type { EffectKind } from "./kind.ts";

/** The kinds that this service carries out itself, by name. */
export interface Kinds {
  readonly all: readonly EffectKind[];
  /** By its name or an older one; undefined for `command`, `ask`, and what is unknown. */
  find(name: string): EffectKind | undefined;
  /** @throws SignalboxError `invalid_request` */
  require(name: string): EffectKind;
}

export function createKinds(list: readonly EffectKind[]): Kinds {
  const byName = new Map<string, EffectKind>();
  for (const kind of list) {
    for (const name of [kind.kind, ...(kind.aliases ?? [])]) {
      if (byName.has(name)) throw new Error(`two kinds of effect are called ${name}`);
      byName.set(name, kind);
    }
  }
  return {
    all: list,
    find: (name) => byName.get(name),
    require(name) {
      const found = byName.get(name);
      if (found) return found;
      const names = list.map(({ kind }) => kind);
      const meant = nearest(name, names);
      throw new SignalboxError("invalid_request", `there is no kind of effect called ${name}`, {
        hint: meant === null ? `There are: ${["command", ...names].join(", ")}.` : `Did you mean ${meant}?`,
      });
    },
  };
}

/** An act of a kind, ready to be judged: what is hashed, shown and done. */
export interface KindAct {
  kind: string;
  target: string;
  action: string;
  payload: JsonObject;
  summary: string;
}

/**
 * Fills in defaults; a block's `target` goes where the kind keeps it (R69–R71).
 * @throws SignalboxError `invalid_request` with each fault
 */
export function actOf(kind: EffectKind, given: JsonObject, target?: string): KindAct {
  const field = kind.targetField;
  const isMissing = field !== undefined && given[field] === undefined;
  const payload = checkedPayload(
    kind,
    isMissing && target !== undefined ? { [field]: target, ...given } : given,
  );
  return {
    kind: kind.kind,
    target: kind.target(payload),
    action: kind.action(payload),
    payload,
    summary: kind.summary(payload),
  };
}

/** @throws SignalboxError `invalid_request` */
export function checkedPayload(kind: EffectKind, given: JsonObject): JsonObject {
  const parsed = kind.schema.safeParse(given);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) =>
      path.length === 0 ? message : `${path.join(".")}: ${message}`,
    );
    throw new SignalboxError("invalid_request", `${kind.kind}: ${faults.join("; ")}`);
  }
  // What JSON can't hold, such as a field that is undefined, is no part of what is hashed.
  return JSON.parse(JSON.stringify(parsed.data)) as JsonObject;
}
