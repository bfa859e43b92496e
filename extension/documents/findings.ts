import { l10n, ThemeIcon, window } from "vscode";
import type { Finding } from "../../service/contract/system.ts";

/** What the doctor found, what is wrong first. */
export async function showFindings(findings: readonly Finding[]): Promise<void> {
  const sorted = [...findings].sort((one, other) => Number(one.ok) - Number(other.ok));
  const wrong = findings.filter(({ ok }) => !ok).length;
  await window.showQuickPick(
    sorted.map((finding) => ({
      label: finding.check,
      iconPath: new ThemeIcon(finding.ok ? "pass" : "error"),
      description: finding.message,
      ...(finding.hint === null ? {} : { detail: finding.hint }),
    })),
    {
      title: wrong === 0 ? l10n.t("Signalbox is well") : l10n.t("Signalbox: {0} findings", wrong),
      matchOnDescription: true,
      ignoreFocusOut: true,
    },
  );
}
