/**
 * Entry of the package. OpenCode 1.x calls `server`; 2.x calls `setup`, which 1.18 calls as well, with a context that
 * has no sessions. Only the default export: anything else would be called as a plugin of its own.
 */
import type { Hooks, PluginInput } from "@opencode-ai/plugin";

export default {
  id: "signalbox",
  async server(input: PluginInput, options?: unknown): Promise<Hooks> {
    return (await import("./plugin.ts")).start(input, options);
  },
  /** Does nothing in 1.18. @throws Error in 2.x, whose sessions nobody has tried to give events to yet */
  async setup(context: unknown): Promise<void> {
    if (!hasSessions(context)) return;
    throw new Error(
      "opencode-signalbox gives no events to sessions of OpenCode 2 yet. Use OpenCode 1.18, or add `signalbox mcp` " +
        "as an MCP server for its tools.",
    );
  },
};

function hasSessions(context: unknown): boolean {
  const session = (context as { session?: { prompt?: unknown } } | null)?.session;
  return typeof session?.prompt === "function";
}
