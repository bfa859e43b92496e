import { createAgent, TryAgain } from "signalbox/agent";

const agent = await createAgent({
  name: "deployer",
  version: "1.0.0",
  capabilities: ["deploy"],
  commands: {
    status: () => ({ healthy: true }),
    deploy: {
      title: "Deploy a version",
      params: { type: "object", properties: { version: { type: "string" } }, required: ["version"] },
      async handler({ version }, { effectId, attempt, publish }) {
        if (version === "v0" && attempt === 1) throw new TryAgain("the host is busy");
        await publish({
          type: "deploy.finished",
          payload: { version: version ?? null },
          idempotency_key: effectId,
        });
        return { deployed: version };
      },
    },
  },
  log: console,
});

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => agent.close());
