import type { Approvals } from "../../effects/approvals.ts";
import { readAudit, verifyAudit } from "../../effects/audit.ts";
import type { Handlers } from "../register.ts";
import type { EventStream } from "../stream.ts";
import type { Parts } from "./parts.ts";

type ApprovalRoutes =
  | "listApprovals"
  | "streamApprovals"
  | "getApproval"
  | "decideApproval"
  | "listAudit"
  | "verifyAudit"
  | "exportAudit";

/** What a stream sends of what waits already, newest first. */
const FIRST = 1_000;

export function approvalHandlers({ store, ledger }: Parts): Pick<Handlers, ApprovalRoutes> {
  const { approvals } = ledger;
  return {
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
