import * as z from "zod";
import type { Json, JsonObject } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { ConnectorCommand } from "../connector.ts";
import { answerOf, callGithub, type GithubApi, readAnswer } from "./api.ts";
import type { GithubConfig } from "./config.ts";

// Names become parts of a URL, where "." and ".." would lead to another endpoint.
const notDots = (word: string) => word !== "." && word !== "..";
const issueNumber = z.union(
  [
    z.int().min(1),
    z
      .string()
      .regex(/^[1-9]\d{0,14}$/)
      .transform(Number),
  ],
  "must be the number of an issue or pull request",
);
const target = z.object({
  owner: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/, "must be the name of a user or organisation"),
  repo: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9._-]+$/, "must be the name of a repository, without its owner")
    .refine(notDots, "must be the name of a repository"),
  number: issueNumber,
});
const label = z.string().min(1).max(100).refine(notDots, "must be the name of a label");
/** GitHub's own limit. */
const comment = z.string().min(1).max(65_536);

const labelled = z.array(z.object({ name: z.string() }));
const changed = z.object({ state: z.string(), html_url: z.string() });
const created = z.object({ id: z.union([z.int(), z.bigint()]), html_url: z.string() });

interface CommandSpec<Params> {
  title: string;
  params: z.ZodType<Params>;
  idempotent: boolean;
  summary(payload: JsonObject): string;
  call(api: GithubApi, params: Params): Promise<Json>;
}

const commands = {
  add_label: command({
    title: "Add a label to an issue or pull request",
    params: target.extend({ label }),
    idempotent: true,
    summary: (payload) => `Add label ${quoted(payload.label)} to ${place(payload)}`,
    async call(api, { owner, repo, number, label }) {
      const { data } = await api.rest.issues.addLabels({
        owner,
        repo,
        issue_number: number,
        labels: [label],
      });
      return { labels: names(data) };
    },
  }),
  remove_label: command({
    title: "Remove a label from an issue or pull request",
    params: target.extend({ label }),
    idempotent: true,
    summary: (payload) => `Remove label ${quoted(payload.label)} from ${place(payload)}`,
    async call(api, { owner, repo, number, label }) {
      try {
        const { data } = await api.rest.issues.removeLabel({
          owner,
          repo,
          issue_number: number,
          name: label,
        });
        return { removed: true, labels: names(data) };
      } catch (error) {
        // What was to be gone is gone. GitHub's text is the only sign that tells it from a missing issue.
        const answer = answerOf(error);
        if (answer?.status === 404 && answer.message.startsWith("Label does not exist"))
          return { removed: false };
        throw error;
      }
    },
  }),
  create_comment: command({
    title: "Comment on an issue or pull request",
    params: target.extend({ body: comment }),
    idempotent: false,
    summary: (payload) => `Comment on ${place(payload)}: ${quoted(payload.body)}`,
    async call(api, { owner, repo, number, body }) {
      const { data } = await api.rest.issues.createComment({ owner, repo, issue_number: number, body });
      const answer = readAnswer(created, data, { idempotent: false });
      return { comment_id: String(answer.id), url: answer.html_url };
    },
  }),
  close_issue: command({
    title: "Close an issue or pull request",
    params: target,
    idempotent: true,
    summary: (payload) => `Close ${place(payload)}`,
    call: (api, params) => setState(api, params, "closed"),
  }),
  reopen_issue: command({
    title: "Reopen an issue or pull request",
    params: target,
    idempotent: true,
    summary: (payload) => `Reopen ${place(payload)}`,
    call: (api, params) => setState(api, params, "open"),
  }),
  approve_pr: command({
    title: "Approve a pull request",
    params: target.extend({ body: comment.optional() }),
    idempotent: false,
    summary: (payload) =>
      `Approve pull request ${place(payload)}${payload.body === undefined ? "" : `: ${quoted(payload.body)}`}`,
    async call(api, { owner, repo, number, body }) {
      const { data } = await api.rest.pulls.createReview({
        owner,
        repo,
        pull_number: number,
        event: "APPROVE",
        ...(body === undefined ? {} : { body }),
      });
      const answer = readAnswer(created, data, { idempotent: false });
      return { review_id: String(answer.id), url: answer.html_url };
    },
  }),
};

/** The commands of the agent `github-agent` (S36–S40, B5). A number may be given as a number or as text. */
export const githubCommands: Readonly<Record<string, ConnectorCommand<GithubConfig>>> = commands;

function command<Params>(spec: CommandSpec<Params>): ConnectorCommand<GithubConfig> {
  const { title, params, idempotent, summary } = spec;
  return {
    title,
    params,
    idempotent,
    summary,
    async run(payload, context) {
      const checked = check(title, params, payload);
      return callGithub(context, { idempotent }, (api) => spec.call(api, checked));
    },
  };
}

/** @throws SignalboxError `invalid_request` that names every field that is missing or wrong */
function check<Params>(title: string, params: z.ZodType<Params>, payload: JsonObject): Params {
  const parsed = params.safeParse(payload);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const field = issue.path.join(".");
    return field in payload ? `"${field}": ${issue.message}` : `"${field}" is missing`;
  });
  throw new SignalboxError("invalid_request", `${title}: ${faults.join("; ")}`, {
    details: { fields: parsed.error.issues.map((issue) => issue.path.join(".")) },
  });
}

async function setState(
  api: GithubApi,
  params: z.infer<typeof target>,
  state: "open" | "closed",
): Promise<Json> {
  const { owner, repo, number } = params;
  const { data } = await api.rest.issues.update({ owner, repo, issue_number: number, state });
  const answer = readAnswer(changed, data, { idempotent: true });
  return { state: answer.state, url: answer.html_url };
}

function names(data: unknown): string[] {
  return readAnswer(labelled, data, { idempotent: true }).map((label) => label.name);
}

/** `acme/site#7`, from a payload that nobody has checked yet. */
function place(payload: JsonObject): string {
  return `${plain(payload.owner)}/${plain(payload.repo)}#${plain(payload.number)}`;
}

function plain(value: Json | undefined): string {
  return typeof value === "string" || typeof value === "number" ? oneLine(String(value)) : "?";
}

function quoted(value: Json | undefined): string {
  return typeof value === "string" ? `"${oneLine(value)}"` : "?";
}

/** Short enough to read before deciding; the whole payload stands beside it. */
function oneLine(text: string): string {
  const line = text.replaceAll(/[\s\p{C}]+/gu, " ");
  return line.length > 80 ? `${line.slice(0, 79).toWellFormed()}…` : line;
}
