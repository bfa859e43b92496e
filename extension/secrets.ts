import type { SecretStorage } from "vscode";

/** Ours among whatever else is kept there. */
const PREFIX = "env:";

/** Names of the variables that are kept, sorted. */
export async function readSecretNames(secrets: SecretStorage): Promise<readonly string[]> {
  const keys = await secrets.keys();
  return keys.flatMap((key) => (key.startsWith(PREFIX) ? [key.slice(PREFIX.length)] : [])).sort();
}

export async function storeSecret(secrets: SecretStorage, name: string, value: string): Promise<void> {
  await secrets.store(`${PREFIX}${name}`, value);
}

export async function removeSecret(secrets: SecretStorage, name: string): Promise<void> {
  await secrets.delete(`${PREFIX}${name}`);
}

/** For the service's environment alone: settings say `{ env = "GITHUB_TOKEN" }` and never hold the value. */
export async function secretVariables(secrets: SecretStorage): Promise<Readonly<Record<string, string>>> {
  const names = await readSecretNames(secrets);
  const entries = await Promise.all(
    names.map(async (name) => [name, await secrets.get(`${PREFIX}${name}`)] as const),
  );
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
