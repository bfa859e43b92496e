/**
 * Entry of the package. OpenCode 1.x calls `server`; 2.x calls `setup`, which 1.18 calls as well, with a context that
 * can do nothing for us. Only the default export: anything else would be called as a plugin of its own.
 */
import type { Hooks, PluginInput } from "@opencode-ai/plugin";

export default {
  id: "signalbox",
  async server(input: PluginInput, options?: unknown): Promise<Hooks> {
    return (await import("./plugin.ts")).start(input, options);
  },
  async setup(context: unknown): Promise<void> {
    if (!canPrompt(context)) return;
    (await import("./host-v2.ts")).explain(context);
  },
};

function canPrompt(context: unknown): boolean {
  const session = (context as { session?: { prompt?: unknown } } | null)?.session;
  return typeof session?.prompt === "function";
}
