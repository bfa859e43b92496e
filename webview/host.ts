import { type Request, type StateMessage, stateMessage } from "./messages.ts";

interface EditorApi {
  postMessage(message: Request): void;
  getState(): unknown;
  setState(state: unknown): void;
}
declare function acquireVsCodeApi(): EditorApi;

/** The extension, as the webview sees it: the only way out. */
export interface Host {
  ask(request: Request): void;
  onState(listener: (state: StateMessage) => void): void;
  /** What was kept when the view was hidden, or the window loaded again. */
  restore(): unknown;
  keep(state: object): void;
}

/** Can be had once. */
export function connectHost(): Host {
  const api = acquireVsCodeApi();
  return {
    ask: (request) => api.postMessage(request),
    onState(listener) {
      window.addEventListener("message", (event: MessageEvent<unknown>) => {
        const parsed = stateMessage.safeParse(event.data);
        if (parsed.success) listener(parsed.data);
      });
      api.postMessage({ type: "ready" });
    },
    restore: () => api.getState(),
    keep: (state) => api.setState(state),
  };
}
