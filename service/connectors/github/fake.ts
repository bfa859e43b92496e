import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it arrived. */
export interface RecordedRequest {
  method: string;
  /** With its query. */
  path: string;
  /** Parsed where it is JSON, else null. */
  body: unknown;
  authorization: string | null;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What goes wrong with the next request. `drop_after` carries it out and then drops the connection. */
export type Trouble =
  | { kind: "rate_limit"; resetInS: number }
  | { kind: "secondary_limit"; retryAfterS: number }
  | { kind: "status"; status: number; message: string }
  | { kind: "not_json" }
  | { kind: "drop" }
  | { kind: "drop_after" };

export interface FakeIssue {
  owner: string;
  repo: string;
  number: number;
  title: string;
  body: string;
  author: string;
  state: "open" | "closed";
  labels: string[];
  comments: { id: number; body: string }[];
  /** Set for a pull request. */
  pull: { head: string; base: string; reviews: { id: number; event: string; body: string }[] } | null;
}

export interface FakeNotification {
  id: string;
  updated_at: string;
  owner: string;
  repo: string;
  number: number;
  title: string;
  type: "Issue" | "PullRequest" | "Release";
}

export interface GithubFakeOptions {
  /** The only token it accepts. */
  token: string;
  /** What a notification's poller is asked to wait, in seconds. */
  pollIntervalS?: number;
}

export interface GithubFake {
  /** To be used as `api_url`. */
  url: string;
  requests: RecordedRequest[];
  /** Adds an issue, or a pull request if `pull` is given; it is open and without labels unless told otherwise. */
  addIssue(issue: Pick<FakeIssue, "owner" | "repo" | "number"> & Partial<FakeIssue>): FakeIssue;
  notify(notification: FakeNotification): void;
  /** The next request meets this; several are met in turn. */
  trouble(...troubles: Trouble[]): void;
  close(): Promise<void>;
}

interface State {
  options: GithubFakeOptions;
  url: string;
  requests: RecordedRequest[];
  issues: Map<string, FakeIssue>;
  notifications: FakeNotification[];
  troubles: Trouble[];
  nextId: number;
}

interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/**
 * A server on loopback that answers like GitHub's REST API for what the connector uses: labels, comments, state and
 * reviews of issues and pull requests, and notifications with pages, Last-Modified and X-Poll-Interval. For tests and
 * the demo.
 */
export async function startGithubFake(options: GithubFakeOptions): Promise<GithubFake> {
  const state: State = {
    options,
    url: "",
    requests: [],
    issues: new Map(),
    notifications: [],
    troubles: [],
    nextId: 1_001,
  };
  const server = createServer((request, response) => {
    serve(state, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: state.url,
    requests: state.requests,
    addIssue(given) {
      const issue: FakeIssue = {
        title: "A title",
        body: "A text",
        author: "octocat",
        state: "open",
        labels: [],
        comments: [],
        pull: null,
        ...given,
      };
      state.issues.set(keyOf(issue.owner, issue.repo, issue.number), issue);
      return issue;
    },
    notify: (notification) => void state.notifications.push(notification),
    trouble: (...troubles) => void state.troubles.push(...troubles),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const recorded = await record(request);
  state.requests.push(recorded);
  const trouble = state.troubles.shift();
  if (trouble?.kind === "drop") return void response.destroy();
  const answer = (trouble && troubled(trouble)) ?? authorized(state, recorded) ?? route(state, recorded);
  if (trouble?.kind === "drop_after") return void response.destroy();
  response.writeHead(answer.status, {
    "content-type": "application/json; charset=utf-8",
    "x-github-request-id": String(state.requests.length),
    ...answer.headers,
  });
  response.end(answer.status === 304 ? undefined : JSON.stringify(answer.body));
}

async function record(request: IncomingMessage): Promise<RecordedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  return {
    method: request.method ?? "",
    path: request.url ?? "",
    body: text === "" ? null : JSON.parse(text),
    authorization: request.headers.authorization ?? null,
    headers: request.headers,
  };
}

function troubled(trouble: Trouble): Answer | null {
  if (trouble.kind === "rate_limit") {
    const reset = Math.floor(Date.now() / 1_000) + trouble.resetInS;
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(reset) };
    return { status: 403, body: { message: "API rate limit exceeded for user ID 1." }, headers };
  }
  if (trouble.kind === "secondary_limit") {
    const headers = { "retry-after": String(trouble.retryAfterS) };
    return { status: 403, body: { message: "You have exceeded a secondary rate limit." }, headers };
  }
  if (trouble.kind === "status") return { status: trouble.status, body: { message: trouble.message } };
  if (trouble.kind === "not_json") return { status: 200, body: "<html>Log in to the Wi-Fi</html>" };
  return null;
}

function authorized(state: State, request: RecordedRequest): Answer | null {
  const accepted = [`token ${state.options.token}`, `Bearer ${state.options.token}`];
  if (request.authorization && accepted.includes(request.authorization)) return null;
  return { status: 401, body: { message: "Bad credentials" } };
}

const notFound: Answer = { status: 404, body: { message: "Not Found" } };

function route(state: State, request: RecordedRequest): Answer {
  const { pathname, searchParams } = new URL(request.path, state.url);
  if (request.method === "GET" && pathname === "/notifications")
    return notifications(state, request, searchParams);
  const parts = /^\/repos\/([^/]+)\/([^/]+)\/(issues|pulls)\/(\d+)(\/.*)?$/.exec(pathname);
  const [, owner = "", repo = "", kind = "", number = "", rest = ""] = parts ?? [];
  const issue = state.issues.get(keyOf(owner, repo, Number(number)));
  if (!issue) return notFound;
  if (kind === "pulls") return issue.pull ? pull(state, request, issue, rest) : notFound;
  return onIssue(state, request, issue, rest);
}

function onIssue(state: State, request: RecordedRequest, issue: FakeIssue, rest: string): Answer {
  const body = (request.body ?? {}) as Record<string, unknown>;
  const labels = () => issue.labels.map((name, index) => ({ id: index + 1, name }));
  if (request.method === "GET" && rest === "") return { status: 200, body: issueJson(state, issue) };
  if (request.method === "PATCH" && rest === "") {
    issue.state = body.state === "closed" ? "closed" : "open";
    return { status: 200, body: issueJson(state, issue) };
  }
  if (request.method === "POST" && rest === "/labels") {
    issue.labels = [...new Set([...issue.labels, ...(body.labels as string[])])];
    return { status: 200, body: labels() };
  }
  if (request.method === "DELETE" && rest.startsWith("/labels/")) {
    const name = decodeURIComponent(rest.slice("/labels/".length));
    if (!issue.labels.includes(name)) return { status: 404, body: { message: "Label does not exist" } };
    issue.labels = issue.labels.filter((label) => label !== name);
    return { status: 200, body: labels() };
  }
  if (request.method === "POST" && rest === "/comments") {
    const comment = { id: state.nextId++, body: String(body.body) };
    issue.comments.push(comment);
    return { status: 201, body: { ...comment, html_url: `${page(issue)}#issuecomment-${comment.id}` } };
  }
  return notFound;
}

function pull(state: State, request: RecordedRequest, issue: FakeIssue, rest: string): Answer {
  if (request.method === "GET" && rest === "") return { status: 200, body: issueJson(state, issue) };
  if (request.method !== "POST" || rest !== "/reviews") return notFound;
  const { event, body } = request.body as { event: string; body?: string };
  const review = { id: state.nextId++, event, body: body ?? "" };
  issue.pull?.reviews.push(review);
  const html_url = `${page(issue)}#pullrequestreview-${review.id}`;
  return { status: 200, body: { id: review.id, body: review.body, state: "APPROVED", html_url } };
}

function notifications(state: State, request: RecordedRequest, query: URLSearchParams): Answer {
  const newest = state.notifications.toSorted((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
  const lastModified = new Date(newest[0]?.updated_at ?? 0).toUTCString();
  const headers: Record<string, string> = {
    "last-modified": lastModified,
    "x-poll-interval": String(state.options.pollIntervalS ?? 60),
  };
  if (request.headers["if-modified-since"] === lastModified) return { status: 304, body: null, headers };
  const since = query.get("since");
  const matching = newest.filter((one) => !since || Date.parse(one.updated_at) > Date.parse(since));
  const size = Number(query.get("per_page") ?? 50);
  const number = Number(query.get("page") ?? 1);
  if (number * size < matching.length) {
    const next = new URLSearchParams(query);
    next.set("page", String(number + 1));
    headers.link = `<${state.url}/notifications?${next}>; rel="next"`;
  }
  const shown = matching.slice((number - 1) * size, number * size);
  return { status: 200, body: shown.map((one) => threadJson(state, one)), headers };
}

function threadJson(state: State, one: FakeNotification): unknown {
  const folder = { Issue: "issues", PullRequest: "pulls", Release: "releases" }[one.type];
  return {
    id: one.id,
    updated_at: one.updated_at,
    unread: true,
    reason: "subscribed",
    subject: {
      title: one.title,
      type: one.type,
      url: `${state.url}/repos/${one.owner}/${one.repo}/${folder}/${one.number}`,
    },
    repository: {
      name: one.repo,
      full_name: `${one.owner}/${one.repo}`,
      owner: { login: one.owner, id: 1 },
    },
  };
}

function issueJson(state: State, issue: FakeIssue): unknown {
  const json = {
    id: issue.number,
    url: `${state.url}/repos/${issue.owner}/${issue.repo}/issues/${issue.number}`,
    number: issue.number,
    title: issue.title,
    body: issue.body,
    state: issue.state,
    html_url: page(issue),
    user: { login: issue.author, id: 1 },
    labels: issue.labels.map((name) => ({ name })),
    updated_at: new Date(0).toISOString(),
  };
  if (!issue.pull) return json;
  return { ...json, head: { ref: issue.pull.head }, base: { ref: issue.pull.base }, merged: false };
}

function page(issue: FakeIssue): string {
  return `https://github.com/${issue.owner}/${issue.repo}/${issue.pull ? "pull" : "issues"}/${issue.number}`;
}

function keyOf(owner: string, repo: string, number: number): string {
  return `${owner}/${repo}#${number}`;
}
