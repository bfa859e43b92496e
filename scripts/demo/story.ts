import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Something that the demo promises did not happen. */
export class DemoFailure extends Error {}

/** Tells a person what happens, with colours on a terminal that has them. */
export class Story {
  #steps = 0;

  text(line: string): void {
    console.log(line);
  }

  step(title: string): void {
    this.#steps += 1;
    console.log(`\n${paint("bold", `${this.#steps}. ${title}`)}`);
  }

  fact(label: string, ...values: string[]): void {
    console.log(`   ${paint("dim", label.padEnd(10))} ${values.join("  ")}`);
  }

  command(words: readonly string[]): void {
    console.log(`\n   ${paint("cyan", `$ signalbox ${words.map(quoted).join(" ")}`)}`);
  }

  /** What a command printed. */
  output(text: string): void {
    for (const line of text.trimEnd().split("\n")) console.log(line === "" ? "" : `   ${line}`);
  }

  good(line: string): void {
    console.log(`\n${paint("green", line)}`);
  }

  bad(line: string): void {
    console.error(`\n${paint("red", line)}`);
  }
}

export function code(text: string): string {
  return paint("cyan", text);
}

/** Ends the demo where something that it tells of is not so. */
export function expectThat(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new DemoFailure(what);
}

/** Asks until `read` answers with something that `isRight` accepts. @throws DemoFailure after 20 s */
export async function until<T>(
  what: string,
  read: () => T | Promise<T>,
  isRight: (value: T) => boolean,
): Promise<T> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const value = await read();
    if (isRight(value)) return value;
    if (performance.now() > deadline) throw new DemoFailure(`${what}: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Plain where standard output is no terminal or the environment asks for no colours. */
function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** As somebody would have to type it. */
function quoted(word: string): string {
  return /^[\w@./:=-]+$/.test(word) ? word : `"${word}"`;
}
