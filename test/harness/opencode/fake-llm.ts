/** A language model that answers as a test says: chat completions with streaming and tool calls, on loopback. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface LlmRequest {
  /** OpenCode asks for a title by a call of its own. */
  readonly isTitle: boolean;
  readonly session: string | null;
  readonly system: string;
  /** Role and text of each message after the system's. */
  readonly messages: readonly { readonly role: string; readonly text: string }[];
  /** All text that users sent since the last answer without a tool call. */
  readonly prompt: string;
  readonly tools: readonly { readonly name: string; readonly parameters: unknown }[];
}

export interface LlmAnswer {
  readonly text?: string;
  readonly tool?: { readonly name: string; readonly arguments: unknown };
  /** Refuses the call with this status. */
  readonly status?: number;
  /** What it says it was sent, in tokens: enough of them make OpenCode sum up. */
  readonly tokens?: number;
  /** Waits for this before the first byte. */
  readonly until?: Promise<unknown>;
}

export interface FakeLlm {
  readonly url: string;
  /** All calls so far but those for titles. */
  readonly requests: readonly LlmRequest[];
  /** Calls for titles. */
  readonly titles: readonly LlmRequest[];
  /** Says how to answer what `matches`; the newest rule that matches counts. Returns how to take it back. */
  when(matches: (request: LlmRequest) => boolean, answer: (request: LlmRequest) => LlmAnswer): () => void;
  close(): Promise<void>;
}

interface WireMessage {
  role: string;
  content?: string | { type: string; text?: string }[] | null;
  tool_calls?: unknown[];
}

export async function startFakeLlm(): Promise<FakeLlm> {
  const requests: LlmRequest[] = [];
  const titles: LlmRequest[] = [];
  const rules: { matches(request: LlmRequest): boolean; answer(request: LlmRequest): LlmAnswer }[] = [];
  const server = createServer((request, response) => {
    void respond(request, response).catch(() => response.destroy());
  });
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const asked = readRequest(JSON.parse(await text(request)), request);
    (asked.isTitle ? titles : requests).push(asked);
    const rule = asked.isTitle ? undefined : rules.findLast((one) => one.matches(asked));
    const answer = withoutUnknownTool(asked, rule?.answer(asked) ?? usual(asked));
    await answer.until;
    if (answer.status !== undefined) {
      response.writeHead(answer.status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: `refused with ${answer.status}`, type: "fake" } }));
      return;
    }
    stream(response, answer);
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    titles,
    when(matches, answer) {
      const rule = { matches, answer };
      rules.push(rule);
      return () => void rules.splice(rules.indexOf(rule), 1);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Calls the tool that the prompt names as `call NAME {json}`, once; else says so. */
function usual(request: LlmRequest): LlmAnswer {
  const last = request.messages.at(-1);
  if (last?.role === "tool") return { text: `done: ${last.text.slice(0, 200)}` };
  const [, name, json] = /call (\w+) (\{.*\})/.exec(request.prompt) ?? [];
  return name !== undefined && json !== undefined
    ? { tool: { name, arguments: JSON.parse(json) } }
    : { text: "ok" };
}

/** A summary is asked for without tools, and no model would call one then. */
function withoutUnknownTool(request: LlmRequest, answer: LlmAnswer): LlmAnswer {
  const { tool, ...rest } = answer;
  if (tool === undefined || request.tools.some(({ name }) => name === tool.name)) return answer;
  return { ...rest, text: rest.text ?? "A summary." };
}

function readRequest(
  body: { messages: WireMessage[]; tools?: unknown[] },
  from: IncomingMessage,
): LlmRequest {
  const messages = body.messages.map(({ role, content }) => ({ role, text: textOf(content) }));
  const system = messages
    .filter(({ role }) => role === "system")
    .map((one) => one.text)
    .join("\n");
  const rest = messages.filter(({ role }) => role !== "system");
  const lastAnswer = body.messages
    .filter(({ role }) => role !== "system")
    .findLastIndex((one) => one.role === "assistant" && one.tool_calls === undefined);
  const session = from.headers["x-session-id"] ?? from.headers["x-session-affinity"];
  return {
    isTitle: system.startsWith("You are a title generator"),
    session: typeof session === "string" ? session : null,
    system,
    messages: rest,
    prompt: rest
      .slice(lastAnswer + 1)
      .filter(({ role }) => role === "user")
      .map((one) => one.text)
      .join("\n"),
    tools: (body.tools ?? []).map((one) => (one as { function: LlmRequest["tools"][number] }).function),
  };
}

function textOf(content: WireMessage["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("\n");
}

let calls = 0;

function stream(response: ServerResponse, answer: LlmAnswer): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (delta: object, finish_reason: string | null = null, more: object = {}) => {
    const chunk = { id: "c", object: "chat.completion.chunk", created: 0, model: "fake-1", ...more };
    response.write(
      `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta, finish_reason }] })}\n\n`,
    );
  };
  send({ role: "assistant", content: "" });
  if (answer.text !== undefined) for (const word of answer.text.split(/(?= )/)) send({ content: word });
  if (answer.tool !== undefined) {
    const { name, arguments: given } = answer.tool;
    const call = { index: 0, id: `call_${++calls}`, type: "function" };
    send({ tool_calls: [{ ...call, function: { name, arguments: JSON.stringify(given) } }] });
  }
  const prompt_tokens = answer.tokens ?? 10;
  const usage = { prompt_tokens, completion_tokens: 5, total_tokens: prompt_tokens + 5 };
  send({}, answer.tool === undefined ? "stop" : "tool_calls", { usage });
  response.end("data: [DONE]\n\n");
}
