import type { Client } from "../../service/client/call.ts";
import type { Approval } from "../../service/contract/approvals.ts";
import type { Disposable } from "../emitter.ts";
import type { ApprovalsList } from "../models/approvals.ts";
import type { Log, ServiceLink } from "../service.ts";
import type { Shown } from "./answer.ts";

const HISTORY = 20;
const HISTORY_SEARCH = 200;

/** The stream begins with what waits already. */
export function followApprovals(
  link: ServiceLink,
  list: ApprovalsList,
  log: Log,
  onNew: (approval: Approval) => void,
  onDecided: () => void,
): Disposable {
  let abort = new AbortController();
  const run = async (client: Client, signal: AbortSignal) => {
    try {
      for await (const approval of client.streamApprovals({}, { signal })) {
        if (list.take(approval) && approval.decision === null) onNew(approval);
        if (approval.decision !== null) onDecided();
      }
    } catch (error) {
      log.warn(`approvals can't be followed: ${String(error)}`);
    }
  };
  const begin = () => {
    abort.abort();
    abort = new AbortController();
    if (link.client === null) return;
    list.clear();
    void run(link.client, abort.signal);
  };
  begin();
  const listening = link.onState(({ kind }) => {
    if (kind === "ready") begin();
    else abort.abort();
  });
  return {
    dispose() {
      listening.dispose();
      abort.abort();
    },
  };
}

/** The last decisions, newest first. */
export async function readHistory({ link, own, log, showAll }: Shown): Promise<void> {
  const { client } = link;
  if (client === null) return;
  try {
    const { effects } = await client.listEffects({ limit: HISTORY_SEARCH });
    const asked = effects.filter(({ policy, state }) => policy.decision === "ask" && state !== "waiting");
    const found = await Promise.all(
      asked.slice(0, HISTORY).map(({ id }) => client.getApproval({ approval: id }).catch(() => null)),
    );
    own.history = found.filter((approval) => approval !== null && approval.decision !== null) as Approval[];
    showAll();
  } catch (error) {
    log.warn(`earlier decisions can't be read: ${String(error)}`);
  }
}
