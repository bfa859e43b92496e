import * as z from "zod";
import { jsonObject, text } from "../../../contract/common.ts";

/** An answer to whoever is behind an event. */
export const replyPayload = z.strictObject({
  event_id: text(200).min(1),
  body: text(50_000).min(1),
  /** For readers of the log; a remote service gets the text alone. */
  payload: jsonObject.default({}),
});
export type ReplyPayload = z.output<typeof replyPayload>;

const BODY_CHARS = 80;

/** `Answer evt_01…: Looks good` */
export const replySummary = ({ event_id, body }: ReplyPayload): string =>
  `Answer ${event_id}: ${body.slice(0, BODY_CHARS)}`;
