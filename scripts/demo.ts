/**
 * The main job, seen from outside: a webhook of GitHub's arrives, a workflow decides, GitHub is asked to act. It ends
 * with 0 only if everything that it tells of has happened. `--keep` leaves it all running until Ctrl-C.
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import examples from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };
import type { Effect } from "../service/contract/effects.ts";
import type { Event } from "../service/contract/events.ts";
import type { Run } from "../service/contract/workflows.ts";
import { type Posted, type Stage, setUp, workflows } from "./demo/stage.ts";
import { code, DemoFailure, expectThat, Story, until } from "./demo/story.ts";

const { values: options } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
const story = new Story();
/** What shells call a program that Ctrl-C ended. */
const INTERRUPTED = 130;

// Beyond this scope nobody would see what is left: the first signal stops in an orderly way, a second one at once.
const interrupted = new Promise<string>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
});

process.exitCode = await main();

async function main(): Promise<number> {
  story.text(
    "Signalbox, from a webhook to a label. All of it is real but GitHub, whose place a stand-in takes.",
  );
  const stage = await setUp();
  try {
    const told = tell(stage);
    const signal = await Promise.race([told, interrupted]);
    if (signal !== undefined) {
      told.catch(() => undefined); // It breaks off with the service, which is as it should be.
      return INTERRUPTED;
    }
    if (options.keep) await keep(stage);
    await end(stage);
    return 0;
  } catch (error) {
    if (!(error instanceof DemoFailure)) throw error;
    story.bad(`This did not happen: ${error.message}`);
    story.text(stage.log());
    return 1;
  } finally {
    await stage.close();
  }
}

async function tell(stage: Stage): Promise<void> {
  story.step("The service starts, in a folder that goes away again");
  story.fact("folder", stage.home);
  story.fact("process", `${stage.pid}, dist/service.js`);
  story.fact("workflows", workflows.map((name) => `workflows/${name}.lua`).join(", "));
  story.fact("webhooks", stage.webhookUrl);
  story.fact("GitHub", `${stage.github.url}, the stand-in`);
  const issue = await tellIssue(stage);
  await tellPullRequest(stage);
  await tellForgery(stage);
  await showCommands(stage, issue);
  await showApproval(stage, issue);
}

interface Sample {
  action?: string;
  repository: { name: string; owner: { login: string } };
  [field: string]: unknown;
}

/** A webhook as GitHub sent it once. */
function sample(kind: string, action: string): Sample {
  const payloads = examples.find(({ name }) => name === kind)?.examples as unknown as Sample[] | undefined;
  const found = payloads?.find((payload) => payload.action === action);
  expectThat(found !== undefined, `a recorded ${kind}.${action} webhook is there`);
  return structuredClone(found);
}

/** The recorded issue with another title, and not labelled yet. */
function sampleIssue(title: string): { webhook: Sample; number: number; owner: string; repo: string } {
  const webhook = sample("issues", "opened");
  const issue = webhook.issue as { title: string; number: number; labels: unknown[] };
  issue.title = title;
  issue.labels = [];
  const { name: repo, owner } = webhook.repository;
  return { webhook, number: issue.number, owner: owner.login, repo };
}

async function tellIssue({ post, client, github }: Stage): Promise<Event> {
  const title = "Bug: spelling error in the README file";
  const { webhook, number, owner, repo } = sampleIssue(title);
  const there = github.addIssue({ owner, repo, number, title });
  story.step(`GitHub tells of a new issue, “${title}”`);
  const posted = await post("issues", webhook);
  tellAnswer("issues.opened", posted);
  expectThat(posted.status === 200 && posted.body.status === "accepted", "the webhook is accepted");
  const event = await recorded(client, posted);
  tellEvent(event);
  const { run, effect } = await finished(client, event);
  tellRun(run);
  tellEffect(effect);
  const request = github.requests.at(-1);
  expectThat(
    request?.method === "POST" && request.path === `/repos/${owner}/${repo}/issues/${number}/labels`,
    "GitHub is asked to label the issue",
  );
  story.fact("request", `${request.method} ${request.path}`, JSON.stringify(request.body));
  expectThat(effect.state === "succeeded" && effect.result_event_id !== null, "the effect succeeds");
  story.fact("result", effect.state, `told by ${effect.result_event_id}`);
  expectThat(there.labels.join() === "bug", "the issue has its label");
  story.fact("GitHub", `issue #${number} is labelled ${there.labels.join(", ")}`);
  return event;
}

async function tellPullRequest({ post, client, github }: Stage): Promise<void> {
  const webhook = sample("pull_request", "opened");
  const { title } = webhook.pull_request as { title: string };
  const before = github.requests.length;
  story.step(`GitHub tells of a pull request, “${title}”`);
  const posted = await post("pull_request", webhook);
  tellAnswer("pull_request.opened", posted);
  expectThat(posted.status === 200 && posted.body.status === "accepted", "the webhook is accepted");
  const event = await recorded(client, posted);
  tellEvent(event);
  const { runs, caused } = await until(
    "the review queue takes the pull request",
    () => client.getEvent({ event_id: event.id }),
    (shown) => shown.caused.some(({ topic }) => topic === "reviews"),
  );
  const run = runs.find(({ workflow }) => workflow === "review-queue");
  const queued = caused.find(({ topic }) => topic === "reviews");
  expectThat(run?.status === "succeeded" && queued !== undefined, "the review is in its topic");
  tellRun(run);
  story.fact("effect", `a new event, ${queued.id} ${queued.type}`, "in the topic reviews");
  expectThat(github.requests.length === before, "nothing is asked of GitHub");
  story.fact("request", "none: an agent will claim it");
}

async function tellForgery({ post, client, github }: Stage): Promise<void> {
  const before = { events: (await client.getStatus()).events, requests: github.requests.length };
  story.step("Somebody else sends an issue, signed with another secret");
  const posted = await post("issues", sampleIssue("Bug: let me in").webhook, "a guess");
  tellAnswer("issues.opened", posted);
  expectThat(posted.status === 401 && posted.body.error?.code === "bad_signature", "the forgery is refused");
  const after = { events: (await client.getStatus()).events, requests: github.requests.length };
  expectThat(JSON.stringify(after) === JSON.stringify(before), "nothing comes of the forgery");
  story.fact("event", "none: nothing was recorded, nothing was done");
}

function tellAnswer(kind: string, { delivery, status, body, bytes }: Posted): void {
  story.fact("webhook", `${kind}, ${bytes.toLocaleString("en")} bytes, delivery ${delivery}`);
  story.fact("answer", `${status} ${body.status ?? `${body.error?.code}: ${body.error?.message}`}`);
}

function tellEvent(event: Event): void {
  story.fact("event", event.id, event.type, `conversation ${event.conversation_key}`);
}

function tellRun(run: Run): void {
  story.fact("handler", run.line ?? "", `${run.status}, ${run.run_id}`);
  for (const { message, line } of run.logs) story.fact("", `line ${line} logs: ${message}`);
}

function tellEffect({ id, target, action, cause, policy }: Effect): void {
  story.fact("effect", id, `${action} by ${target}, from ${cause.line}`);
  story.fact("policy", `${policy.decision} (${policy.rule})`);
}

async function recorded(client: Stage["client"], { delivery }: Posted): Promise<Event> {
  const { events } = await client.findEvents({ source: "github", limit: 10 });
  const event = events.find(({ external_id }) => external_id === delivery);
  expectThat(event !== undefined, `the event of delivery ${delivery} is recorded`);
  return event;
}

async function finished(client: Stage["client"], event: Event): Promise<{ run: Run; effect: Effect }> {
  const { runs, effects } = await until(
    "the labeller has run and its effect has ended",
    () => client.getEvent({ event_id: event.id }),
    (shown) =>
      shown.effects.length > 0 && shown.effects.every(({ result_event_id }) => result_event_id !== null),
  );
  const run = runs.find(({ workflow }) => workflow === "github-auto-label");
  const [effect, ...more] = effects;
  expectThat(run?.status === "succeeded", "the handler succeeds");
  expectThat(effect !== undefined && more.length === 0, "there is one effect");
  return { run, effect };
}

async function showCommands(stage: Stage, issue: Event): Promise<void> {
  const { client } = stage;
  story.step("The same on the command line");
  const run = async (...words: string[]) => {
    story.command(words);
    return stage.cli(words, (output) => story.output(output));
  };
  await run("status");
  await run("query", "--source", "github");
  await run("search", "spelling");
  await run("events", "show", issue.id);
  await run("workflow", "logs", "github-auto-label");

  story.step("An agent claims the review and answers");
  await run("pull", "reviews", "--claim", "--agent", "@reviewer");
  const [claimed] = (await client.findEvents({ topic: "reviews" })).events;
  expectThat(claimed?.status === "processing", "the review is claimed");
  await run("reply", claimed.id, "--agent", "@reviewer", "--body", "Looks good to me.");
  const [answered] = (await client.findEvents({ topic: "reviews" })).events;
  expectThat(answered?.status === "completed", "the review is completed");
  await run("query", "--correlation", answered.correlation_id ?? "");
}

/** A model wants something said in public: nothing happens before a person has seen it. */
async function showApproval({ client, cli, github }: Stage, issue: Event): Promise<void> {
  story.step("A model wants to answer the issue, which is for a person to decide");
  const run = async (...words: string[]) => {
    story.command(words);
    return cli(words, (output) => story.output(output));
  };
  const before = github.requests.length;
  const payload = { event_id: issue.id, body: "Thanks for telling! A fix is on its way." };
  await run(
    "effects",
    "propose",
    "reply",
    JSON.stringify(payload),
    "--source",
    "model:demo",
    "--event",
    issue.id,
  );
  const [approval] = (await client.listApprovals({})).approvals;
  expectThat(approval?.effect.state === "waiting", "the answer waits for a person");
  expectThat(github.requests.length === before, "nothing is asked of GitHub before somebody decides");
  const { code: letters, effect } = approval;
  await run("approvals", "show", letters);
  await run("approvals", "approve", letters, "--yes", "--code", letters);
  const ended = await until(
    "the approved answer has been given",
    () => client.getEffect({ effect_id: effect.id }),
    ({ state }) => state === "succeeded" || state === "failed",
  );
  expectThat(ended.state === "succeeded" && ended.attempts === 1, "the answer is given, once");
  const requests = github.requests.slice(before);
  const [request] = requests;
  expectThat(
    requests.length === 1 && request?.path.endsWith("/comments") === true,
    "GitHub gets one comment",
  );
  story.fact("request", `${request.method} ${request.path}`, JSON.stringify(request.body));
  await run("audit", "list", "--effect", effect.id);
  await run("audit", "verify");
}

async function keep(stage: Stage): Promise<void> {
  story.good("All of it happened, and it keeps running. Look around from another terminal, in this folder:");
  story.text(
    [
      `  export SIGNALBOX_HOME=${stage.home}`,
      "  npx signalbox events list                        what happened",
      "  npx signalbox effects list                       what was done about it",
      "  npx signalbox watch                              what happens from now on",
      '  npx signalbox push inbox --body "hello"          record an event yourself',
      "  npx signalbox workflow show github-auto-label    its file: edit it, and it is loaded again",
    ]
      .map((line) => code(line))
      .join("\n"),
  );
  story.text("To stop it: Ctrl-C here, or `npx signalbox down` there. Its folder is removed then.");
  await Promise.race([interrupted, stage.ended]);
}

async function end(stage: Stage): Promise<void> {
  story.step("The service stops");
  stage.client.close();
  story.command(["down"]);
  await stage.cli(["down"], (output) => story.output(output));
  const { code: exitCode, signal } = await stage.ended;
  expectThat(exitCode === 0, `the service ends with 0, not with ${exitCode ?? signal}`);
  await stage.close();
  expectThat(!existsSync(stage.home), "nothing is left behind");
  story.good("All of it happened, and nothing is left behind.");
}
