import { createHmac } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { loadConfig } from "../../../service/config-load.ts";
import { settings } from "../../../service/config-settings.ts";
import { github } from "../../../service/connectors/github/index.ts";
import { webhookConfig } from "../../../service/connectors/webhook/config.ts";
import { webhook } from "../../../service/connectors/webhook/index.ts";
import type { Json } from "../../../service/contract/common.ts";
import { SignalboxError } from "../../../service/contract/errors.ts";
import { newEvent } from "../../../service/contract/events.ts";
import { ingressRoutes } from "../../../service/http/ingress.ts";
import { runCli } from "../../harness/cli.ts";
import { connectorContext } from "../../harness/connector-context.ts";
import { evaluate } from "../../harness/lua.ts";
import { startTestService, type TestService } from "../../harness/service.ts";
import { hostile, hostileText } from "./arbitrary.ts";

/** Many inputs for one edge of the service. Throws on the first that breaks it, made as small as it goes. */
export interface Fuzz {
  readonly name: string;
  run(cases: number, seed: number): Promise<void>;
}

const SECRET = "correct horse battery staple";
const values = { GITHUB_WEBHOOK_SECRET: SECRET, HOOK: SECRET };

/** @throws what is not an error of ours; those that are, are an answer */
async function refusalOf(call: () => Promise<unknown>): Promise<SignalboxError | null> {
  try {
    await call();
    return null;
  } catch (error) {
    if (SignalboxError.is(error) && error.code !== "internal") return error;
    throw error;
  }
}

const types = [
  "issues",
  "pull_request",
  "push",
  "issue_comment",
  "ping",
  "star",
  "constructor",
  "",
  "x".repeat(300),
];

/** Only a body with its own signature gets in, and whatever gets in makes events that the log takes. */
export const webhooks: Fuzz = {
  name: "webhook signatures and bodies",
  async run(cases, seed) {
    const routes = [{ path: "/hook", topic: "hooks", secret: { env: "HOOK" }, auth: "hmac-sha256" }];
    const all = [
      ...ingressRoutes(github, connectorContext(github.config.parse(undefined), values)),
      ...ingressRoutes(webhook, connectorContext(webhookConfig.parse({ routes }), values)),
    ];
    const body = fc.oneof(
      hostile.map((value) => Buffer.from(JSON.stringify(value) ?? "")),
      fc
        .record({
          action: hostile,
          issue: hostile,
          repository: hostile,
          pull_request: hostile,
          commits: hostile,
          comment: hostile,
        })
        .map((value) => Buffer.from(JSON.stringify(value))),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    );
    const signing = fc.constantFrom(
      "right",
      "right",
      "right",
      "other secret",
      "other body",
      "cut",
      "upper case",
      "none",
      "odd",
    );
    const property = fc.asyncProperty(
      fc.constantFrom(...all),
      body,
      signing,
      fc.oneof(fc.constantFrom(...types), hostileText),
      fc.constantFrom("application/json", "text/plain", "application/x-www-form-urlencoded", ""),
      async (route, bytes, how, event, contentType) => {
        const signature = signed(bytes, how);
        const headers: Record<string, string> = {
          "content-type": contentType,
          "x-github-event": event,
          "x-github-delivery": "d-1",
          ...(signature === null ? {} : { "x-hub-signature-256": signature }),
        };
        let accepted = false;
        const refused = await refusalOf(async () => {
          const reply = await route.receive({
            method: "POST",
            path: route.path,
            headers,
            body: bytes,
            allowsOpen: false,
          });
          accepted = reply.status < 400;
          for (const one of reply.events) newEvent.parse(one);
        });
        // Hexadecimal is the same number in both cases: whoever has it knows the secret.
        if (how === "upper case") return;
        if (accepted && how !== "right") throw new Error(`accepted with ${how}`);
        if (how !== "right" && refused?.status !== 401)
          throw new Error(`${how} was answered ${refused?.code ?? "well"}`);
      },
    );
    await fc.assert(property, { numRuns: cases, seed });
  },
};

function signed(bytes: Buffer, how: string): string | null {
  const hmac = (key: string, content: Buffer) =>
    `sha256=${createHmac("sha256", key).update(content).digest("hex")}`;
  const right = hmac(SECRET, bytes);
  switch (how) {
    case "right":
      return right;
    case "other secret":
      return hmac(`${SECRET} `, bytes);
    case "other body":
      return hmac(SECRET, Buffer.concat([bytes, Buffer.from(" ")]));
    case "cut":
      return right.slice(0, -1);
    case "upper case":
      return right.toUpperCase();
    case "none":
      return null;
    default:
      return `sha256=${"é".repeat(64)}`;
  }
}

const keys = [...settings.map(({ key }) => key), "log", "nothing.like_it", "connectors.webhook.routes"];

/** Settings load, or are refused with an error that names file and key. */
export const configFiles: Fuzz = {
  name: "TOML settings",
  async run(cases, seed) {
    const home = mkdtempSync(join(tmpdir(), "signalbox-toml-"));
    const value = fc.oneof(
      fc.constantFrom(
        "true",
        "0",
        "-1",
        "1.5",
        "1e400",
        "nan",
        "1979-05-27",
        "[]",
        "[[]]",
        "{}",
        '{ env = "A" }',
        '"x"',
        "'",
        '"',
        '"""',
      ),
      hostileText.map((text) => JSON.stringify(text)),
      fc.integer().map(String),
    );
    const line = fc.oneof(
      fc.tuple(fc.constantFrom(...keys), value).map(([key, text]) => `${key} = ${text}`),
      fc.constantFrom(...keys).map((key) => `[${key}]`),
      fc.constantFrom(...keys).map((key) => `[[${key}]]`),
      hostileText,
    );
    const env = fc.dictionary(
      fc.constantFrom(...settings.map((one) => one.env), "SIGNALBOX_NO_SUCH"),
      hostileText,
      { maxKeys: 2 },
    );
    const set = fc.array(
      fc.oneof(
        fc.tuple(fc.constantFrom(...keys), hostileText).map((pair) => pair.join("=")),
        hostileText,
      ),
      { maxLength: 2 },
    );
    try {
      const property = fc.asyncProperty(
        fc.array(line, { maxLength: 8 }),
        env,
        set,
        async (lines, variables, flags) => {
          writeFileSync(join(home, "config.toml"), lines.join("\n"));
          const refused = await refusalOf(async () =>
            loadConfig({ home, cwd: home, env: variables, set: flags }),
          );
          if (refused !== null && refused.code !== "invalid_config" && refused.code !== "wrong_usage") {
            throw new Error(`settings were refused as ${refused.code}: ${refused.message}`);
          }
        },
      );
      await fc.assert(property, { numRuns: cases, seed });
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
};

async function withService(act: (service: TestService) => Promise<void>): Promise<void> {
  const service = await startTestService();
  try {
    await act(service);
  } finally {
    await service.close();
  }
}

/** No text is syntax that can break a search. */
export const searches: Fuzz = {
  name: "full text searches",
  run: (cases, seed) =>
    withService(async ({ client }) => {
      for (const body of ["the quick brown fox", 'says "NEAR(a b)"', "@bob *"])
        await client.pushEvent({ body });
      const piece = fc.oneof(
        hostileText,
        fc.constantFrom("AND", "OR", "NOT", "NEAR", "(", ")", ":", "-", "+", "fox", "qu*", "rowid"),
      );
      const text = fc
        .array(piece, { minLength: 1, maxLength: 5 })
        .map((pieces) => pieces.join(" ").slice(0, 1_000));
      const property = fc.asyncProperty(text, fc.constantFrom("recent", "ranked"), async (words, order) => {
        const refused = await refusalOf(() =>
          client.searchEvents({ text: words.toWellFormed(), order: order as "recent" }),
        );
        if (refused !== null && refused.code !== "invalid_request")
          throw new Error(`${refused.code}: ${refused.message}`);
      });
      await fc.assert(property, { numRuns: cases, seed });
    }),
};

/** A file of lines is imported line by line, whatever is in it; the command ends as it says it does. */
export const imports: Fuzz = {
  name: "NDJSON import",
  run: (cases, seed) =>
    withService(async ({ home }) => {
      const file = join(home, "import.ndjson");
      const sound = fc.record({
        type: fc.constant("a.b"),
        body: hostileText,
        payload: fc.dictionary(hostileText, hostile, { maxKeys: 3 }),
      });
      const line = fc.oneof(
        sound.map((one) => JSON.stringify(one)),
        hostile.map((one) => JSON.stringify(one) ?? ""),
        hostileText,
      );
      const property = fc.asyncProperty(fc.array(line, { maxLength: 6 }), async (lines) => {
        writeFileSync(file, lines.join("\n"));
        await checkCli(["events", "import", file], home);
      });
      await fc.assert(property, { numRuns: cases, seed });
    }),
};

const verbs =
  "push pull reply extend complete fail release query search ask topics events workflow workflows runs effects agents connectors status doctor config cleanup completion version help";
const nouns =
  "list show create set-prompt set purge redrive export import test check run logs enable disable reload retry skip cancel send remove inbox @ann evt_none fuzzed";
const flags =
  "--json --body --meta --topic --agent --claim --wait --limit --status --delay --at --type --source --mention --tool-call --since --until --order --before --yes --help -h -- - --no --payload --lease --raw";

/** Any arguments end with 0, 1 or 2 and words for people. */
export const commandLines: Fuzz = {
  name: "CLI arguments",
  run: (cases, seed) =>
    withService(async ({ home }) => {
      mkdirSync(join(home, "cwd"));
      const word = fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...nouns.split(" ")) },
        { weight: 3, arbitrary: fc.constantFrom(...flags.split(" ")) },
        {
          weight: 1,
          arbitrary: fc.constantFrom("{}", '{"a":1}', "0", "-1", "10", "5m", "2999-01-01", "tomorrow"),
        },
        // No paths: some commands write files.
        {
          weight: 1,
          arbitrary: hostileText.filter((text) => !/[/\0]|^\.\.?$/.test(text) && text.length < 300),
        },
      );
      const line = fc
        .tuple(fc.constantFrom(...verbs.split(" ")), fc.array(word, { maxLength: 5 }))
        .map(([verb, rest]) => [verb, ...rest]);
      const property = fc.asyncProperty(line, (args) => checkCli(args, home, join(home, "cwd")));
      await fc.assert(property, { numRuns: cases, seed });
    }),
};

const CLI_MS = 10_000;

async function checkCli(args: string[], home: string, cwd = home): Promise<void> {
  // Commands that follow something would wait for its end.
  const ended = runCli(args, { home, cwd, stdin: "", signal: AbortSignal.timeout(250) });
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), CLI_MS).unref());
  const result = await Promise.race([ended, late]);
  if (result === null) throw new Error(`${JSON.stringify(args)} does not end`);
  const { code, stderr } = result;
  if (![0, 1, 2].includes(code)) throw new Error(`${JSON.stringify(args)} ended with ${code}`);
  if (/This is a bug|^\s+at .*\.ts:\d+/m.test(stderr))
    throw new Error(`${JSON.stringify(args)} said: ${stderr}`);
}

const json = fc.jsonValue({ maxDepth: 5 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);

/** What goes through a handler comes back, but for nulls in records. */
export const luaValues: Fuzz = {
  name: "values between JSON and Lua",
  async run(cases, seed) {
    const property = fc.property(json, (value) => {
      const back = evaluate("return { value = event.payload.value }", { value });
      const expected = value === null ? {} : { value: withoutNullFields(value) };
      if (!isDeepStrictEqual(back, expected)) throw new Error(`came back as ${JSON.stringify(back)}`);
    });
    fc.assert(property, { numRuns: cases, seed });
  },
};

function withoutNullFields(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNullFields);
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? 0 : value;
  const kept = Object.entries(value).filter(([, one]) => one !== null);
  return Object.fromEntries(kept.map(([key, one]) => [key, withoutNullFields(one)]));
}
