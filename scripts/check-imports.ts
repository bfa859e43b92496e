import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractDepcruiseOptions from "dependency-cruiser/config-utl/extract-depcruise-options";

const repository = fileURLToPath(new URL("..", import.meta.url));
const rulesFile = join(repository, ".dependency-cruiser.cjs");
const roots = ["service", "extension", "webview", "opencode-plugin", "scripts", "test"];

export interface Violation {
  rule: string;
  /** What to do about it. */
  advice: string;
  from: string;
  to: string;
}

export interface ImportReport {
  /** Our own modules that were read. */
  modules: number;
  /** `.ts` files under the same folders. Fewer modules than these: the check has not seen everything. */
  files: number;
  /** Names of the rules that were applied. */
  rules: string[];
  violations: Violation[];
}

/** Checks the imports of the tree at `root`, an absolute path, by the rules of this repository. */
export async function checkImports(root: string): Promise<ImportReport> {
  const folders = roots.filter((folder) => existsSync(join(root, folder)));
  const options = await extractDepcruiseOptions(rulesFile);
  const { output } = await cruise(folders, { ...options, baseDir: root });
  if (typeof output === "string")
    throw new Error("dependency-cruiser answered with text, not with its result");
  return {
    modules: output.modules.filter((module) => isOurs(module.source)).length,
    files: globSync(`{${folders.join(",")},}/**/*.ts`, { cwd: root }).filter(isOurs).length,
    rules: output.summary.ruleSetUsed?.forbidden?.map((rule) => rule.name ?? "") ?? [],
    violations: violationsOf(output),
  };
}

function isOurs(path: string): boolean {
  const normal = path.replaceAll("\\", "/");
  return (
    normal.endsWith(".ts") &&
    !/(^|\/)(node_modules|dist)\//.test(normal) &&
    roots.includes(normal.split("/")[0] ?? "")
  );
}

function violationsOf(result: ICruiseResult): Violation[] {
  const advice = new Map(
    result.summary.ruleSetUsed?.forbidden?.map((rule) => [rule.name, rule.comment ?? ""]),
  );
  return result.summary.violations
    .filter((violation) => violation.rule.severity === "error")
    .map((violation) => ({
      rule: violation.rule.name,
      advice: advice.get(violation.rule.name) ?? "",
      from: violation.from,
      to: violation.cycle?.map((step) => step.name).join(" → ") ?? violation.to,
    }));
}

/** A check that finds nothing may be one that looks nowhere: it has to find this one. */
async function findsPlantedViolation(): Promise<boolean> {
  const root = mkdtempSync(join(tmpdir(), "signalbox-imports-"));
  try {
    for (const folder of ["connectors/planted", "store"])
      mkdirSync(join(root, "service", folder), { recursive: true });
    writeFileSync(join(root, "service/store/store.ts"), "export const planted = 1;\n");
    writeFileSync(
      join(root, "service/connectors/planted/index.ts"),
      'export { planted } from "../../store/store.ts";\n',
    );
    const report = await checkImports(root);
    return report.violations.some((violation) => violation.rule === "connector-folder");
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function main(root: string): Promise<void> {
  const report = await checkImports(root);
  for (const { from, to, rule, advice } of report.violations) {
    console.error(`${from}\n  must not import ${to}\n  ${rule}: ${advice}\n`);
  }
  const failures: string[] = [];
  if (report.violations.length > 0) failures.push(`${report.violations.length} imports go the wrong way`);
  if (report.modules === 0 || report.modules < report.files) {
    failures.push(`only ${report.modules} of ${report.files} files were read`);
  }
  if (!(await findsPlantedViolation())) failures.push("a planted violation was not found");
  for (const failure of failures) console.error(`check:imports: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
  else console.log(`check:imports: ${report.modules} modules, all imports go the right way`);
}

// Another tree may be named, which is how the test sees this check fail.
if (import.meta.main) await main(resolve(process.argv[2] ?? repository));
