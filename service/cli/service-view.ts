import { SignalboxError } from "../contract/errors.ts";
import { showDuration } from "../lib/duration.ts";
import type { Context } from "./context.ts";
import { printTable } from "./table.ts";
import { count, styled, toJson } from "./text.ts";

/** S9. Does not start the service: whether it runs is what is asked. */
export async function status(context: Context): Promise<void> {
  const { out } = context;
  const client = await context.runningClient();
  if (client === null) throw new SignalboxError("service_unreachable", "The service does not run.");
  const reply = await client.getStatus();
  out.result(reply, () => {
    const { agents, workflows, deliveries, effects, ingress } = reply;
    const warn = (text: string, isBad: boolean) => (isBad ? styled("red", text) : text);
    out.fields([
      ["service", `${reply.version}, process ${reply.pid}, up for ${showDuration(reply.uptime_ms)}`],
      ["events", `${reply.events} in ${count(reply.topics, "topic")}`],
      [
        "deliveries",
        warn(
          `${deliveries.pending} pending, ${deliveries.processing} processing, ${deliveries.dead} dead`,
          deliveries.dead > 0,
        ),
      ],
      ["agents", `${agents.online} of ${agents.total} online`],
      [
        "workflows",
        warn(
          `${workflows.active} of ${workflows.total} active, ${workflows.failed} failed`,
          workflows.failed > 0,
        ),
      ],
      [
        "effects",
        warn(
          [
            `${effects.waiting} waiting, ${effects.running} running, ${effects.unknown} of unknown end`,
            ...(effects.failed > 0 ? [`${effects.failed} failed`] : []),
            ...(effects.unaddressed > 0 ? [`${effects.unaddressed} for agents that nobody knows`] : []),
          ].join(", "),
          effects.unknown + effects.failed + effects.unaddressed > 0,
        ),
      ],
      ["ingress", ingress.listening ?? "off"],
      ["connectors", reply.connectors.map((one) => `${one.id} ${one.state}`).join(", ")],
    ]);
    for (const { name, use } of reply.aliases)
      out.remark(styled("yellow", `${name} is an older name: use ${use}`));
    if (reply.events === 0 && workflows.total === 0) {
      out.remark('\nNothing is recorded yet. Try: signalbox push inbox --body "hello"');
    }
  });
}

export async function config(context: Context, text: string | undefined, isChanged: boolean): Promise<void> {
  const { out } = context;
  const reply = await (await context.client()).getConfig();
  const entries = reply.entries.filter(
    ({ key, origin }) => (text === undefined || key.includes(text)) && (!isChanged || origin !== "default"),
  );
  out.result({ ...reply, entries }, () => {
    printTable(out, {
      head: ["SETTING", "VALUE", "FROM"],
      rows: entries.map(({ key, value, origin }) => [
        key,
        typeof value === "string" ? value : value === null ? "–" : toJson(value),
        origin === "default" ? styled("dim", origin) : origin,
      ]),
      flexible: [1, 2],
      empty: isChanged ? "Every setting has its default." : "No setting has such a name.",
    });
    const files =
      reply.files.length === 0
        ? `none yet; yours would be ${context.paths.configFile}`
        : reply.files.join(", ");
    out.remark(`\nFiles: ${files}`);
  });
}
