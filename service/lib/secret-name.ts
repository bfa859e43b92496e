/** Names behind which a secret may stand. */
const SECRET_NAME =
  /pass(word|wd|phrase)?$|secret|token|api[-_]?key|private[-_]?key|credential|^auth(orization)?$|cookie|signature/i;

export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);

/** Keys of well-known makers, JSON web tokens, keys in PEM, passwords in URLs, and long texts without a pattern. */
const SECRET_TEXT =
  /\b(gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|pk_live|rk_live|AKIA|AIza|ya29\.)[\w-]{6,}|\beyJ[\w-]+\.[\w-]+\.|-----BEGIN|\bBearer\s+\S{8,}|:\/\/[^\s/:@]+:[^\s/@]+@/;

/** Whether a text may be a secret, by its looks alone. */
export function looksSecret(text: string): boolean {
  if (SECRET_TEXT.test(text)) return true;
  return text.split(/[\s/,;"'<>=&?]+/).some(isRandom);
}

/** Letters and digits mixed without sense, as in a key. Hashes of commits and UUIDs are known to be none. */
function isRandom(word: string): boolean {
  if (word.length < 24 || !/^[\w+-]+$/.test(word)) return false;
  if (/^[0-9a-f]{40}$/.test(word) || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(word)) return false;
  const changes = word.match(/[a-z](?=\d)|\d(?=[A-Za-z])|[a-z](?=[A-Z])/g)?.length ?? 0;
  return /\d/.test(word) && /[A-Za-z]/.test(word) && changes >= 5;
}
