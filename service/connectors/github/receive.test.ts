import { createHmac } from "node:crypto";
import examples from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };
import { describe, expect, it } from "vitest";
import { connectorContext, webhookRequest } from "../../../test/harness/connector-context.ts";
import type { JsonObject } from "../../contract/common.ts";
import { newEvent } from "../../contract/events.ts";
import type { WebhookReply } from "../connector.ts";
import { githubConfig } from "./config.ts";
import { githubRoutes, receiveWebhook } from "./receive.ts";

const config = githubConfig.parse(undefined);
const context = connectorContext(config, { GITHUB_WEBHOOK_SECRET: "top secret" });

interface Example {
  action?: string;
  [field: string]: unknown;
}
const samples = examples.flatMap((kind) =>
  (kind.examples as unknown as Example[]).map((payload) => ({ kind: kind.name, payload })),
);

function sample(kind: string, action?: string, index = 0): Example {
  const found = samples.filter((one) => one.kind === kind && (!action || one.payload.action === action))[
    index
  ];
  if (!found) throw new Error(`no sample of ${kind} ${action}`);
  return found.payload;
}

function signature(body: string, secret = "top secret"): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

function send(kind: string, payload: unknown, headers: Record<string, string> = {}): Promise<WebhookReply> {
  const body = typeof payload === "string" ? payload : JSON.stringify(payload);
  return receiveWebhook(
    webhookRequest("/webhook", body, {
      "content-type": "application/json",
      "x-github-event": kind,
      "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
      "x-hub-signature-256": signature(body),
      ...headers,
    }),
    context,
  );
}

async function only(kind: string, payload: unknown) {
  const reply = await send(kind, payload);
  expect(reply).toMatchObject({ status: 200, body: { status: "accepted" } });
  expect(reply.events).toHaveLength(1);
  return newEvent.parse(reply.events[0]);
}

describe("events", () => {
  it("S32 an opened issue becomes github.issue.opened with the payload of B6", async () => {
    const webhook = sample("issues", "opened");
    const issue = webhook.issue as JsonObject & { user: { login: string }; labels: { name: string }[] };
    const event = await only("issues", webhook);
    expect(event).toMatchObject({
      type: "github.issue.opened",
      subject: "github.issue.opened",
      source: "github",
      origin_kind: "webhook",
      external_id: "72d3162e-cc78-11e3-81ab-4c9367dc0958",
      conversation_key: `github:Codertocat/Hello-World:${issue.number}`,
      user_key: String((webhook.sender as { id: number }).id),
      meta: { delivery_id: "72d3162e-cc78-11e3-81ab-4c9367dc0958", sender: "Codertocat" },
      time_ms: Date.parse(String(issue.updated_at)),
    });
    expect(event.payload).toEqual({
      owner: "Codertocat",
      repo: "Hello-World",
      number: issue.number,
      title: issue.title,
      body: issue.body ?? "",
      author: issue.user.login,
      url: issue.html_url,
      labels: issue.labels.map((label) => label.name),
    });
    expect(event.body).toBe(`${issue.title}\n\n${issue.body}`);
    expect(event.raw).toEqual(webhook);
  });

  it("S32 closed, reopened, labeled and assigned are types of their own; B6 names label and assignee", async () => {
    const labeled = await only("issues", sample("issues", "labeled"));
    expect(labeled.type).toBe("github.issue.labeled");
    expect(labeled.payload).toHaveProperty("label", (sample("issues", "labeled").label as JsonObject).name);
    const assigned = await only("issues", sample("issues", "assigned"));
    expect(assigned.type).toBe("github.issue.assigned");
    expect(assigned.payload).toHaveProperty(
      "assignee",
      (sample("issues", "assigned").assignee as JsonObject).login,
    );
    expect(assigned.payload).not.toHaveProperty("label");
    expect((await only("issues", sample("issues", "reopened"))).type).toBe("github.issue.reopened");
    const closed = { ...sample("issues", "opened"), action: "closed" };
    expect((await only("issues", closed)).type).toBe("github.issue.closed");
  });

  it("S33 a merged pull request is github.pr.merged, one that was only closed github.pr.closed", async () => {
    const webhook = sample("pull_request", "closed");
    const pull = webhook.pull_request as JsonObject;
    const closed = await only("pull_request", { ...webhook, pull_request: { ...pull, merged: false } });
    expect(closed.type).toBe("github.pr.closed");
    expect(closed.payload).not.toHaveProperty("merge_commit");
    const merged = await only("pull_request", {
      ...webhook,
      pull_request: { ...pull, merged: true, merge_commit_sha: "abc123" },
    });
    expect(merged.type).toBe("github.pr.merged");
    expect(merged.payload).toHaveProperty("merge_commit", "abc123");
  });

  it("S33 an opened pull request and a requested review carry the fields of B6", async () => {
    const webhook = sample("pull_request", "opened");
    const pull = webhook.pull_request as JsonObject & { head: JsonObject; base: JsonObject };
    const opened = await only("pull_request", webhook);
    expect(opened.type).toBe("github.pr.opened");
    expect(opened.payload).toEqual({
      owner: "Codertocat",
      repo: "Hello-World",
      number: pull.number,
      title: pull.title,
      body: pull.body ?? "",
      author: (pull.user as JsonObject).login,
      url: pull.html_url,
      labels: [],
      head_branch: pull.head.ref,
      base_branch: pull.base.ref,
    });
    const requested = sample("pull_request", "review_requested");
    const event = await only("pull_request", requested);
    expect(event.type).toBe("github.pr.review_requested");
    expect(event.payload?.reviewer).toBe((requested.requested_reviewer as JsonObject).login);
  });

  it("S34 a push becomes github.push with exactly the fields of B6", async () => {
    const webhook = sample("push", undefined, 0);
    const event = await only("push", webhook);
    expect(event).toMatchObject({ type: "github.push", conversation_key: "github:Codertocat/Hello-World" });
    expect(event.payload).toEqual({
      owner: "Codertocat",
      repo: "Hello-World",
      ref: webhook.ref,
      before: webhook.before,
      after: webhook.after,
      commits_count: (webhook.commits as unknown[]).length,
      pusher: (webhook.pusher as JsonObject).name,
    });
    expect(event.time_ms).toBe(Number((webhook.repository as JsonObject).pushed_at) * 1_000);
    expect(event.body).toContain("pushed 0 commits to Codertocat/Hello-World");
  });

  it("S35 a new comment becomes github.comment.created with comment_id as text and issue_number (B6)", async () => {
    const webhook = sample("issue_comment", "created");
    const comment = webhook.comment as JsonObject;
    const event = await only("issue_comment", webhook);
    expect(event.type).toBe("github.comment.created");
    expect(event.payload).toEqual({
      owner: "Codertocat",
      repo: "Hello-World",
      issue_number: (webhook.issue as JsonObject).number,
      comment_id: String(comment.id),
      body: comment.body,
      author: (comment.user as JsonObject).login,
      url: comment.html_url,
    });
    for (const action of ["edited", "deleted"]) {
      const reply = await send("issue_comment", sample("issue_comment", action));
      expect(reply).toMatchObject({ body: { status: "ignored" }, events: [] });
    }
  });

  it("B6 every published sample payload is accepted or ignored cleanly", async () => {
    const types: Record<string, number> = {};
    let ignored = 0;
    for (const { kind, payload } of samples) {
      const reply = await send(kind, payload);
      expect(reply.status).toBe(200);
      if (reply.body.status === "ignored") {
        expect(reply.events).toEqual([]);
        ignored++;
        continue;
      }
      expect(reply.body).toEqual({ status: "accepted" });
      const event = newEvent.parse(reply.events[0]);
      types[event.type!] = (types[event.type!] ?? 0) + 1;
    }
    expect(samples).toHaveLength(329);
    expect(types).toEqual({
      "github.issue.opened": 4,
      "github.issue.reopened": 1,
      "github.issue.labeled": 2,
      "github.issue.assigned": 3,
      "github.pr.opened": 4,
      "github.pr.closed": 2,
      "github.pr.review_requested": 1,
      "github.push": 7,
      "github.comment.created": 5,
    });
    expect(ignored).toBe(329 - 29);
  });
});

describe("refusals", () => {
  it("B6 answers 403 while no secret is configured, and while it is blank", async () => {
    for (const values of [{}, { GITHUB_WEBHOOK_SECRET: "  " }] as Record<string, string>[]) {
      const body = JSON.stringify(sample("issues", "opened"));
      const request = webhookRequest("/webhook", body, {
        "x-github-event": "issues",
        "x-hub-signature-256": signature(body, "  "),
      });
      await expect(receiveWebhook(request, connectorContext(config, values))).rejects.toMatchObject({
        code: "secret_missing",
        status: 403,
        hint: expect.stringContaining("GITHUB_WEBHOOK_SECRET"),
      });
    }
  });

  it("B6 answers 401 to a wrong, missing or foreign signature, S30 whatever the body says", async () => {
    const good = signature(JSON.stringify(sample("issues", "opened")));
    const wrong = [
      "",
      "sha256=",
      "sha256=00",
      good.replace(/.$/, "x"),
      good.slice("sha256=".length),
      "sha1=abc",
    ];
    for (const header of [...wrong, signature("{}"), signature("{}", "another")]) {
      await expect(
        send("issues", sample("issues", "opened"), { "x-hub-signature-256": header }),
      ).rejects.toMatchObject({ code: "bad_signature", status: 401 });
    }
    await expect(send("issues", "")).rejects.toMatchObject({ status: 401 });
  });

  it("B6 answers 400 without X-GitHub-Event, but only to those who know the secret", async () => {
    await expect(send("", sample("push"))).rejects.toMatchObject({
      code: "invalid_request",
      status: 400,
      message: expect.stringContaining("X-GitHub-Event"),
    });
    await expect(send("", sample("push"), { "x-hub-signature-256": "sha256=00" })).rejects.toMatchObject({
      status: 401,
    });
  });

  it("B6 takes up to 10 MB", () => {
    expect(githubRoutes(config)).toEqual([
      expect.objectContaining({ path: "/webhook", maxBytes: 10_485_760, isOpen: false }),
    ]);
  });

  it("answers 400 to signed nonsense and names the field that is wrong", async () => {
    for (const body of ["not json", "[1]", "null", '"text"']) {
      await expect(send("issues", body)).rejects.toMatchObject({ status: 400 });
    }
    await expect(send("issues", { action: "opened" })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("issue"),
    });
    await expect(send("push", sample("push"), { "x-github-delivery": "a b\u0000" })).rejects.toMatchObject({
      status: 400,
    });
  });

  it("never repeats the secret or the signature in an error", async () => {
    const error = await send("issues", "{}", { "x-hub-signature-256": "sha256=feed" }).catch((e) => e);
    const shown = JSON.stringify(error.toBody()) + String(error.stack) + JSON.stringify(error.cause ?? null);
    expect(shown).not.toContain("top secret");
    expect(shown).not.toContain("feed");
  });
});

describe("deliveries", () => {
  it("S31 takes the webhook at /webhook unless told otherwise", () => {
    expect(githubRoutes(config)[0]?.path).toBe("/webhook");
    expect(githubRoutes({ ...config, webhook_path: "/hooks/github" })[0]?.path).toBe("/hooks/github");
  });

  it("reads the form that GitHub's settings page offers first", async () => {
    const form = new URLSearchParams({ payload: JSON.stringify(sample("issues", "opened")) }).toString();
    const reply = await send("issues", form, { "content-type": "application/x-www-form-urlencoded" });
    expect(reply.events[0]?.type).toBe("github.issue.opened");
  });

  it("a delivery without an id goes by its content", async () => {
    const first = await send("push", sample("push", undefined, 0), { "x-github-delivery": "" });
    const again = await send("push", sample("push", undefined, 0), { "x-github-delivery": "" });
    const other = await send("push", sample("push", undefined, 1), { "x-github-delivery": "" });
    expect(first.events[0]?.external_id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(again.events[0]?.external_id).toBe(first.events[0]?.external_id);
    expect(other.events[0]?.external_id).not.toBe(first.events[0]?.external_id);
  });

  it("leaves out an original that no event could hold, and says so", async () => {
    const webhook = { ...sample("issues", "opened"), padding: "x".repeat(2_000_000) };
    const event = await only("issues", webhook);
    expect(event.raw).toBeUndefined();
    expect(event.meta).toMatchObject({ raw_omitted_bytes: JSON.stringify(webhook).length });
  });

  it("text that a database can't hold is mended in the body and kept in the payload", async () => {
    const webhook = sample("issues", "opened");
    const issue = { ...(webhook.issue as JsonObject), title: "half \ud83d", body: "nul \u0000 byte" };
    const event = await only("issues", { ...webhook, issue });
    expect(event.body).toBe("half \ufffd\n\nnul \ufffd byte");
    expect(event.payload?.body).toBe("nul \u0000 byte");
  });
});
