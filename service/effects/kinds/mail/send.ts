import type { SecureContextOptions } from "node:tls";
import type { SendMailOptions } from "nodemailer";
import type SMTPTransport from "nodemailer/lib/smtp-transport";
import { SignalboxError } from "../../../contract/errors.ts";
import type { Secret } from "../../../lib/secret.ts";

export interface MailServer {
  readonly host: string;
  readonly port: number;
  readonly tls: "starttls" | "always" | "never";
  readonly username: string | null;
  readonly password: Secret | null;
  readonly timeoutMs: number;
  /** Certificates that are trusted besides the usual ones; for tests. */
  readonly trust?: SecureContextOptions;
}

export type Mail = Pick<
  SendMailOptions,
  "from" | "to" | "cc" | "bcc" | "subject" | "text" | "html" | "messageId" | "inReplyTo" | "references"
>;

export interface MailSent {
  accepted: string[];
  rejected: string[];
  response: string;
}

const isLocal = (host: string) => ["localhost", "127.0.0.1", "::1"].includes(host);

/**
 * Hands one mail to the server.
 * @throws SignalboxError `unavailable` (not sent, may be tried again), `remote_failed` (refused), `connection_expired`
 * (signing in failed); `details.outcome` where the end is unknown
 */
export async function sendMail(server: MailServer, mail: Mail, signal: AbortSignal): Promise<MailSent> {
  if (server.tls === "never" && server.username !== null && !isLocal(server.host))
    throw new SignalboxError(
      "forbidden",
      `mail.tls is never, so the password would cross the network in the clear`,
      {
        hint: "Set mail.tls to starttls or always.",
      },
    );
  const stage = { hasData: false };
  // Loaded with the first mail: most services send none.
  const { createTransport } = await import("nodemailer");
  const transport = createTransport(optionsOf(server, stage));
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(new Error("the service stopped"));
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const sent = await Promise.race([transport.sendMail(mail), aborted.promise]);
    return {
      accepted: sent.accepted.map(textOf),
      rejected: sent.rejected.map(textOf),
      response: sent.response.slice(0, 500),
    };
  } catch (error) {
    throw explained(error, server, stage.hasData);
  } finally {
    signal.removeEventListener("abort", abort);
    transport.close();
  }
}

function optionsOf(server: MailServer, stage: { hasData: boolean }): SMTPTransport.Options {
  const { host, port, tls, username, password, timeoutMs, trust } = server;
  return {
    ...{ host, port, secure: tls === "always", requireTLS: tls === "starttls", ignoreTLS: tls === "never" },
    ...(username === null ? {} : { auth: { user: username, pass: password?.reveal() ?? "" } }),
    ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs },
    // What a text names must not be read from this machine or the network.
    ...{ disableFileAccess: true, disableUrlAccess: true },
    ...(trust ? { tls: trust } : {}),
    // Errors do not tell how far it came, so the conversation is listened to. Nothing of it is kept.
    transactionLog: true,
    logger: listener((line) => {
      if (line === "DATA") stage.hasData = true;
    }),
  };
}

/** The log that the transport asks for. */
function listener(hear: (line: string) => void): NonNullable<SMTPTransport.Options["logger"]> {
  const none = () => {};
  const debug = (_entry: unknown, ...words: unknown[]) => hear(String(words[0]).trim());
  return { level: none, trace: none, debug, info: none, warn: none, error: none, fatal: none };
}

const textOf = (address: string | { address: string }) =>
  typeof address === "string" ? address : address.address;

interface SmtpError extends Error {
  code?: string;
  responseCode?: number;
  response?: string;
}

/** An answer of the server is the end; silence after DATA is none. */
function explained(error: unknown, { host }: MailServer, hasData: boolean): SignalboxError {
  const { message, code, responseCode } = error as SmtpError;
  const options = { cause: error };
  if (responseCode === undefined && hasData)
    return new SignalboxError("remote_failed", `${host} fell silent while it took the mail: ${message}`, {
      ...options,
      details: { outcome: "unknown" },
    });
  if (code === "EAUTH")
    return new SignalboxError("connection_expired", `${host} does not let us in: ${message}`, {
      ...options,
      hint: "Correct mail.username and mail.password.",
    });
  const isRefused = (responseCode ?? 0) >= 500 || code === "ETLS" || code === "ECONFIG";
  return new SignalboxError(isRefused ? "remote_failed" : "unavailable", `${host}: ${message}`, options);
}
