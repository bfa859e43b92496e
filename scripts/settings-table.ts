import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Setting, settings } from "../service/config-settings.ts";

const pageFile = fileURLToPath(new URL("../docs/configuration.md", import.meta.url));
const BEGIN = "<!-- settings:begin -->";
const END = "<!-- settings:end -->";

/** Every setting with its kind, default and meaning, one table a section, in the order of the schema. */
export function settingsTables(): string {
  const sections = Map.groupBy(settings, ({ key }) => key.split(".").slice(0, -1).join("."));
  return [...sections].map(([section, entries]) => sectionTable(section, entries)).join("\n\n");
}

function sectionTable(section: string, entries: readonly Setting[]): string {
  const rows = entries.map((setting) => {
    const name = setting.key.slice(section.length + 1);
    return `| \`${name}\` | ${kind(setting)} | ${defaultOf(setting)} | ${cell(setting.description)} |`;
  });
  return [
    `### \`[${section}]\``,
    "",
    "| key | kind | default | meaning |",
    "|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function kind(setting: Setting): string {
  if (setting.kind === "choice") return setting.values.map((value) => `\`${value}\``).join(", ");
  return setting.kind === "switch" ? "`true`, `false`" : setting.kind;
}

function defaultOf(setting: Setting): string {
  if (setting.default === undefined) return "";
  if (setting.kind !== "secret") return `\`${JSON.stringify(setting.default)}\``;
  return `\`{ env = "${(setting.default as { env: string }).env}" }\``;
}

const cell = (text: string) => text.replaceAll("|", "\\|");

/** The same page with fresh tables between its markers. */
export function withSettingsTables(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) {
    throw new Error(`docs/configuration.md has lost its markers ${BEGIN} and ${END}`);
  }
  return `${page.slice(0, begin + BEGIN.length)}\n\n${settingsTables()}\n\n${page.slice(end)}`;
}

function main(): void {
  const page = readFileSync(pageFile, "utf8");
  const fresh = withSettingsTables(page);
  if (process.argv.includes("--write")) writeFileSync(pageFile, fresh);
  else if (fresh !== page) {
    console.error("docs/configuration.md is not up to date; run `node scripts/settings-table.ts --write`");
    process.exitCode = 1;
  }
}

if (import.meta.main) main();
