import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type { JsonObject } from "../../contract/common.ts";
import type { NewEvent } from "../../contract/events.ts";
import type { ListenContext } from "../connector.ts";
import { answerOf, callGithub, type GithubApi, readAnswer } from "./api.ts";
import type { GithubConfig } from "./config.ts";
import {
  conversationKey,
  issue,
  issuePayload,
  pullRequest,
  pullRequestPayload,
  readable,
  timeMs,
} from "./events.ts";

/** Asking twice does no harm. */
const reading = { idempotent: true };
const PAGE_SIZE = 50;
/** Events that are committed together. */
const BATCH = 20;

const thread = z.object({
  id: z.string(),
  updated_at: z.string(),
  reason: z.string(),
  subject: z.object({ title: z.string(), url: z.string().nullable(), type: z.string() }),
  repository: z.object({ name: z.string(), owner: z.object({ login: z.string() }) }),
});
type Thread = z.infer<typeof thread>;

const cursorShape = z.object({
  /** For If-Modified-Since; null while a poll is under way, so that an interrupted one is taken up again. */
  last_modified: z.string().nullable(),
  /** Time of the newest notification taken; "" before the first. */
  updated_at: z.string(),
  /** Threads taken with exactly that time: others may come with the same second. */
  seen: z.array(z.string()),
});
type Cursor = z.infer<typeof cursorShape>;

type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

/**
 * Polls the account's notifications until `signal` aborts, and emits an event for each issue and pull request that
 * moved, oldest first. The first poll only notes where the inbox stands. Waits as long as GitHub's X-Poll-Interval
 * asks for, at least `poll_interval_ms`; a poll without news is a 304, which costs nothing of the rate limit.
 * @throws SignalboxError as `callGithub` does
 * @see https://docs.github.com/en/rest/activity/notifications
 */
export async function pollNotifications(
  context: ListenContext<GithubConfig>,
  wait: Wait = waitFor,
): Promise<void> {
  let cursor = parseCursor(context);
  while (!context.signal.aborted) {
    try {
      const poll = await pollOnce(context, cursor);
      cursor = poll.cursor;
      context.report("ready");
      await wait(Math.max(poll.intervalMs, context.config.poll_interval_ms), context.signal);
    } catch (error) {
      // An abort ends whatever was under way; that is how it stops.
      if (context.signal.aborted) return;
      throw error;
    }
  }
}

async function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal });
}

async function pollOnce(
  context: ListenContext<GithubConfig>,
  cursor: Cursor | null,
): Promise<{ cursor: Cursor | null; intervalMs: number }> {
  const inbox = await callGithub(context, reading, (api) => readInbox(api, cursor));
  if (!inbox.changed) return { cursor, intervalMs: inbox.intervalMs };
  if (!cursor) {
    const start = advance({ last_modified: null, updated_at: "", seen: [] }, inbox.threads);
    const next = { ...start, last_modified: inbox.lastModified };
    await context.emit([], JSON.stringify(next));
    return { cursor: next, intervalMs: inbox.intervalMs };
  }
  let reached = { ...cursor, last_modified: null };
  const news = inbox.threads.filter((thread) => isNew(thread, cursor)).sort(byTime);
  for (let start = 0; start < news.length; start += BATCH) {
    const batch = news.slice(start, start + BATCH);
    const events = await callGithub(context, reading, (api) => readThreads(api, batch));
    reached = { ...advance(reached, batch), last_modified: null };
    await context.emit(events, JSON.stringify(reached));
  }
  const next = { ...reached, last_modified: inbox.lastModified };
  await context.emit([], JSON.stringify(next));
  return { cursor: next, intervalMs: inbox.intervalMs };
}

interface Inbox {
  changed: boolean;
  threads: Thread[];
  lastModified: string | null;
  intervalMs: number;
}

/** Every notification since the cursor, read ones too: a look at GitHub must not hide an event. */
async function readInbox(api: GithubApi, cursor: Cursor | null): Promise<Inbox> {
  const threads: Thread[] = [];
  const since = cursor?.updated_at ? { since: secondBefore(cursor.updated_at) } : {};
  let first: Headers | undefined;
  for (let page = 1; ; page++) {
    const conditional = page === 1 && cursor?.last_modified;
    const answer = await unlessUnmodified(() =>
      api.rest.activity.listNotificationsForAuthenticatedUser({
        all: true,
        per_page: PAGE_SIZE,
        page,
        ...since,
        ...(conditional ? { headers: { "if-modified-since": conditional } } : {}),
      }),
    );
    first ??= answer.headers;
    threads.push(...readAnswer(z.array(thread), answer.data, reading));
    const isLast = !/rel="next"/.test(answer.headers.get("link") ?? "");
    if (!answer.changed || isLast || !cursor) {
      const intervalMs = Number(first.get("x-poll-interval") ?? 0) * 1_000 || 0;
      return { changed: answer.changed, threads, lastModified: first.get("last-modified"), intervalMs };
    }
  }
}

interface Page {
  changed: boolean;
  data: unknown;
  headers: Headers;
}

/** The client throws on 304, which is the ordinary answer here. */
async function unlessUnmodified(
  request: () => Promise<{ data: unknown; headers: Record<string, string | number | undefined> }>,
): Promise<Page> {
  try {
    const { data, headers } = await request();
    const texts = Object.entries(headers).map(([name, value]) => [name, String(value)] as [string, string]);
    return { changed: true, data, headers: new Headers(texts) };
  } catch (error) {
    const answer = answerOf(error);
    if (answer?.status === 304) return { changed: false, data: [], headers: answer.headers };
    throw error;
  }
}

async function readThreads(api: GithubApi, threads: Thread[]): Promise<NewEvent[]> {
  const events: NewEvent[] = [];
  for (const thread of threads) events.push(...(await readThread(api, thread)));
  return events;
}

/** The events of one notification: one for an issue or pull request, none for releases, checks and the like. */
async function readThread(api: GithubApi, thread: Thread): Promise<NewEvent[]> {
  const number = Number(/\/(?:issues|pulls)\/(\d+)$/.exec(thread.subject.url ?? "")?.[1]);
  const isPullRequest = thread.subject.type === "PullRequest";
  if (!Number.isInteger(number) || (!isPullRequest && thread.subject.type !== "Issue")) return [];
  const owner = thread.repository.owner.login;
  const repo = thread.repository.name;
  const payload = (await readSubject(api, { owner, repo, number, isPullRequest })) ?? {
    owner,
    repo,
    number,
    title: thread.subject.title,
  };
  const type = isPullRequest ? "github.pr.updated" : "github.issue.updated";
  const time_ms = timeMs(thread.updated_at);
  return [
    {
      type,
      source: "github",
      subject: type,
      payload: { ...payload, polled: true },
      body: readable(thread.subject.title, typeof payload.body === "string" ? payload.body : ""),
      conversation_key: conversationKey(owner, repo, number),
      external_id: `notification:${thread.id}:${thread.updated_at}`,
      origin_kind: "webhook",
      meta: { thread_id: thread.id, reason: thread.reason },
      ...(time_ms === undefined ? {} : { time_ms }),
    },
  ];
}

interface Place {
  owner: string;
  repo: string;
  number: number;
  isPullRequest: boolean;
}

/** The payload a webhook would have had; null when this token may not read the issue, or it is gone. */
async function readSubject(api: GithubApi, place: Place): Promise<JsonObject | null> {
  const { owner, repo, number } = place;
  try {
    if (place.isPullRequest) {
      const { data } = await api.rest.pulls.get({ owner, repo, pull_number: number });
      return pullRequestPayload(owner, repo, readAnswer(pullRequest, data, reading));
    }
    const { data } = await api.rest.issues.get({ owner, repo, issue_number: number });
    return issuePayload(owner, repo, readAnswer(issue, data, reading));
  } catch (error) {
    const status = answerOf(error)?.status;
    if (status === 404 || status === 410 || status === 451) return null;
    throw error;
  }
}

/** A cursor that can't be read starts again from now. */
function parseCursor({ cursor, log }: ListenContext<GithubConfig>): Cursor | null {
  if (cursor === null) return null;
  try {
    return cursorShape.parse(JSON.parse(cursor));
  } catch (error) {
    log.warn({ err: error, connector: "github" }, "the place where polling left off can't be read");
    return null;
  }
}

function isNew(thread: Thread, cursor: Cursor): boolean {
  if (thread.updated_at === cursor.updated_at) return !cursor.seen.includes(thread.id);
  return thread.updated_at > cursor.updated_at;
}

/** ISO times of one zone sort as text. */
function byTime(a: Thread, b: Thread): number {
  return a.updated_at < b.updated_at ? -1 : a.updated_at > b.updated_at ? 1 : 0;
}

function advance(cursor: Cursor, taken: Thread[]): Cursor {
  let { updated_at, seen } = cursor;
  for (const thread of taken) {
    if (thread.updated_at > updated_at) {
      updated_at = thread.updated_at;
      seen = [];
    }
    if (thread.updated_at === updated_at) seen = [...seen, thread.id];
  }
  return { ...cursor, updated_at, seen };
}

function secondBefore(time: string): string {
  return new Date(Date.parse(time) - 1_000).toISOString();
}
