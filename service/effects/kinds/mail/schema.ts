import parseAddresses from "nodemailer/lib/addressparser";
import * as z from "zod";

/** One line of visible text: nothing in it can begin another header. */
const line = z
  .string()
  .max(998)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  .regex(/^[^\u0000-\u001f\u007f\u0085\u2028\u2029]*$/, "must be one line, without control characters");
/** What is safe unquoted on every way: no spaces, commas, quotes, brackets or line ends. */
const ADDRESS = /^[^\s@<>(),;:"\\[\]]+@[^\s@<>(),;:"\\[\]]+$/u;

/** `Ann <ann@example.com>, bob@example.com`, or a list of such; becomes a list with one address each. */
const addresses = z.union([line.max(50_000), z.array(line)]).transform((given, context): string[] => {
  const found = [given].flat().flatMap((text) => parseAddresses(text, { flatten: true }));
  const text = [given].flat().join(", ");
  for (const { name, address } of found) {
    const isPlain = name === "" || (!/[<>@]/.test(name) && text.includes(`<${address}>`));
    if (!isPlain || address.length > 254 || !ADDRESS.test(address))
      context.addIssue({ code: "custom", message: `${JSON.stringify(address)} is no mail address` });
  }
  return found.map(({ name, address }) => (name === "" ? address : `${quoted(name)} <${address}>`));
});

const one = addresses
  .refine((list) => list.length === 1, "must be one address")
  .transform(([first = ""]) => first);

const quoted = (name: string) => `"${name.replaceAll(/["\\]/g, "")}"`;

const MESSAGE_ID = /^<[^\s<>]+>$/;
const messageId = line.regex(MESSAGE_ID, "must be a message id such as <a@b>");

/** R70: `to` (comma list or array), `subject`, `text` or `body`, `html`, `cc`, `bcc`, `from`. */
export const mailPayload = z
  .strictObject({
    to: addresses,
    cc: addresses.prefault([]),
    bcc: addresses.prefault([]),
    from: one.optional(),
    subject: line.default(""),
    text: z.string().max(1_000_000).optional(),
    /** An older name of `text`. */
    body: z.string().max(1_000_000).optional(),
    html: z.string().max(1_000_000).optional(),
    in_reply_to: messageId.optional(),
    references: z.array(messageId).max(100).default([]),
  })
  .refine(({ text, body }) => text === undefined || body === undefined, "give text or body, not both")
  .refine(({ to, cc, bcc }) => to.length + cc.length + bcc.length > 0, "needs somebody to send it to")
  .refine(({ to, cc, bcc }) => to.length + cc.length + bcc.length <= 100, "at most 100 recipients")
  .transform(({ text, body, ...mail }) => ({ ...mail, text: text ?? body ?? "" }));
export type MailPayload = z.output<typeof mailPayload>;

/** `ann@example.com` of `Ann <ann@example.com>`. */
export function addressOf(text: string): string {
  return /<([^<>]+)>$/.exec(text)?.[1] ?? text;
}

function recipients({ to, cc, bcc }: MailPayload): string[] {
  return [...new Set([...to, ...cc, ...bcc].map((text) => addressOf(text).toLowerCase()))];
}

/** All recipients: a rule of the policy has to match each of them. */
export const mailTarget = (mail: MailPayload): string => recipients(mail).join(", ");

const SUBJECT_CHARS = 100;

/** `Send a mail to ann@example.com and 2 others: Deployed` */
export function mailSummary(mail: MailPayload): string {
  const [first = "", ...others] = recipients(mail);
  const more =
    others.length === 0 ? "" : others.length === 1 ? ` and ${others[0]}` : ` and ${others.length} others`;
  return `Send a mail to ${first}${more}: ${mail.subject.slice(0, SUBJECT_CHARS) || "(no subject)"}`;
}
