/** What OpenCode does, told to the bus where that is wanted, so that workflows can react to it. */
import type { NewEvent } from "../service/contract/events.ts";
import type { Host } from "./host.ts";
import type { Hub } from "./hub.ts";
import type { Link } from "./link.ts";
import { type AskedPermission, permissionTitle } from "./permissions.ts";
import type { Settings } from "./settings.ts";

interface BusParts {
  readonly host: Host;
  readonly hub: Hub;
  readonly link: Link;
  readonly settings: Settings;
}

export class BusEvents {
  readonly #parts: BusParts;

  constructor(parts: BusParts) {
    this.#parts = parts;
  }

  idle(session: string): void {
    this.#publish("session.idle", session, { type: "opencode.session.idled", body: "A session fell idle." });
  }

  failed(session: string, error: string, message: string): void {
    this.#publish("session.error", session, {
      type: "opencode.session.failed",
      body: message,
      payload: { error, message },
    });
  }

  async asked(request: AskedPermission): Promise<void> {
    const { id, permission, patterns } = request;
    this.#publish("permission.asked", request.sessionID, {
      type: "opencode.permission.asked",
      body: permissionTitle(request),
      payload: { permission_id: id, permission, patterns },
    });
  }

  #publish(kind: Settings["publish"][number], session: string, event: NewEvent): void {
    const { host, hub, link, settings } = this.#parts;
    if (!settings.publish.includes(kind)) return;
    const { persona, inflight } = hub.session(session);
    const { directory } = host;
    const about = { session, directory, agent: persona.agent ?? null, event_id: inflight?.event_id ?? null };
    link
      .call((client) =>
        client.pushEvent({
          ...event,
          ...{ source: settings.name, origin_kind: "agent", conversation_key: `opencode:${session}` },
          payload: { ...about, ...event.payload },
          ...(inflight === null ? {} : { parent_id: inflight.event_id }),
        }),
      )
      .catch((error: unknown) => hub.problem(error));
  }
}
