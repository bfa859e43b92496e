import * as z from "zod/mini";

/** What the extension and its webview say to each other, checked by whoever receives it. Nothing else passes. */

const chainLink = z.object({
  event_id: z.string(),
  type: z.string(),
  source: z.string(),
  origin: z.string(),
  time_ms: z.number(),
  body: z.nullable(z.string()),
});

const change = z.object({ path: z.string(), before: z.nullable(z.string()), after: z.nullable(z.string()) });

const decision = z.object({
  decision: z.enum(["approve", "deny", "expire"]),
  by: z.nullable(z.string()),
  isMine: z.boolean(),
  reason: z.nullable(z.string()),
  time_ms: z.number(),
});

/** One effect that waits for a person, or did, in words and text only. */
const card = z.object({
  id: z.string(),
  code: z.string(),
  /** What is decided about: exactly these bytes. */
  sha256: z.string(),
  /** Effects of one `alike` are of one kind, to one target, for one action. */
  alike: z.string(),
  summary: z.string(),
  what: z.string(),
  asked_by: z.string(),
  note: z.nullable(z.string()),
  line: z.nullable(z.string()),
  rule: z.string(),
  created_ms: z.number(),
  expires_ms: z.nullable(z.number()),
  /** Pretty JSON. */
  payload: z.string(),
  chain: z.array(chainLink),
  risks: z.array(z.string()),
  difference: z.nullable(z.object({ created_ms: z.number(), changes: z.array(change) })),
  /** Answers of a question; empty for an act. */
  choices: z.array(z.string()),
  canRemember: z.boolean(),
  decision: z.nullable(decision),
});
export type Card = z.infer<typeof card>;

/** From the extension. */
export const stateMessage = z.object({
  type: z.literal("state"),
  /** Whether there is a service to decide with. */
  isReady: z.boolean(),
  cards: z.array(card),
  history: z.array(card),
  /** What went wrong with the last decision. */
  problem: z.nullable(z.string()),
  /** The card to look at, because somebody asked for it. */
  shown: z.nullable(z.string()),
  words: z.record(z.string(), z.string()),
});
export type StateMessage = z.infer<typeof stateMessage>;

const id = z.string().check(z.minLength(1), z.maxLength(200));
const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));

/** From the webview. */
export const request = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ready") }),
  z.object({
    type: z.literal("decide"),
    decisions: z.array(z.object({ id, sha256 })).check(z.minLength(1), z.maxLength(100)),
    decision: z.enum(["approve", "deny"]),
    reason: z.optional(z.string().check(z.maxLength(2_000))),
    choice: z.optional(z.string().check(z.maxLength(200))),
    /** For a yes: exactly this needs nobody's yes for so long. */
    remember_days: z.optional(z.int().check(z.minimum(1), z.maximum(365))),
  }),
  z.object({ type: z.literal("openEvent"), event_id: id }),
  z.object({ type: z.literal("openLine"), id }),
  z.object({ type: z.literal("openPanel") }),
]);
export type Request = z.infer<typeof request>;
