/** Words that the older command lines had for what is here called otherwise (U27). */
const oldVerbs: readonly { readonly old: readonly string[]; readonly now: readonly string[] }[] = [
  { old: ["serve"], now: ["up"] }, // agent-runtime
  { old: ["workflows", "reload"], now: ["workflow", "reload"] }, // sekiactl
  { old: ["workflows", "list"], now: ["workflow", "list"] },
  { old: ["topics", "prompt"], now: ["topics", "set-prompt"] }, // oc-events
  { old: ["--version"], now: ["version"] },
  { old: ["-V"], now: ["version"] },
];

/** The arguments with an older verb at their start replaced by ours. */
export function translateVerb(args: readonly string[]): string[] {
  const match = oldVerbs.find(({ old }) => old.every((word, index) => args[index] === word));
  return match === undefined ? [...args] : [...match.now, ...args.slice(match.old.length)];
}
