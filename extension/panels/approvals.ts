import type { ExtensionContext } from "vscode";
import type { Disposable } from "../emitter.ts";
import type { Log, ServiceLink } from "../service.ts";

export interface Approvals extends Disposable {
  /** How many effects wait for a person. */
  readonly waiting: number;
}

export function createApprovals(
  _context: ExtensionContext,
  _link: ServiceLink,
  _log: Log,
  _onWaiting: (count: number) => void,
): Approvals {
  return { waiting: 0, dispose() {} };
}
