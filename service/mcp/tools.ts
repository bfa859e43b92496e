import type { CallToolResult, McpServer, ServerContext, ToolAnnotations } from "@modelcontextprotocol/server";
import type * as z from "zod";
import type { Client } from "../client/call.ts";
import { errorKinds, SignalboxError } from "../contract/errors.ts";
import { listed, parse } from "./schema.ts";
import type { Session } from "./session.ts";

export interface ToolContext {
  readonly client: Client;
  readonly session: Session;
  /** Who acts. */
  readonly agent: string;
  /** Aborts when the caller gives up. */
  readonly signal: AbortSignal;
}

export interface ToolResult<O> {
  readonly data: O;
  /** What a client without structured results shows the model; everything that it needs. */
  readonly text: string;
}

/** One tool. Its schemas are made of the contract's. */
export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly annotations: Required<
    Pick<ToolAnnotations, "readOnlyHint" | "idempotentHint" | "destructiveHint" | "openWorldHint">
  >;
  run(input: never, context: ToolContext): Promise<ToolResult<unknown>>;
}

/** Ties the types of a tool's arguments and result to its schemas. */
export function defineTool<I extends z.ZodType, O extends z.ZodType>(
  tool: Omit<Tool, "input" | "output" | "run"> & {
    input: I;
    output: O;
    run(input: z.output<I>, context: ToolContext): Promise<ToolResult<z.input<O>>>;
  },
): Tool {
  return tool;
}

/** Changes nothing. */
export const reading = {
  readOnlyHint: true,
  idempotentHint: true,
  destructiveHint: false,
  openWorldHint: false,
} as const;
/** Adds something each time. */
export const adding = {
  readOnlyHint: false,
  idempotentHint: false,
  destructiveHint: false,
  openWorldHint: false,
} as const;
/** Changes something; once or twice comes to the same. */
export const settling = {
  readOnlyHint: false,
  idempotentHint: true,
  destructiveHint: false,
  openWorldHint: false,
} as const;

export function registerTools(server: McpServer, session: Session, tools: readonly Tool[]): void {
  for (const tool of tools) {
    const { name, title, description, annotations } = tool;
    server.registerTool(
      name,
      {
        ...{ title, description, annotations },
        inputSchema: listed(tool.input),
        outputSchema: listed(tool.output),
      },
      (sent: unknown, context: ServerContext) => call(tool, sent, context, session, server),
    );
  }
}

async function call(
  tool: Tool,
  sent: unknown,
  context: ServerContext,
  session: Session,
  server: McpServer,
): Promise<CallToolResult> {
  try {
    const input = parse(tool.input, sent) as never;
    const { data, text } = await tool.run(input, {
      client: await session.client(),
      session,
      agent: session.agent(context, server),
      signal: context.mcpReq.signal,
    });
    return {
      content: [{ type: "text", text }],
      structuredContent: data as CallToolResult["structuredContent"],
    };
  } catch (error) {
    return failed(error);
  }
}

/** An error that the model can read and act on. */
export function failed(error: unknown): CallToolResult {
  const { code, message, hint } = SignalboxError.is(error)
    ? error
    : { code: "internal", message: String(error), hint: errorKinds.internal.hint };
  return {
    isError: true,
    content: [{ type: "text", text: `${code}: ${message}\n${hint}` }],
    // Not as structured content: clients of the older library hold that against the schema of a good result.
    _meta: { "signalbox/error": { code, message, hint } },
  };
}
