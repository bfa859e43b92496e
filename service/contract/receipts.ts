import * as z from "zod";
import { text } from "./common.ts";

/**
 * How far a claimed event came with the agent that has it. `delivered`: the agent's session accepted it. `seen`: a
 * turn with it ran. `acted`: it was answered, or a tool was called because of it.
 */
export const receiptKind = z.enum(["delivered", "seen", "acted"]);
export type ReceiptKind = z.infer<typeof receiptKind>;

/** One of each kind a claim. An event that was claimed again has those of each attempt, oldest first. */
export const receipt = z.object({
  kind: receiptKind,
  attempt: z.int(),
  agent: z.string(),
  /** The session of the agent, where it has several. */
  session: z.string().nullable(),
  /** What was done: the tool's name, or `reply`. */
  detail: z.string().nullable(),
  time_ms: z.int(),
});
export type Receipt = z.infer<typeof receipt>;

export const giveReceipt = z.strictObject({
  /** Proof of the claim. */
  lease: text(200),
  kind: receiptKind,
  session: text(200).optional(),
  detail: text(500).optional(),
});
