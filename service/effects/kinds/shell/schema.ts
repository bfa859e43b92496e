import * as z from "zod";

const word = z
  .string()
  .max(8_000)
  .refine((text) => !text.includes("\0"), "must not hold a NUL character");
/** What a shell would read as more than text between words. */
const SPECIAL = /["'`\\$|&;<>(){}[\]*?~!#\n\r]/;

/** R71: a list of words. A text is split at its spaces, and refused where a shell would make more of it. */
const args = z.union([z.array(word).max(200), word]).transform((given, context): string[] => {
  if (Array.isArray(given)) return given;
  if (SPECIAL.test(given))
    context.addIssue({
      code: "custom",
      message: "can be read in more than one way; give a list of words, since no shell reads it",
    });
  return given.split(/[ \t]+/).filter((text) => text !== "");
});

/** R71, R72: a program by its bare name, its words, and where it works. */
export const shellPayload = z.strictObject({
  command: z
    .string()
    .max(100)
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/,
      "must be the bare name of a program, without a path and without words behind it",
    ),
  args: args.prefault([]),
  /** Below the folder that commands work in. */
  cwd: z
    .string()
    .max(1_000)
    .refine((text) => !text.includes("\0"), "must not hold a NUL character")
    .default("."),
  timeout_ms: z.int().min(1).max(3_600_000).optional(),
});
export type ShellPayload = z.output<typeof shellPayload>;

/** Words with spaces or worse in quotes, so that one word is not taken for several. */
const shown = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : JSON.stringify(text));

/** `Run git log -1 in site` */
export function shellSummary({ command, args: words, cwd }: ShellPayload): string {
  return `Run ${[command, ...words].map(shown).join(" ")}${cwd === "." ? "" : ` in ${cwd}`}`;
}
