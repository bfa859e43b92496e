import { afterEach, describe, expect, it } from "vitest";
import { commandContext } from "../../../test/harness/connector-context.ts";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { CommandContext } from "../connector.ts";
import { githubCommands } from "./commands.ts";
import { type GithubConfig, githubConfig } from "./config.ts";
import { type GithubFake, startGithubFake, type Trouble } from "./fake.ts";

const TOKEN = "ghp_notARealToken1234567890";
const open: GithubFake[] = [];

/** A server of its own for each test: the pace of writes is kept per account. */
async function startFake(): Promise<GithubFake> {
  const fake = await startGithubFake({ token: TOKEN });
  open.push(fake);
  return fake;
}

afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

function contextFor(api_url: string, token = TOKEN, signal?: AbortSignal): CommandContext<GithubConfig> {
  return commandContext(githubConfig.parse({ api_url }), { GITHUB_TOKEN: token }, signal);
}

function run(name: string, payload: JsonObject, context: CommandContext<GithubConfig>): Promise<Json> {
  const command = githubCommands[name];
  if (!command) throw new Error(`no command ${name}`);
  return command.run(payload, context);
}

const at = { owner: "acme", repo: "site", number: 7 };
const shown = (error: Error & { toBody(): unknown; cause?: unknown }) =>
  `${error.message} ${error.stack} ${JSON.stringify(error.toBody())} ${String(error.cause)}`;

describe("what each command calls", () => {
  it("S36 add_label adds the label to the issue", async () => {
    const fake = await startFake();
    const issue = fake.addIssue({ ...at, labels: ["triage"] });
    const result = await run("add_label", { ...at, label: "bug" }, contextFor(fake.url));
    expect(result).toEqual({ labels: ["triage", "bug"] });
    expect(issue.labels).toEqual(["triage", "bug"]);
    expect(fake.requests).toMatchObject([
      {
        method: "POST",
        path: "/repos/acme/site/issues/7/labels",
        body: { labels: ["bug"] },
        authorization: `token ${TOKEN}`,
      },
    ]);
  });

  it("S37 remove_label removes it, and is content when it was gone already", async () => {
    const fake = await startFake();
    const issue = fake.addIssue({ ...at, labels: ["good first issue", "bug"] });
    const payload = { ...at, label: "good first issue" };
    expect(await run("remove_label", payload, contextFor(fake.url))).toEqual({
      removed: true,
      labels: ["bug"],
    });
    expect(issue.labels).toEqual(["bug"]);
    expect(await run("remove_label", payload, contextFor(fake.url))).toEqual({ removed: false });
    expect(fake.requests[0]).toMatchObject({
      method: "DELETE",
      path: "/repos/acme/site/issues/7/labels/good%20first%20issue",
    });
  });

  it("S38 create_comment writes the comment and tells its id as text", async () => {
    const fake = await startFake();
    const issue = fake.addIssue(at);
    const result = await run("create_comment", { ...at, body: "Thank you" }, contextFor(fake.url));
    expect(result).toEqual({
      comment_id: "1001",
      url: "https://github.com/acme/site/issues/7#issuecomment-1001",
    });
    expect(issue.comments).toEqual([{ id: 1_001, body: "Thank you" }]);
  });

  it("S39 close_issue closes, S40 reopen_issue opens again", async () => {
    const fake = await startFake();
    const issue = fake.addIssue(at);
    expect(await run("close_issue", at, contextFor(fake.url))).toMatchObject({ state: "closed" });
    expect(issue.state).toBe("closed");
    expect(await run("reopen_issue", at, contextFor(fake.url))).toMatchObject({ state: "open" });
    expect(issue.state).toBe("open");
    expect(fake.requests).toMatchObject([
      { method: "PATCH", path: "/repos/acme/site/issues/7", body: { state: "closed" } },
      { method: "PATCH", path: "/repos/acme/site/issues/7", body: { state: "open" } },
    ]);
  });

  it("B5 approve_pr approves, with a text or without", async () => {
    const fake = await startFake();
    const pull = fake.addIssue({ ...at, pull: { head: "fix", base: "main", reviews: [] } });
    await run("approve_pr", { ...at, body: "Good" }, contextFor(fake.url));
    expect(await run("approve_pr", at, contextFor(fake.url))).toMatchObject({ review_id: "1002" });
    expect(pull.pull?.reviews).toEqual([
      { id: 1_001, event: "APPROVE", body: "Good" },
      { id: 1_002, event: "APPROVE", body: "" },
    ]);
    expect(fake.requests[1]?.body).toEqual({ event: "APPROVE" });
  });

  it("S36 takes the number as a number or as text", async () => {
    const fake = await startFake();
    const issue = fake.addIssue(at);
    await run("add_label", { ...at, number: "7", label: "bug" }, contextFor(fake.url));
    expect(issue.labels).toEqual(["bug"]);
  });

  it("goes through the fetch it was given", async () => {
    const fake = await startFake();
    fake.addIssue(at);
    const urls: string[] = [];
    const context = contextFor(fake.url);
    const fetch: typeof globalThis.fetch = (input, init) => {
      urls.push(String(input));
      return globalThis.fetch(input, init);
    };
    await run("close_issue", at, { ...context, fetch });
    expect(urls).toEqual([`${fake.url}/repos/acme/site/issues/7`]);
  });
});

describe("what a command refuses before it calls", () => {
  const needs: Record<string, string[]> = {
    add_label: ["owner", "repo", "number", "label"],
    remove_label: ["owner", "repo", "number", "label"],
    create_comment: ["owner", "repo", "number", "body"],
    close_issue: ["owner", "repo", "number"],
    reopen_issue: ["owner", "repo", "number"],
    approve_pr: ["owner", "repo", "number"],
  };
  const full = { ...at, label: "bug", body: "text" };

  it("S36 S37 S38 S39 S40 a missing field is an error that names it, and nothing is called", async () => {
    const fake = await startFake();
    fake.addIssue(at);
    expect(Object.keys(githubCommands)).toEqual(Object.keys(needs));
    for (const [name, fields] of Object.entries(needs)) {
      for (const field of fields) {
        const payload: JsonObject = { ...full };
        delete payload[field];
        await expect(run(name, payload, contextFor(fake.url))).rejects.toMatchObject({
          code: "invalid_request",
          message: expect.stringContaining(`"${field}" is missing`),
          details: { fields: [field] },
        });
      }
    }
    expect(fake.requests).toEqual([]);
  });

  it("S39 names every wrong field at once", async () => {
    await expect(
      run("close_issue", { owner: 5, repo: "site", number: 0 }, contextFor("http://127.0.0.1:1")),
    ).rejects.toMatchObject({ details: { fields: ["owner", "number"] } });
  });

  it("no name or label leads to another endpoint", async () => {
    const fake = await startFake();
    const issue = fake.addIssue({ ...at, labels: ["bug"] });
    const traps = [
      { ...full, owner: ".." },
      { ...full, owner: "acme/site/../.." },
      { ...full, repo: ".." },
      { ...full, repo: "." },
      { ...full, repo: "site?x=" },
      { ...full, label: "." },
      { ...full, label: ".." },
      { ...full, number: "7/labels" },
      { ...full, number: -1 },
      { ...full, number: 1.5 },
      { ...full, number: "0x7" },
    ];
    for (const trap of traps) {
      await expect(run("remove_label", trap, contextFor(fake.url))).rejects.toMatchObject({
        code: "invalid_request",
      });
    }
    expect(fake.requests).toEqual([]);
    expect(issue.labels).toEqual(["bug"]);
  });

  it("S30 without a token nothing is called, and the error says where it belongs", async () => {
    const fake = await startFake();
    const context = commandContext(githubConfig.parse({ api_url: fake.url }));
    await expect(run("close_issue", at, context)).rejects.toMatchObject({
      code: "secret_missing",
      hint: expect.stringContaining("GITHUB_TOKEN"),
    });
    expect(fake.requests).toEqual([]);
  });

  it("a token with a line break is refused without being shown", async () => {
    const error = await run("close_issue", at, contextFor("http://127.0.0.1:1", "ghp_x\ny")).catch((e) => e);
    expect(error).toMatchObject({ code: "connection_expired" });
    expect(shown(error)).not.toContain("ghp_x");
  });
});

describe("what GitHub answers", () => {
  it("an unknown issue is remote_failed with GitHub's own words", async () => {
    const fake = await startFake();
    for (const name of ["add_label", "remove_label"]) {
      await expect(run(name, { ...at, label: "bug" }, contextFor(fake.url))).rejects.toMatchObject({
        code: "remote_failed",
        message: expect.stringContaining("Not Found"),
        details: { status: 404 },
      });
    }
  });

  it("a refused value is invalid_request, a forbidden one remote_failed", async () => {
    const fake = await startFake();
    fake.trouble(
      { kind: "status", status: 422, message: "Validation Failed" },
      { kind: "status", status: 403, message: "Resource not accessible by personal access token" },
    );
    await expect(run("create_comment", { ...at, body: "x" }, contextFor(fake.url))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("Validation Failed"),
    });
    await expect(run("close_issue", at, contextFor(fake.url))).rejects.toMatchObject({
      code: "remote_failed",
      hint: expect.stringContaining("token may write"),
    });
  });

  it("a refused token is connection_expired, and no error shows it", async () => {
    const fake = await startFake();
    fake.addIssue(at);
    const error = await run("close_issue", at, contextFor(fake.url, "ghp_expired")).catch((e) => e);
    expect(error).toMatchObject({ code: "connection_expired" });
    fake.trouble({ kind: "status", status: 500, message: `token ${TOKEN} made it fail` });
    const echoed = await run("close_issue", at, contextFor(fake.url)).catch((e) => e);
    for (const text of [shown(error), shown(echoed)]) {
      expect(text).not.toContain("ghp_expired");
      expect(text).not.toContain(TOKEN);
    }
  });

  it("rate limits carry the pause GitHub asks for", async () => {
    const fake = await startFake();
    fake.trouble({ kind: "rate_limit", resetInS: 120 }, { kind: "secondary_limit", retryAfterS: 17 });
    fake.trouble({ kind: "status", status: 429, message: "Too many requests" });
    const errors = [];
    for (let i = 0; i < 3; i++)
      errors.push(await run("close_issue", at, contextFor(fake.url)).catch((e) => e));
    expect(errors.map((error) => error.code)).toEqual(["rate_limited", "rate_limited", "rate_limited"]);
    expect(errors[0].retryAfterS).toBeGreaterThan(115);
    expect(errors[0].retryAfterS).toBeLessThanOrEqual(122);
    expect(errors[1].retryAfterS).toBe(17);
    expect(errors[2].retryAfterS).toBe(60);
    expect(fake.requests).toHaveLength(3);
  });

  it("a page of a proxy is no success", async () => {
    const fake = await startFake();
    fake.trouble({ kind: "not_json" }, { kind: "not_json" });
    await expect(run("add_label", { ...at, label: "bug" }, contextFor(fake.url))).rejects.toMatchObject({
      code: "remote_failed",
    });
    await expect(run("create_comment", { ...at, body: "x" }, contextFor(fake.url))).rejects.toMatchObject({
      code: "remote_failed",
      details: { outcome: "unknown" },
    });
  });
});

describe("when nobody knows what happened", () => {
  const silences: Trouble[] = [
    { kind: "drop" },
    { kind: "drop_after" },
    { kind: "status", status: 502, message: "Bad Gateway" },
  ];

  it("S36 what may be repeated is unavailable, so that it is tried again", async () => {
    for (const trouble of silences) {
      const fake = await startFake();
      fake.addIssue(at);
      fake.trouble(trouble);
      await expect(run("add_label", { ...at, label: "bug" }, contextFor(fake.url))).rejects.toMatchObject({
        code: "unavailable",
      });
      expect(fake.requests).toHaveLength(1);
    }
  });

  it("S38 a comment that may have been written says its outcome is unknown and is sent once only", async () => {
    for (const trouble of silences) {
      const fake = await startFake();
      const issue = fake.addIssue(at);
      fake.trouble(trouble);
      await expect(
        run("create_comment", { ...at, body: "once" }, contextFor(fake.url)),
      ).rejects.toMatchObject({
        code: "remote_failed",
        details: { outcome: "unknown" },
      });
      expect(fake.requests).toHaveLength(1);
      expect(issue.comments).toHaveLength(trouble.kind === "drop_after" ? 1 : 0);
    }
  });

  it("S38 a comment that surely never left is unavailable", async () => {
    const fake = await startGithubFake({ token: TOKEN });
    await fake.close();
    await expect(run("create_comment", { ...at, body: "x" }, contextFor(fake.url))).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    const stopped = contextFor(fake.url, TOKEN, AbortSignal.abort());
    await expect(run("create_comment", { ...at, body: "x" }, stopped)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  it("S38 a comment that waits for its turn is given up at once when everything stops", async () => {
    const fake = await startFake();
    const issue = fake.addIssue(at);
    await run("create_comment", { ...at, body: "first" }, contextFor(fake.url));
    const controller = new AbortController();
    const second = run(
      "create_comment",
      { ...at, body: "second" },
      contextFor(fake.url, TOKEN, controller.signal),
    );
    controller.abort();
    await expect(second).rejects.toMatchObject({ code: "unavailable" });
    expect(issue.comments).toHaveLength(1);
  });

  it("S38 a stop while GitHub is working leaves the outcome unknown", async () => {
    const fake = await startFake();
    fake.addIssue(at);
    const controller = new AbortController();
    const context = contextFor(fake.url, TOKEN, controller.signal);
    const fetch: typeof globalThis.fetch = (input, init) => {
      const answer = globalThis.fetch(input, init);
      controller.abort();
      return answer;
    };
    await expect(run("create_comment", { ...at, body: "x" }, { ...context, fetch })).rejects.toMatchObject({
      code: "remote_failed",
      details: { outcome: "unknown" },
    });
  });
});

describe("how a command presents itself", () => {
  it("S38 comments and reviews are not to be repeated, everything else is", () => {
    const repeatable = Object.entries(githubCommands).filter(([, command]) => command.idempotent);
    expect(repeatable.map(([name]) => name)).toEqual([
      "add_label",
      "remove_label",
      "close_issue",
      "reopen_issue",
    ]);
  });

  it("sums up in one short line what it is about to do", () => {
    const sum = (name: string, payload: JsonObject) => githubCommands[name]?.summary(payload);
    expect(sum("add_label", { ...at, label: "bug" })).toBe('Add label "bug" to acme/site#7');
    expect(sum("close_issue", {})).toBe("Close ?/?#?");
    expect(sum("create_comment", { ...at, body: `a\n\u202eb ${"x".repeat(200)}` })).toMatch(
      /^Comment on acme\/site#7: "a b x+…"$/,
    );
  });
});
