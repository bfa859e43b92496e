import type { Event } from "../contract/events.ts";
import type { Handler } from "../contract/workflows.ts";
import { compileSubject } from "../lib/subject.ts";

type Reachable = Pick<Event, "subject" | "source">;

/**
 * Whether an event reaches a handler. Besides its own subject an event can be heard under Sekia's name for it,
 * `sekia.events.<source>`, by patterns that begin with `sekia.` (S7, S22).
 */
export function compileReach(handler: Handler): (event: Reachable) => boolean {
  const { pattern } = handler;
  if (pattern === null) return () => false;
  const matches = compileSubject(pattern);
  if (!pattern.startsWith("sekia.")) return (event) => matches(event.subject);
  return (event) => matches(event.subject) || matches(`sekia.events.${event.source}`);
}
