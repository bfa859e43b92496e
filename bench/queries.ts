import { COMMON_WORD, MENTION, RARE_WORD, SELDOM_WORD, TOOL } from "./events.ts";

type Given = Readonly<Record<string, string | number | boolean>>;

/** One query or search, as a client asks it, and as somebody would write it in SQL for `openPlain`. */
export interface Probe {
  name: string;
  kind: "list" | "search";
  input: Given;
  /** After `SELECT e.* FROM `. */
  sql: string;
  values: readonly (string | number)[];
}

const LIMIT = 51;
const newest = `ORDER BY e.seq DESC LIMIT ${LIMIT}`;
const delivered = "events e JOIN deliveries d ON d.seq = e.seq AND d.grp = 'default'";
const referred = "refs r JOIN events e ON e.seq = r.seq";
const found = "events_text JOIN events e ON e.seq = events_text.rowid";

const list = (name: string, input: Given, sql: string, ...values: (string | number)[]): Probe => ({
  name,
  kind: "list",
  input,
  sql: `${sql} ${newest}`,
  values,
});

const equals = (name: string, column: string, value: string): Probe =>
  list(name, { [column]: value }, `events e WHERE e.${column} = ?`, value);

const status = (value: string): Probe =>
  list(`status ${value}`, { status: value }, `${delivered} WHERE d.status = ?`, value);

const recent = (
  name: string,
  text: string,
  more: Given = {},
  condition = "",
  ...values: string[]
): Probe => ({
  name: `search ${name}, recent`,
  kind: "search",
  input: { text, ...more },
  sql: `${found} WHERE events_text MATCH ? ${condition} ORDER BY events_text.rowid DESC LIMIT ${LIMIT}`,
  values: [text, ...values],
});

const ranked = (name: string, text: string): Probe => ({
  name: `search ${name}, ranked`,
  kind: "search",
  input: { text, order: "ranked" },
  sql: `${found} WHERE events_text MATCH ? ORDER BY bm25(events_text) LIMIT ${LIMIT}`,
  values: [text],
});

/** Of a log whose middle is there. */
export function makeProbes(middle: { seq: number; recorded_ms: number }): Probe[] {
  return [...makeLists(middle), ...makeSearches()];
}

function makeLists(middle: { seq: number; recorded_ms: number }): Probe[] {
  return [
    list("newest", {}, "events e"),
    list("oldest first", { oldest_first: true }, "events e"),
    list("page from the middle", { before: middle.seq }, "events e WHERE e.seq < ?", middle.seq),
    list(
      "since the middle",
      { since_ms: middle.recorded_ms },
      "events e WHERE e.recorded_ms >= ?",
      middle.recorded_ms,
    ),
    list(
      "until the middle",
      { until_ms: middle.recorded_ms },
      "events e WHERE e.recorded_ms < ?",
      middle.recorded_ms,
    ),
    equals("topic", "topic", "topic-3"),
    equals("source", "source", "github"),
    equals("type", "type", "build.run.failed"),
    equals("conversation", "conversation_key", "acme/project-7#7"),
    equals("scope", "scope", "acme/project-11"),
    equals("parent without children", "parent_id", "evt_none"),
    equals("correlation of nobody", "correlation_id", "evt_none"),
    list("subject topics.*", { subject: "topics.*" }, "events e WHERE e.subject GLOB ?", "topics.*"),
    list("subject of nobody", { subject: "nobody.>" }, "events e WHERE e.subject GLOB ?", "nobody.*"),
    list("mention", { mention: MENTION }, `${referred} WHERE r.kind = 'mention' AND r.value = ?`, MENTION),
    list("tool", { tool: TOOL }, `${referred} WHERE r.kind = 'tool' AND r.value = ?`, TOOL),
    list("agent", { agent: "@worker" }, `${delivered} WHERE d.claimed_by = ?`, "@worker"),
    ...["pending", "completed", "failed", "dead"].map(status),
    list(
      "topic and status failed",
      { topic: "topic-1", status: "failed" },
      `${delivered} WHERE e.topic = ? AND d.status = 'failed'`,
      "topic-1",
    ),
    list(
      "topic, source and type",
      { topic: "topic-4", source: "linear", type: "agent.task.asked" },
      "events e WHERE e.topic = ? AND e.source = ? AND e.type = ?",
      "topic-4",
      "linear",
      "agent.task.asked",
    ),
    list(
      "topic and conversation that never meet",
      { topic: "topic-4", conversation_key: "acme/project-7#7" },
      "events e WHERE e.topic = ? AND e.conversation_key = ?",
      "topic-4",
      "acme/project-7#7",
    ),
    list(
      "source and scope",
      { source: "vscode", scope: "acme/project-11" },
      "events e WHERE e.source = ? AND e.scope = ?",
      "vscode",
      "acme/project-11",
    ),
    list(
      "source and a mention",
      { source: "vscode", mention: MENTION },
      `${referred} WHERE r.kind = 'mention' AND r.value = ? AND e.source = 'vscode'`,
      MENTION,
    ),
  ];
}

function makeSearches(): Probe[] {
  return [
    recent("a common word", COMMON_WORD),
    recent("a seldom word", SELDOM_WORD),
    recent("a rare word", RARE_WORD),
    recent("a word of nobody", "xylophone"),
    recent("a common and a rare word", `${COMMON_WORD} ${RARE_WORD}`),
    recent("two words that never meet", `${SELDOM_WORD} ${RARE_WORD}`),
    recent("a beginning", "rele*"),
    recent("three letters of a common word", "rel*"),
    recent("a common phrase that nobody said", '"release opened"'),
    recent("a common word in a topic", COMMON_WORD, { topic: "topic-2" }, "AND e.topic = ?", "topic-2"),
    recent("a rare word in a topic", RARE_WORD, { topic: "topic-3" }, "AND e.topic = ?", "topic-3"),
    recent(
      "a common word that failed",
      COMMON_WORD,
      { status: "failed" },
      "AND (SELECT status FROM deliveries d WHERE d.seq = e.seq) = ?",
      "failed",
    ),
    recent("a common word of a source", COMMON_WORD, { source: "vscode" }, "AND e.source = ?", "vscode"),
    ranked("a common word", COMMON_WORD),
    ranked("a seldom word", SELDOM_WORD),
    ranked("a rare word", RARE_WORD),
    ranked("two words", `${COMMON_WORD} ${SELDOM_WORD}`),
  ];
}
