import type { Effect } from "../../contract/effects.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Parsed } from "../../contract/routes.ts";
import type { Proposal } from "../../effects/ledger.ts";
import { newId } from "../../lib/ids.ts";
import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

type EffectRoutes = "proposeEffect" | "previewEffect" | "listKinds";

export function effectHandlers(parts: Parts): Pick<Handlers, EffectRoutes> {
  const { ledger } = parts;
  return {
    proposeEffect: async (input) => ledger.propose(await proposalOf(parts, input)),
    previewEffect: async (input) => preview(parts, await proposalOf(parts, input)),
    listKinds: async () => ({
      kinds: ledger.kinds.all.map(({ kind, title, aliases = [], familiar }) => ({
        ...{ kind, title, aliases: [...aliases] },
        remembers: familiar,
      })),
    }),
  };
}

/**
 * A model's `action` block has `type` where we say `kind`. What it says in `summary` is kept as a note: what people
 * read first is made from the payload.
 */
async function proposalOf({ store }: Parts, input: Parsed<"proposeEffect">): Promise<Proposal> {
  const { kind, type, target, action, payload, summary, source, event_id, idempotency_key, expires_in_ms } =
    input;
  // What a workflow's file asks for is trusted, so nobody else may speak in a workflow's name.
  if (source.startsWith("workflow:"))
    throw new SignalboxError("forbidden", "only a workflow itself is a source of that name");
  if ((kind === undefined) === (type === undefined))
    throw new SignalboxError("invalid_request", "give either kind or type");
  const name = kind ?? type ?? "";
  if (name === "ask")
    throw new SignalboxError("invalid_request", "a question is asked at POST /v1/approvals");
  if (name === "command" && (target === undefined || action === undefined))
    throw new SignalboxError(
      "invalid_request",
      "a command needs target (the agent) and action (the command)",
    );
  const event = event_id === undefined ? null : await store.getEvent(event_id);
  if (event_id !== undefined && !event)
    throw new SignalboxError("not_found", `there is no event ${event_id}`);
  return {
    ...{ kind: name, target, action, payload, note: summary, expires_in_ms },
    cause: {
      ...{ event_id: event?.id ?? null, run_id: null, workflow: null, version: null, line: null },
      source,
    },
    idempotency_key: `${source}:${idempotency_key ?? newId("key")}`,
    correlation_id: event ? (event.correlation_id ?? event.id) : null,
    depth: event?.depth ?? 0,
  };
}

/** What it would be and what the policy would say; nothing is recorded. */
async function preview({ ledger }: Parts, proposal: Proposal): Promise<Effect> {
  return ledger.preview(proposal);
}
