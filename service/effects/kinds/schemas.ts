import type * as z from "zod";
import type { JsonObject } from "../../contract/common.ts";
import { eventPayload, eventSummary, eventTarget } from "./event/schema.ts";
import { httpPayload, httpSummary, httpTarget } from "./http/schema.ts";
import { mailPayload, mailSummary, mailTarget } from "./mail/schema.ts";
import { replyPayload, replySummary } from "./reply/schema.ts";
import { shellPayload, shellSummary } from "./shell/schema.ts";

/** What can be known of an act of this kind without settings: in a Lua worker, or when nothing is to be done. */
export interface KindShape {
  readonly schema: z.ZodType;
  target(payload: JsonObject): string;
  summary(payload: JsonObject): string;
}

const shape = <Payload>(
  schema: z.ZodType<Payload, unknown>,
  target: (payload: Payload) => string,
  summary: (payload: Payload) => string,
) => ({ schema, target, summary }) as unknown as KindShape;

export const kindShapes: Readonly<Record<string, KindShape>> = {
  http: shape(httpPayload, httpTarget, httpSummary),
  mail: shape(mailPayload, mailTarget, mailSummary),
  shell: shape(shellPayload, ({ command }) => command, shellSummary),
  event: shape(eventPayload, eventTarget, eventSummary),
  reply: shape(replyPayload, ({ event_id }) => event_id, replySummary),
};

/** The canonical payload, as far as it follows without settings. @throws z.ZodError */
export function shapedPayload(kind: string, given: JsonObject): JsonObject {
  const found = kindShapes[kind];
  return found ? (JSON.parse(JSON.stringify(found.schema.parse(given))) as JsonObject) : given;
}

export function describeAct(kind: string, payload: JsonObject): { target: string; summary: string } {
  const found = kindShapes[kind];
  return found
    ? { target: found.target(payload), summary: found.summary(payload) }
    : { target: kind, summary: `Propose an effect of the kind ${kind}` };
}
