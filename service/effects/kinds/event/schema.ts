import * as z from "zod";
import { jsonObject, limits, name, subject, text } from "../../../contract/common.ts";

/** An event to be recorded, for those who may not simply publish: models and agents. */
export const eventPayload = z.strictObject({
  type: subject,
  /** Where it can be heard; follows from topic or type when left out. */
  subject: subject.optional(),
  /** The queue that it can be claimed from. */
  topic: name.optional(),
  body: text(limits.eventBytes).optional(),
  payload: jsonObject.default({}),
  conversation_key: text(500).optional(),
});
export type EventPayload = z.output<typeof eventPayload>;

const BODY_CHARS = 80;

/** Where it can be heard. */
export const eventTarget = ({ subject: place, topic, type }: EventPayload): string =>
  place ?? (topic === undefined ? type : `topics.${topic}`);

/** `Publish report.made in inbox: All is well` */
export function eventSummary({ type, topic, body }: EventPayload): string {
  const where = topic === undefined ? "" : ` in ${topic}`;
  return `Publish ${type}${where}${body === undefined ? "" : `: ${body.slice(0, BODY_CHARS)}`}`;
}
