import type { NewEvent } from "../service/contract/events.ts";

/** The same events in every run, so that two runs compare. */

const SYLLABLES = ["ba", "ko", "ri", "ten", "lu", "mar", "si", "dov", "el", "qua", "ni", "pro", "ga", "ust"];
const VOCABULARY = 4_000;
export const TOPICS = 20;
const SOURCES = ["github", "cli", "mail", "chat", "timer", "api", "linear", "vscode"];
const TYPES = [
  "github.issue.opened",
  "github.issue.commented",
  "github.push.received",
  "mail.message.received",
  "chat.message.sent",
  "build.run.failed",
  "build.run.passed",
  "agent.task.asked",
];

/** In every other event. */
export const COMMON_WORD = "release";
/** In one event of 10,000. */
export const RARE_WORD = "zymurgy";
/** In one event of 200. */
export const SELDOM_WORD = "regression";
export const MENTION = "reviewer";
export const TOOL = "search_code";

/** Numbers from 0 to 1 that are the same for the same seed. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const words = makeWords();

function makeWords(): string[] {
  const next = random(7);
  const found = new Set<string>();
  while (found.size < VOCABULARY) {
    let word = "";
    for (let length = 2 + Math.floor(next() * 3); length > 0; length--) {
      word += SYLLABLES[Math.floor(next() * SYLLABLES.length)] ?? "";
    }
    found.add(word);
  }
  return [...found];
}

/** Event number `index`: a short message about work, some 500 bytes as JSON, words as unequal as in real text. */
export function makeEvent(index: number): NewEvent {
  const next = random(index + 1);
  const text: string[] = [];
  for (let count = 10 + Math.floor(next() * 12); count > 0; count--) {
    text.push(words[Math.floor(next() ** 3 * VOCABULARY)] ?? "");
  }
  if (index % 2 === 0) text.push(COMMON_WORD);
  if (index % 200 === 50) text.push(SELDOM_WORD);
  if (index % 10_000 === 5_000) text.push(RARE_WORD);
  if (index % 25 === 3) text.push(`@${MENTION}`);
  const repository = `acme/project-${index % 50}`;
  return {
    type: TYPES[Math.floor(next() * TYPES.length)] ?? "message.pushed",
    source: SOURCES[Math.floor(next() ** 2 * SOURCES.length)] ?? "api",
    topic: `topic-${index % TOPICS}`,
    body: text.join(" "),
    payload: {
      number: index,
      title: text.slice(0, 5).join(" "),
      repository,
      labels: [words[index % 40] ?? "", words[index % 12] ?? ""],
      author: { login: `user-${index % 300}`, id: 1_000_000 + (index % 300) },
      is_open: next() > 0.5,
    },
    meta: { delivery: `d-${index}` },
    conversation_key: `${repository}#${index % 1_000}`,
    scope: repository,
    ...(index % 40 === 7 ? { tool_calls: [TOOL] } : {}),
  };
}

/** The same without a queue. */
export function makeLogEvent(index: number): NewEvent {
  const { topic: _, ...event } = makeEvent(index);
  return event;
}
