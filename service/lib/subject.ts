/**
 * NATS subject rules: `*` stands for exactly one token, `>` at the end for one or more. Tokens are separated by
 * dots and compared exactly.
 * @see https://docs.nats.io/nats-concepts/subjects
 */
export function matchesSubject(pattern: string, subject: string): boolean {
  return compileSubject(pattern)(subject);
}

/** The same, prepared for a pattern that is asked many times. */
export function compileSubject(pattern: string): (subject: string) => boolean {
  if (pattern === ">") return (subject) => subject !== "";
  if (!pattern.includes("*") && !pattern.endsWith(".>")) return (subject) => subject === pattern;
  const wanted = pattern.split(".");
  const open = wanted.at(-1) === ">";
  if (open) wanted.pop();
  return (subject) => {
    const tokens = subject.split(".");
    if (open ? tokens.length <= wanted.length : tokens.length !== wanted.length) return false;
    return wanted.every((token, index) => token === "*" || token === tokens[index]);
  };
}
