import type { Command } from "commander";

interface Place {
  /** `topics purge`; empty for the start. */
  readonly path: string;
  readonly commands: readonly { name: string; description: string }[];
  /** What its first argument may be, where that is one of a few words. */
  readonly words: readonly string[];
  readonly options: readonly { flag: string; description: string; values: readonly string[] }[];
}

/** A script for the shell, made from the commands themselves, so that it can't fall behind. */
export function completionScript(shell: "bash" | "zsh" | "fish", program: Command): string {
  const places = collect(program, "");
  const name = program.name();
  if (shell === "fish") return fish(name, places);
  const bash = bashScript(name, places);
  return shell === "bash" ? bash : `autoload -U +X bashcompinit && bashcompinit\n${bash}`;
}

function collect(command: Command, path: string): Place[] {
  const commands = command.commands.map((one) => ({ name: one.name(), description: one.description() }));
  const options = command.options.map((one) => ({
    flag: one.long ?? one.short ?? "",
    description: one.description,
    values: one.argChoices ?? [],
  }));
  const words = command.registeredArguments[0]?.argChoices ?? [];
  const below = command.commands.flatMap((one) => collect(one, `${path} ${one.name()}`.trim()));
  return [{ path, commands, words, options }, ...below];
}

function bashScript(name: string, places: readonly Place[]): string {
  const fn = `_${name.replaceAll(/\W/g, "_")}`;
  const known = places.filter((place) => place.path !== "").map((place) => quote(place.path));
  const words = places.map((place) => {
    const all = [
      ...place.commands.map((one) => one.name),
      ...place.words,
      ...place.options.map((one) => one.flag),
      "--json",
      "--help",
    ];
    return `    ${quote(place.path)}) words=${quote([...new Set(all)].join(" "))} ;;`;
  });
  const values = places.flatMap((place) =>
    place.options
      .filter((one) => one.values.length > 0)
      .map((one) => `    ${quote(`${place.path} ${one.flag}`)}) words=${quote(one.values.join(" "))} ;;`),
  );
  return `# Completes ${name}; made by: ${name} completion
${fn}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" next words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
    ${known.join("|")}) path="$next" ;;
    esac
  done
  case "$path" in
${words.join("\n")}
  esac
  case "$path $previous" in
${values.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F ${fn} ${name}
`;
}

function fish(name: string, places: readonly Place[]): string {
  const lines = [`# Completes ${name}; made by: ${name} completion`];
  for (const { path, commands, words: choices, options } of places) {
    const words = path === "" ? [] : path.split(" ");
    const others = commands.map((one) => one.name).join(" ");
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const atCommand =
      words.length === 0 ? ["__fish_use_subcommand"] : [...seen, `not __fish_seen_subcommand_from ${others}`];
    for (const one of commands) {
      lines.push(
        `complete -c ${name} -f -n ${quote(atCommand.join("; and "))} -a ${one.name} -d ${quote(one.description)}`,
      );
    }
    for (const word of choices)
      lines.push(`complete -c ${name} -f -n ${quote(seen.join("; and "))} -a ${word}`);
    const condition = seen.length === 0 ? "" : ` -n ${quote(seen.join("; and "))}`;
    for (const one of options) {
      const values = one.values.length === 0 ? "" : ` -xa ${quote(one.values.join(" "))}`;
      lines.push(
        `complete -c ${name}${condition} -l ${one.flag.replace(/^--/, "")}${values} -d ${quote(one.description)}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
