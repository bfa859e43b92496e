/** An option in commander's notation, with how its value is read. */
export interface Flag {
  readonly flags: string;
  readonly description: string;
  /** `earlier`: what the same option gave before, where it may be repeated. */
  readonly parse?: (text: string, earlier: string[] | undefined) => unknown;
}

/**
 * Reads plain arguments without commander, whose loading and set-up cost as much as the rest of a short command.
 * Null where anything is out of the ordinary (an unknown option, a missing value, --help): then commander reads
 * them again, and says what is wrong.
 */
export function readQuickly(
  args: readonly string[],
  flags: readonly Flag[],
): { words: string[]; options: Record<string, unknown> } | null {
  const words: string[] = [];
  const options: Record<string, unknown> = {};
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    if (!word.startsWith("-")) {
      words.push(word);
      continue;
    }
    if (word === "--json") continue;
    const flag = flags.find((one) => one.flags.split(/[ ,]+/).includes(word));
    if (flag === undefined) return null;
    const key = keyOf(flag);
    if (!flag.flags.includes("<")) {
      options[key] = true;
      continue;
    }
    index += 1;
    const text = args[index];
    if (text === undefined || (text.startsWith("-") && text !== "-")) return null;
    try {
      options[key] = flag.parse ? flag.parse(text, options[key] as string[] | undefined) : text;
    } catch {
      return null; // commander meets the same error and shows it.
    }
  }
  return { words, options };
}

/** `-t, --tool-call <name>` is `toolCall`. */
function keyOf(flag: Flag): string {
  const long = /--([a-z-]+)/.exec(flag.flags)?.[1] ?? "";
  return long.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
