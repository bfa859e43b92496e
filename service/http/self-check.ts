import { request } from "node:http";
import type { Part } from "../health/health.ts";

const ANSWER_WITHIN_MS = 5_000;

/** Whether the control API answers on its own socket, as any client would see it. */
export function controlPart(socketPath: string): Part {
  return {
    name: "control",
    check: () =>
      new Promise((resolve, reject) => {
        const asking = request({ socketPath, path: "/healthz", agent: false }, (reply) => {
          reply.resume();
          if (reply.statusCode === 200) resolve({ state: "ok" });
          else reject(new Error(`the control API answered ${reply.statusCode}`));
        });
        asking.setTimeout(ANSWER_WITHIN_MS, () =>
          asking.destroy(new Error("the control API does not answer")),
        );
        asking.on("error", reject);
        asking.end();
      }),
  };
}
