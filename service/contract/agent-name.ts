/** `@deployer` and `deployer` are one agent: people write the mention, programs the name (U9). */
export function agentName(written: string): string {
  return written.length > 1 && written.startsWith("@") ? written.slice(1) : written;
}
