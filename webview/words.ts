export type Words = (message: string, ...args: (string | number)[]) => string;

/** Puts words into the reader's language; `{0}` stands for the first argument. */
export function createWords(translations: Readonly<Record<string, string>>): Words {
  return (message, ...args) =>
    (translations[message] ?? message).replace(/\{(\d+)\}/g, (_, index: string) =>
      String(args[Number(index)] ?? ""),
    );
}

/** `4:59`, `3 h 05 min`, `2 d`: what is left. */
export function remaining(ms: number, t: Words): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return t("{0} d", Math.floor(hours / 24));
  if (hours > 0) return t("{0} h {1} min", hours, String(minutes % 60).padStart(2, "0"));
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

/** How long ago, in one unit. */
export function ago(ms: number, t: Words): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return t("just now");
  if (seconds < 3_600) return t("{0} min ago", Math.floor(seconds / 60));
  if (seconds < 172_800) return t("{0} h ago", Math.floor(seconds / 3_600));
  return t("{0} d ago", Math.floor(seconds / 86_400));
}
