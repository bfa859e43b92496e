import type { Command } from "commander";
import type { Effect, EffectState } from "../../contract/effects.ts";
import type { Context } from "../context.ts";
import { statusPart } from "../event-view.ts";
import { given } from "../given.ts";
import { readInput } from "../input.ts";
import { jsonObject, wholeNumber } from "../parse.ts";
import { requirePerson } from "../person.ts";
import { printTable } from "../table.ts";
import { showAge, showTime, styled } from "../text.ts";

const states = [
  "proposed",
  "waiting",
  "approved",
  "running",
  "succeeded",
  "failed",
  "denied",
  "expired",
  "skipped",
  "unknown",
];

interface ListOptions {
  state?: EffectState;
  target?: string;
  workflow?: string;
  event?: string;
  limit: number;
  before?: string;
}

export function register(program: Command, context: Context): void {
  const effects = program
    .command("effects")
    .description("acts on the outside world: what, why, what came of it");
  const list = effects.command("list", { isDefault: true }).description("list effects, newest first");
  list
    .addOption(list.createOption("--state <state>", "in this state").choices(states))
    .option("--target <agent>", "for this agent")
    .option("--workflow <name>", "of this workflow")
    .option("--event <id>", "because of this event")
    .option("-n, --limit <count>", "at most so many", wholeNumber, 50)
    .option("--before <id>", "the page after the one that named this id")
    .action((options: ListOptions) => printList(context, options));
  effects
    .command("show")
    .description("show an effect")
    .argument("<id>")
    .action(async (id: string) => show(context, await (await context.client()).getEffect({ effect_id: id })));
  effects
    .command("propose")
    .description("ask for an act: the policy decides whether somebody is asked first")
    .argument("<kind>", "such as http, mail, shell; signalbox effects kinds lists them")
    .argument("<payload>", "a JSON object; - reads standard input")
    .option("--target <name>", "whom it goes to, where the payload does not say")
    .option("--action <name>", "the command, for the kind command")
    .option("--source <name>", "who asks; default: cli")
    .option("--event <id>", "because of this event")
    .option("--key <key>", "the same key is the same effect, however often it is asked for")
    .option("--note <text>", "what you say of it, for whoever decides")
    .option("--dry-run", "show what it would be and what the policy says; record nothing")
    .action((kind: string, payload: string, options: ProposeOptions) =>
      propose(context, kind, payload, options),
    );
  effects
    .command("kinds")
    .description("list the kinds of acts that the service does itself")
    .action(() => printKinds(context));
  effects
    .command("retry")
    .description("try a failed, expired or unknown effect once more")
    .argument("<id>")
    .action(async (id: string) => {
      requirePerson(context);
      show(context, await (await context.client()).retryEffect({ effect_id: id }));
    });
  effects
    .command("skip")
    .description("end an open effect without doing it")
    .argument("<id>")
    .action(async (id: string) => {
      requirePerson(context);
      show(context, await (await context.client()).skipEffect({ effect_id: id }));
    });
}

interface ProposeOptions {
  target?: string;
  action?: string;
  source?: string;
  event?: string;
  key?: string;
  note?: string;
  dryRun?: boolean;
}

async function propose(context: Context, kind: string, text: string, options: ProposeOptions): Promise<void> {
  const { target, action, source = "cli", event, key, note, dryRun } = options;
  const payload = jsonObject(text === "-" ? await readInput(context.io, "-") : text);
  const request = {
    ...{ kind, payload, source },
    ...given({ target, action, event_id: event, idempotency_key: key, summary: note }),
  };
  const client = await context.client();
  const effect = dryRun ? await client.previewEffect(request) : await client.proposeEffect(request);
  show(context, effect);
  if (context.out.isJson()) return;
  if (dryRun) context.out.remark("Nothing was recorded, nothing was done.");
  else if (effect.state === "waiting")
    context.out.remark(`signalbox approvals approve ${effect.id} lets it happen.`);
}

async function printKinds({ client, out }: Context): Promise<void> {
  const reply = await (await client()).listKinds();
  const known = { target: "the same target", bind: "the same version", never: "nothing" };
  out.result(reply, () => {
    printTable(out, {
      head: ["KIND", "WHAT", "ALSO CALLED", "RUNS AGAIN UNASKED FOR"],
      rows: reply.kinds.map((one) => [one.kind, one.title, one.aliases.join(", "), known[one.remembers]]),
      flexible: [1, 2],
      empty: "",
    });
  });
}

async function printList({ client, out }: Context, options: ListOptions): Promise<void> {
  const { state, target, workflow, event, limit, before } = options;
  const query = { limit, ...given({ state, target, workflow, event_id: event, before }) };
  const page = await (await client()).listEffects(query);
  out.result(page, () => {
    printTable(out, {
      head: ["TIME", "ID", "STATE", "TARGET", "FROM", "SUMMARY"],
      rows: page.effects.map((effect) => [
        styled("dim", showTime(effect.created_ms)),
        effect.id,
        statusPart(effect.state),
        effect.target,
        effect.cause.line ?? effect.cause.source,
        effect.error === null ? effect.summary : `${effect.summary}: ${effect.error}`,
      ]),
      flexible: [3, 4, 5],
      empty: "No effects yet.",
    });
    if (page.next !== null) out.remark(`There is more: --before ${page.next}`);
  });
}

function show({ out }: Context, effect: Effect): void {
  const { cause } = effect;
  out.result(effect, () => {
    out.fields([
      ["id", styled("bold", effect.id)],
      ["state", statusPart(effect.state)],
      ["summary", effect.summary],
      ["what", `${effect.kind} ${effect.action} → ${effect.target}`],
      ["payload", JSON.stringify(effect.payload)],
      ["sha256", effect.sha256],
      ["bound to", effect.bound === null ? null : JSON.stringify(effect.bound)],
      ["says", effect.note],
      ["from", [cause.source, cause.line].filter((part) => part !== null).join(" at ")],
      ["event", cause.event_id],
      ["run", cause.run_id],
      ["policy", `${effect.policy.decision} (${effect.policy.rule})`],
      ["attempts", String(effect.attempts)],
      ["created", showAge(effect.created_ms)],
      ["expires", effect.expires_ms === null ? null : showAge(effect.expires_ms)],
      ["result", effect.result === null ? null : JSON.stringify(effect.result)],
      ["error", effect.error === null ? null : styled("red", effect.error)],
      ["told by", effect.result_event_id],
    ]);
  });
}
