/** Words that the older command lines had for what is here called otherwise (U27). */
const oldVerbs: readonly { readonly old: readonly string[]; readonly now: readonly string[] }[] = [
  { old: ["serve"], now: ["up"] }, // agent-runtime
  { old: ["workflows", "reload"], now: ["workflow", "reload"] }, // sekiactl
  { old: ["workflows", "list"], now: ["workflow", "list"] },
  { old: ["topics", "prompt"], now: ["topics", "set-prompt"] }, // oc-events
  { old: ["kit", "init"], now: ["actions", "init", "--namespace"] }, // kael
  { old: ["kit"], now: ["actions"] },
  { old: ["setup"], now: ["actions", "init"] },
  { old: ["--version"], now: ["version"] },
  { old: ["-V"], now: ["version"] },
];

/** The arguments with an older verb at their start replaced by ours. */
export function translateVerb(given: readonly string[]): string[] {
  const args = withActionsBehind(given);
  const match = oldVerbs.find(({ old }) => old.every((word, index) => args[index] === word));
  return match === undefined ? [...args] : [...match.now, ...args.slice(match.old.length)];
}

/** `kael --actions DIR run script.lua` (K21): the option stands before the verb. */
function withActionsBehind(args: readonly string[]): readonly string[] {
  const [option = "", value = "", verb, ...rest] = args;
  if ((option === "--actions" || option === "--kit") && verb !== undefined)
    return [verb, "--actions", value, ...rest];
  return args;
}
