import type { SecureContextOptions } from "node:tls";
import { SignalboxError } from "../../../contract/errors.ts";
import type { Secret } from "../../../lib/secret.ts";
import { defineEffectKind, type EffectKind } from "../kind.ts";
import { addressOf, type MailPayload, mailPayload, mailSummary, mailTarget } from "./schema.ts";
import { type MailServer, sendMail } from "./send.ts";

export interface MailSettings {
  readonly host: string | undefined;
  readonly port: number;
  readonly tls: MailServer["tls"];
  readonly username: string | undefined;
  /** Read anew each time; null when it is not set. */
  password(): Secret | null;
  /** Sender of mails that name none. */
  readonly from: string | undefined;
  readonly timeoutMs: number;
  readonly trust?: SecureContextOptions;
}

/** A mail over SMTP (R57, R70). Its Message-ID is made from the effect's id, so a second one can be told as the same. */
export function mailKind(settings: MailSettings): EffectKind {
  return defineEffectKind<MailPayload>({
    kind: "mail",
    title: "Send a mail",
    aliases: ["send_email", "smtp_email"],
    targetField: "to",
    // The sender is part of what is approved, also where the settings name it.
    schema: mailPayload.transform((mail, context) => {
      const from = mail.from ?? settings.from;
      if (from !== undefined) return { ...mail, from };
      context.addIssue({ code: "custom", message: "from: nobody is named, and mail.from is not set" });
      return mail;
    }),
    familiar: "never",
    target: mailTarget,
    action: () => "send",
    summary: mailSummary,
    redact: (mail) => JSON.parse(JSON.stringify(mail)),
    risks: ({ from, bcc }) => [
      ...(settings.from !== undefined && from !== undefined && addressOf(from) !== addressOf(settings.from)
        ? [`It is sent in the name of ${from}, not of ${settings.from}.`]
        : []),
      ...(bcc.length > 0 ? ["Some get it without the others knowing (bcc)."] : []),
    ],
    repeatable: () => false,
    async bind() {
      const { host, port, tls } = requireServer(settings);
      return { server: `${host}:${port}`, tls };
    },
    async execute(mail, { idempotencyKey, signal }) {
      const server = requireServer(settings);
      const { to, cc, bcc, from = "", subject, text, html, in_reply_to, references } = mail;
      const domain = addressOf(from).split("@")[1] ?? "signalbox";
      const messageId = `<${idempotencyKey}@${domain}>`;
      const { accepted, rejected, response } = await sendMail(
        server,
        {
          ...{ from, to, cc, bcc, subject, text, messageId },
          ...(html === undefined ? {} : { html }),
          ...(in_reply_to === undefined ? {} : { inReplyTo: in_reply_to }),
          ...(references.length === 0 ? {} : { references }),
        },
        signal,
      );
      return { message_id: messageId, accepted, rejected, response };
    },
  });
}

/** @throws SignalboxError `secret_missing`, `unavailable` */
function requireServer(settings: MailSettings): MailServer {
  const { host, port, tls, username = null, timeoutMs, trust } = settings;
  if (host === undefined)
    throw new SignalboxError("unavailable", "no mail server is set", {
      hint: "Set host, username, password and from in [mail] of config.toml.",
    });
  const password = username === null ? null : settings.password();
  if (username !== null && password === null)
    throw new SignalboxError("secret_missing", `the password of ${username} at ${host} is not set`, {
      hint: "Set mail.password to where it is.",
    });
  return { host, port, tls, username, password, timeoutMs, ...(trust ? { trust } : {}) };
}
