/** Wires one OpenCode instance to the service. All state is in here: one process may have several instances. */
import type { Hooks, PluginInput } from "@opencode-ai/plugin";
import * as z from "zod";
import { systemClock } from "../service/lib/clock.ts";
import { settlesWithin } from "../service/lib/scope.ts";
import { BusEvents } from "./bus-events.ts";
import type { Host, Level } from "./host.ts";
import { hostV1 } from "./host-v1.ts";
import { Hub } from "./hub.ts";
import { createLink, type Link } from "./link.ts";
import { createNotices } from "./notices.ts";
import { onEvent } from "./opencode-events.ts";
import { Permissions } from "./permissions.ts";
import { Presence } from "./presence.ts";
import { readSettings, type Settings } from "./settings.ts";
import { Suggestions } from "./suggest.ts";
import { createTools } from "./tools.ts";

/** OpenCode waits for it when it ends. */
const DISPOSE_MS = 2_000;

/** Starts the plugin for one folder. Never throws: what is wrong is told to the user. */
export async function start(input: PluginInput, options: unknown): Promise<Hooks> {
  const host = hostV1(input);
  const notices = createNotices(host, systemClock);
  try {
    const settings = readSettings(options, process.env, input.directory);
    return open(host, settings, notices.notify, notices.repeat);
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    notices.notify(`The options of opencode-signalbox in opencode.json are not right.\n${why}`, "error");
    return { "chat.message": async () => notices.repeat() };
  }
}

type Notify = (text: string, level: Level) => void;

function open(host: Host, settings: Settings, notify: Notify, repeat: () => void): Hooks {
  const clock = systemClock;
  let link: Link | undefined;
  const presence = new Presence({ clock, settings, call: (ask) => requireLink().call(ask) });
  const made = createLink({
    ...{ env: process.env, start: settings.start, command: settings.command },
    onFound: () => {
      if (!host.isOneShot) presence.announce();
    },
  });
  const requireLink = () => link ?? made;
  link = made;
  const hub = new Hub({ host, link, clock, settings, notify });
  const permissions = new Permissions({ host, hub, link, settings });
  const suggestions = new Suggestions({ host, hub, link, settings });
  const bus = new BusEvents({ host, hub, link, settings });
  const parts = { host, hub, permissions, suggestions, bus, settings };
  const guard = createGuard((error) => hub.problem(error));
  const look = repeating(clock, settings.pollMs, () => guard.quietly(() => hub.lookAgain()));
  if (!host.isOneShot) {
    // Found before the first event comes, and before a session falls idle for the first time.
    guard.quietly(() => made.client());
    if (settings.resume) guard.quietly(() => hub.resume());
    guard.quietly(() => suggestions.follow());
    hub.pull();
  }
  const remember = (session: string, topics: readonly string[]) => host.remember(session, topics);
  return {
    event: guard.hook(async ({ event }) => onEvent(parts, event)),
    "chat.message": guard.hook(async (about, message) => {
      repeat();
      await onMessage(parts, about, message);
    }),
    "tool.execute.before": guard.hook(async ({ tool, sessionID }) => {
      if (tool !== "signalbox_reply") hub.apply(sessionID, { kind: "tool", tool });
    }),
    "experimental.session.compacting": guard.hook(async ({ sessionID }, output) => {
      const text = hub.inSummary(sessionID);
      if (text !== null) output.context.push(text);
    }),
    tool: createTools({ link, hub, settings, remember }),
    dispose: guard.hook(async () => {
      look.stop();
      suggestions.close();
      permissions.close();
      await settlesWithin(Promise.all([hub.close(), presence.leave()]), DISPOSE_MS);
      made.close();
    }),
  };
}

interface MessageParts {
  readonly hub: Hub;
  readonly suggestions: Suggestions;
}

type MessageHook = NonNullable<Hooks["chat.message"]>;

/** Tells ours from the user's, and theirs from those that other plugins and OpenCode itself write. */
async function onMessage(
  { hub, suggestions }: MessageParts,
  about: Parameters<MessageHook>[0],
  { message, parts }: Parameters<MessageHook>[1],
): Promise<void> {
  const id = about.sessionID;
  const event_id = parts.flatMap((part) => markOf(part) ?? [])[0] ?? null;
  const typed = parts.find(
    (part) => part.type === "text" && part.synthetic !== true && part.ignored !== true,
  );
  const { agent, model } = message;
  const variant = about.variant ?? ("variant" in model ? String(model.variant) : undefined);
  const persona = { agent, model: { providerID: model.providerID, modelID: model.modelID }, variant };
  hub.apply(id, { kind: "message", real: event_id === null && typed !== undefined, event_id, persona });
  if (event_id === null && typed?.type === "text") typed.text = await suggestions.fill(id, typed.text);
}

const marked = z.looseObject({
  metadata: z.looseObject({ signalbox: z.looseObject({ id: z.string() }) }),
});

function markOf(part: unknown): string | undefined {
  return marked.safeParse(part).data?.metadata.signalbox.id;
}

/**
 * A hook must neither throw nor reject: a throw in one stops a turn for good, a rejection is swallowed without a trace.
 */
function createGuard(onError: (error: unknown) => void) {
  const quietly = (work: () => unknown): void => {
    void Promise.resolve()
      .then(work)
      .catch((error: unknown) => onError(error));
  };
  const hook =
    <A extends unknown[]>(run: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      try {
        await run(...args);
      } catch (error) {
        onError(error);
      }
    };
  return { quietly, hook };
}

function repeating(clock: typeof systemClock, everyMs: number, look: () => void) {
  let cancel = () => {};
  const arm = () => {
    cancel = clock.after(everyMs, () => {
      look();
      arm();
    });
  };
  arm();
  return { stop: () => cancel() };
}
