import type { Effect } from "../../contract/effects.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { Parsed } from "../../contract/routes.ts";
import type { Approvals } from "../../effects/approvals.ts";
import { readAudit, verifyAudit } from "../../effects/audit.ts";
import { originOf } from "../../effects/policy.ts";
import { newId } from "../../lib/ids.ts";
import type { Handlers } from "../register.ts";
import type { EventStream } from "../stream.ts";
import type { Parts } from "./parts.ts";

type ApprovalRoutes =
  | "askPerson"
  | "listApprovals"
  | "streamApprovals"
  | "getApproval"
  | "decideApproval"
  | "listAudit"
  | "verifyAudit"
  | "exportAudit";

/** What a stream sends of what waits already, newest first. */
const FIRST = 1_000;

export function approvalHandlers(parts: Parts): Pick<Handlers, ApprovalRoutes> {
  const { store, ledger } = parts;
  const { approvals } = ledger;
  return {
    askPerson: (input) => askPerson(parts, input),
    async listApprovals(input) {
      const found = await approvals.list(input);
      const page = found.slice(0, input.limit);
      return {
        approvals: page,
        next: found.length > input.limit ? (page.at(-1)?.effect.id ?? null) : null,
      };
    },
    streamApprovals: (_input, stream) => follow(store, approvals, stream),
    getApproval: ({ approval }) => approvals.get(approval),
    decideApproval: ({ approval, ...decision }) => approvals.decide(approval, decision),
    async listAudit(input) {
      const found = await store.listAudit({ ...input, limit: input.limit + 1 });
      const entries = found.slice(0, input.limit);
      return { entries, next: found.length > input.limit ? (entries.at(-1)?.seq ?? null) : null };
    },
    verifyAudit: ({ head }) => verifyAudit(store, head),
    exportAudit: () => readAudit(store),
  };
}

/** A question is answered by nobody but a person, whatever the policy says; asking it again changes nothing. */
async function askPerson({ store, ledger }: Parts, input: Parsed<"askPerson">): Promise<Effect> {
  const { title, details, choices, source, event_id, idempotency_key, expires_in_ms } = input;
  if (originOf(source) !== "agent")
    throw new SignalboxError("forbidden", `${source} is no agent, and this is how agents ask`);
  const event = event_id === undefined ? null : await store.getEvent(event_id);
  if (event_id !== undefined && !event)
    throw new SignalboxError("not_found", `there is no event ${event_id}`);
  return ledger.propose({
    ...{ kind: "ask", target: "person", action: "answer", summary: title },
    payload: { title, body: details ?? "", choices },
    cause: {
      ...{ event_id: event?.id ?? null, run_id: null, workflow: null, version: null, line: null },
      source,
    },
    idempotency_key: `${source}:${idempotency_key ?? newId("key")}`,
    correlation_id: event ? (event.correlation_id ?? event.id) : null,
    depth: event?.depth ?? 0,
    expires_in_ms,
  });
}

/** First what waits, then each that begins to wait or is decided, in the order of the commits. */
async function follow(store: Parts["store"], approvals: Approvals, stream: EventStream): Promise<void> {
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>) => {
    turn = turn.then(work).catch((error: unknown) => stream.fail(error));
  };
  const send = async (id: string) => {
    const approval = await approvals.find(id);
    if (approval && !stream.send(approval, id, "approval")) await stream.drained();
  };
  const stop = store.onCommitted(({ changed }) => {
    for (const id of new Set(changed)) inTurn(() => send(id));
  });
  inTurn(async () => {
    for (const { effect } of (await approvals.list({ limit: FIRST })).reverse()) await send(effect.id);
  });
  await stream.closed();
  stop();
}
