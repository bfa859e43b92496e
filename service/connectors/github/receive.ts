import { createHash } from "node:crypto";
import * as z from "zod";
import { type Json, type JsonObject, limits } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { NewEvent } from "../../contract/events.ts";
import type { ConnectorContext, WebhookReply, WebhookRequest, WebhookRoute } from "../connector.ts";
import type { GithubConfig } from "./config.ts";
import { type GithubFact, readWebhook, sender } from "./events.ts";

/** Largest webhook in bytes, as Sekia has it. */
const MAX_BYTES = 10 * 1_048_576;
/** Larger originals are not kept: beside the longest texts they would not fit into one event. */
const RAW_BYTES = (limits.eventBytes * 3) / 8;
const SECRET_HINT =
  "Set GITHUB_WEBHOOK_SECRET (or `connectors.github.webhook_secret`) to the secret of the webhook at GitHub, or turn GitHub off with `connectors.github.enabled = false`.";

export function githubRoutes(config: GithubConfig): WebhookRoute[] {
  return [
    {
      path: config.webhook_path,
      maxBytes: MAX_BYTES,
      isOpen: false,
      secret: config.webhook_secret,
      secretHint: SECRET_HINT,
    },
  ];
}

/**
 * Checks the signature of one webhook, then reads it. The delivery's id becomes `external_id`, so GitHub's own
 * redelivery is dropped. The signature does not cover that id: it proves the body alone.
 * @throws SignalboxError `secret_missing` (403), `bad_signature` (401), `invalid_request` (400)
 */
export async function receiveWebhook(
  request: WebhookRequest,
  context: ConnectorContext<GithubConfig>,
): Promise<WebhookReply> {
  const text = request.body.toString("utf8");
  await checkSignature(text, request.headers["x-hub-signature-256"], context);
  const kind = request.headers["x-github-event"];
  if (!kind) throw new SignalboxError("invalid_request", "The header X-GitHub-Event is missing");
  const webhook = parseBody(text, request.headers["content-type"]);
  const fact = readFact(kind, webhook);
  if (!fact) return { status: 200, body: { status: "ignored" }, events: [] };
  return {
    status: 200,
    body: { status: "accepted" },
    events: [envelope(kind, fact, webhook, request)],
  };
}

async function checkSignature(
  text: string,
  signature: string | undefined,
  context: ConnectorContext<GithubConfig>,
): Promise<void> {
  const secret = context.secret(context.config.webhook_secret);
  if (!secret || secret.isBlank) {
    throw new SignalboxError("secret_missing", "GitHub's webhooks have no secret, so none is accepted", {
      hint: SECRET_HINT,
    });
  }
  // Loaded with the first webhook, so that the CLI never pays for it.
  const { Webhooks } = await import("@octokit/webhooks");
  const webhooks = new Webhooks({ secret: secret.reveal() });
  const isGenuine = text !== "" && !!signature && (await webhooks.verify(text, signature));
  if (!isGenuine) {
    throw new SignalboxError("bad_signature", "The signature of this webhook does not match", {
      hint: "Give GitHub's webhook and Signalbox the same secret; GitHub then sends X-Hub-Signature-256.",
    });
  }
}

/** GitHub sends JSON, or a form with the JSON in `payload`, as its settings page says. */
function parseBody(text: string, contentType = ""): JsonObject {
  const isForm = contentType.toLowerCase().startsWith("application/x-www-form-urlencoded");
  const source = isForm ? (new URLSearchParams(text).get("payload") ?? "") : text;
  const webhook = parseJson(source);
  if (typeof webhook === "object" && webhook !== null && !Array.isArray(webhook)) return webhook;
  throw new SignalboxError("invalid_request", "The webhook is not a JSON object");
}

function parseJson(source: string): Json {
  try {
    return JSON.parse(source);
  } catch (error) {
    throw new SignalboxError("invalid_request", "The webhook is not JSON", { cause: error });
  }
}

function readFact(kind: string, webhook: JsonObject): GithubFact | null {
  try {
    return readWebhook(kind, webhook);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const where = error.issues[0]?.path.join(".") || "its fields";
    throw new SignalboxError(
      "invalid_request",
      `This ${kind.slice(0, 50)} webhook is not as GitHub sends it: ${where}`,
      {
        cause: error,
      },
    );
  }
}

function envelope(kind: string, fact: GithubFact, webhook: JsonObject, request: WebhookRequest): NewEvent {
  const delivery = deliveryId(kind, request);
  const by = z.object({ sender }).safeParse(webhook).data?.sender;
  const event: NewEvent = {
    type: fact.type,
    source: "github",
    subject: fact.type,
    payload: fact.payload,
    body: fact.body,
    conversation_key: fact.conversation_key,
    external_id: delivery,
    origin_kind: "webhook",
    meta: { delivery_id: delivery, sender: by?.login ?? "" },
  };
  if (by) event.user_key = String(by.id);
  if (fact.time_ms !== undefined) event.time_ms = fact.time_ms;
  if (request.body.length <= RAW_BYTES) event.raw = webhook;
  else event.meta = { ...event.meta, raw_omitted_bytes: request.body.length };
  return event;
}

/** Without a delivery id of its own a webhook goes by its content: the same bytes twice are a repetition. */
function deliveryId(kind: string, request: WebhookRequest): string {
  const given = request.headers["x-github-delivery"];
  if (!given) return `sha256:${createHash("sha256").update(`${kind}\n`).update(request.body).digest("hex")}`;
  if (!/^[\x21-\x7e]{1,200}$/.test(given)) {
    throw new SignalboxError("invalid_request", "The header X-GitHub-Delivery is not an id");
  }
  return given;
}
