/** What OpenCode asks its user can be answered from Signalbox too: whoever is first decides, and only a person does. */
import * as z from "zod";
import { SignalboxError } from "../service/contract/errors.ts";
import type { Host } from "./host.ts";
import type { Hub } from "./hub.ts";
import type { Link } from "./link.ts";
import type { Settings } from "./settings.ts";

const asked = z.looseObject({
  id: z.string(),
  sessionID: z.string(),
  permission: z.string(),
  patterns: z.array(z.string()).default([]),
  metadata: z.record(z.string(), z.unknown()).default({}),
});
export type AskedPermission = z.infer<typeof asked>;

const replied = z.looseObject({
  requestID: z.string().optional(),
  permissionID: z.string().optional(),
});

export function readAsked(properties: unknown): AskedPermission | null {
  return asked.safeParse(properties).data ?? null;
}

/** `bash: rm -rf build`. */
export function permissionTitle({ permission, patterns }: AskedPermission): string {
  return `OpenCode asks for ${permission}${patterns.length === 0 ? "" : `: ${patterns.join(", ")}`}`.slice(
    0,
    500,
  );
}

interface PermissionParts {
  readonly host: Host;
  readonly hub: Hub;
  readonly link: Link;
  readonly settings: Settings;
}

const WAIT_MS = 25_000;
const DETAILS_CHARS = 10_000;
const open: ReadonlySet<string> = new Set(["proposed", "waiting", "approved", "running", "unknown"]);

export class Permissions {
  readonly #parts: PermissionParts;
  readonly #open = new Map<string, AbortController>();

  constructor(parts: PermissionParts) {
    this.#parts = parts;
  }

  /** Asks in Signalbox as well, and answers in OpenCode what was answered there. */
  async ask(request: AskedPermission): Promise<void> {
    const { host, hub, link, settings } = this.#parts;
    const answered = new AbortController();
    this.#open.set(request.id, answered);
    const event_id = hub.session(request.sessionID).inflight?.event_id;
    try {
      const effect = await link.call((client) =>
        client.askPerson({
          ...{ title: permissionTitle(request), choices: ["once", "reject"], source: settings.name },
          details: JSON.stringify({ directory: host.directory, ...request }, null, 2).slice(0, DETAILS_CHARS),
          idempotency_key: `permission:${request.id}`,
          ...(event_id === undefined ? {} : { event_id }),
        }),
      );
      const end = await this.#endOf(effect.id, answered.signal);
      if (end === null) return;
      // Expired or skipped is nobody's answer: the question in OpenCode stays as it is.
      const decided = end.state === "succeeded" || end.state === "denied";
      if (decided) await host.answerPermission(request.sessionID, request.id, end.result === "once");
    } finally {
      this.#open.delete(request.id);
    }
  }

  /** It was answered in OpenCode, so nobody need be asked any more. */
  answered(properties: unknown): void {
    const { data } = replied.safeParse(properties);
    this.#open.get(data?.requestID ?? data?.permissionID ?? "")?.abort();
  }

  close(): void {
    for (const one of this.#open.values()) one.abort();
  }

  /** Null where OpenCode's own user was faster. */
  async #endOf(effect_id: string, signal: AbortSignal) {
    const { link } = this.#parts;
    try {
      for (;;) {
        const effect = await link.call((client) =>
          client.getEffect({ effect_id, wait_ms: WAIT_MS }, { signal }),
        );
        if (!open.has(effect.state)) return effect;
        signal.throwIfAborted();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      await link
        .call((client) => client.skipEffect({ effect_id }))
        .catch((failure: unknown) => {
          // Somebody decided at the same moment; OpenCode has its answer already.
          if (!SignalboxError.is(failure, "conflict")) throw failure;
        });
      return null;
    }
  }
}
