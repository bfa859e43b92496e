import * as z from "zod";
import type { JsonObject } from "../../contract/common.ts";

/** Longest text taken into an event's searchable body, in characters. GitHub's own limit for a text is 65,536. */
const BODY_CHARS = 100_000;
/** Commits named in the body of a push. */
const COMMITS_NAMED = 20;

/** What an event of GitHub's tells, before it is put in an envelope. */
export interface GithubFact {
  type: string;
  /** The fields that Sekia's workflows read (B6). */
  payload: JsonObject;
  /** Readable text for people and for search. */
  body: string;
  conversation_key: string;
  /** When it happened, where GitHub says so. */
  time_ms: number | undefined;
}

/** Who caused a webhook. Names change hands, ids don't. */
export const sender = z.object({ id: z.int(), login: z.string() });

const repository = z.object({ name: z.string(), owner: z.object({ login: z.string() }) });
const author = z.object({ login: z.string() }).nullish();
const when = z.union([z.string(), z.int()]).nullish();
const named = z.object({ name: z.string() });

export const issue = z.object({
  number: z.int(),
  title: z.string(),
  body: z.string().nullish(),
  html_url: z.string(),
  user: author,
  labels: z.array(named).default([]),
  updated_at: when,
});

export const pullRequest = issue.extend({
  head: z.object({ ref: z.string() }),
  base: z.object({ ref: z.string() }),
  merged: z.boolean().nullish(),
  merge_commit_sha: z.string().nullish(),
});

const issueEvent = z.object({
  action: z.string(),
  issue,
  label: named.nullish(),
  assignee: author,
  repository,
});

const pullRequestEvent = z.object({
  action: z.string(),
  pull_request: pullRequest,
  requested_reviewer: author,
  // A review asked of a team has no single reviewer.
  requested_team: named.nullish(),
  repository,
});

const pushEvent = z.object({
  ref: z.string(),
  before: z.string(),
  after: z.string(),
  commits: z.array(z.object({ message: z.string() })).default([]),
  pusher: named.nullish(),
  repository: repository.extend({ pushed_at: when }),
});

const commentEvent = z.object({
  issue: z.object({ number: z.int(), title: z.string() }),
  comment: z.object({
    // Past 2^53 the client's JSON reader gives a bigint.
    id: z.union([z.int(), z.bigint()]),
    body: z.string().nullish(),
    html_url: z.string(),
    user: author,
    created_at: when,
  }),
  repository,
});

type Repository = z.infer<typeof repository>;
type Issue = z.infer<typeof issue>;
type PullRequest = z.infer<typeof pullRequest>;

const issueActions = new Set(["opened", "closed", "reopened", "labeled", "assigned"]);
const pullRequestActions = new Set(["opened", "closed", "review_requested"]);

/**
 * What a webhook of `kind` (the X-GitHub-Event header) tells; null for the many kinds and actions that no event is
 * made of.
 * @throws ZodError when a supported kind lacks a field that GitHub always sends
 */
export function readWebhook(kind: string, webhook: unknown): GithubFact | null {
  const { action } = z.object({ action: z.string().optional() }).parse(webhook);
  if (kind === "push") return readPush(webhook);
  if (kind === "issue_comment") return action === "created" ? readComment(webhook) : null;
  if (action === undefined) return null;
  if (kind === "issues") return issueActions.has(action) ? readIssue(webhook) : null;
  if (kind === "pull_request") return pullRequestActions.has(action) ? readPullRequest(webhook) : null;
  return null;
}

/** The payload that every event about an issue has. */
export function issuePayload(owner: string, repo: string, item: Issue): JsonObject {
  return {
    owner,
    repo,
    number: item.number,
    title: item.title,
    body: item.body ?? "",
    author: item.user?.login ?? "",
    url: item.html_url,
    labels: item.labels.map((label) => label.name),
  };
}

/** The payload that every event about a pull request has. */
export function pullRequestPayload(owner: string, repo: string, item: PullRequest): JsonObject {
  const payload = issuePayload(owner, repo, item);
  payload.head_branch = item.head.ref;
  payload.base_branch = item.base.ref;
  if (item.merged && item.merge_commit_sha) payload.merge_commit = item.merge_commit_sha;
  return payload;
}

/** Title, then text, fit for a full-text index. */
export function readable(...parts: (string | null | undefined)[]): string {
  const text = parts.filter((part) => part).join("\n\n");
  return text.slice(0, BODY_CHARS).replaceAll("\0", "\uFFFD").toWellFormed();
}

/** GitHub writes times as ISO text, and as seconds in pushes. */
export function timeMs(value: string | number | null | undefined): number | undefined {
  if (value === null || value === undefined) return undefined;
  const ms = typeof value === "number" ? value * 1_000 : Date.parse(value);
  return Number.isInteger(ms) && ms >= 0 ? ms : undefined;
}

export function conversationKey(owner: string, repo: string, number: number): string {
  return `github:${owner}/${repo}:${number}`;
}

function readIssue(webhook: unknown): GithubFact {
  const { action, issue, label, assignee, repository } = issueEvent.parse(webhook);
  const { owner, repo } = nameOf(repository);
  const payload = issuePayload(owner, repo, issue);
  if (action === "labeled" && label) payload.label = label.name;
  if (action === "assigned" && assignee) payload.assignee = assignee.login;
  return {
    type: `github.issue.${action}`,
    payload,
    body: readable(issue.title, issue.body),
    conversation_key: conversationKey(owner, repo, issue.number),
    time_ms: timeMs(issue.updated_at),
  };
}

function readPullRequest(webhook: unknown): GithubFact {
  const { action, pull_request, repository, requested_reviewer, requested_team } =
    pullRequestEvent.parse(webhook);
  const { owner, repo } = nameOf(repository);
  const payload = pullRequestPayload(owner, repo, pull_request);
  const reviewer = requested_reviewer?.login ?? requested_team?.name;
  if (action === "review_requested" && reviewer) payload.reviewer = reviewer;
  const happened = action === "closed" && pull_request.merged ? "merged" : action;
  return {
    type: `github.pr.${happened}`,
    payload,
    body: readable(pull_request.title, pull_request.body),
    conversation_key: conversationKey(owner, repo, pull_request.number),
    time_ms: timeMs(pull_request.updated_at),
  };
}

function readPush(webhook: unknown): GithubFact {
  const { ref, before, after, commits, pusher, repository } = pushEvent.parse(webhook);
  const { owner, repo } = nameOf(repository);
  const who = pusher?.name ?? "";
  const count = commits.length === 1 ? "1 commit" : `${commits.length} commits`;
  const subjects = commits.slice(0, COMMITS_NAMED).map((commit) => commit.message.split("\n", 1)[0]);
  return {
    type: "github.push",
    payload: { owner, repo, ref, before, after, commits_count: commits.length, pusher: who },
    body: readable(`${who || "Somebody"} pushed ${count} to ${owner}/${repo} ${ref}`, subjects.join("\n")),
    conversation_key: `github:${owner}/${repo}`,
    time_ms: timeMs(repository.pushed_at),
  };
}

function readComment(webhook: unknown): GithubFact {
  const { issue, comment, repository } = commentEvent.parse(webhook);
  const { owner, repo } = nameOf(repository);
  return {
    type: "github.comment.created",
    payload: {
      owner,
      repo,
      issue_number: issue.number,
      comment_id: String(comment.id),
      body: comment.body ?? "",
      author: comment.user?.login ?? "",
      url: comment.html_url,
    },
    body: readable(issue.title, comment.body),
    conversation_key: conversationKey(owner, repo, issue.number),
    time_ms: timeMs(comment.created_at),
  };
}

function nameOf(repository: Repository): { owner: string; repo: string } {
  return { owner: repository.owner.login, repo: repository.name };
}
