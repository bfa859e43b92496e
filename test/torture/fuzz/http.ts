import { Agent, request as httpRequest } from "node:http";
import { join } from "node:path";
import * as fc from "fast-check";
import { PROTOCOL } from "../../../service/contract/common.ts";
import { errorBody } from "../../../service/contract/errors.ts";
import { type Route, type RouteName, routes } from "../../../service/contract/routes.ts";
import { tokenOf } from "../../harness/http.ts";
import { startTestService, type TestService } from "../../harness/service.ts";
import { fromSchema, type Hints, hostile, hostileText } from "./arbitrary.ts";

const HANG_MS = 15_000;

interface Case {
  readonly name: RouteName;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly headers: Record<string, string>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * Requests of every route, made from its schema and spoiled, against a real service: an answer as the contract has it,
 * or an error in its one form; never a 500, never silence.
 */
export class HttpFuzz {
  readonly #service: TestService;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  /** Ids that the service gave out, so that later requests meet something. */
  readonly #known = new Map<string, string[]>();
  readonly #cases: fc.Arbitrary<Case>;

  private constructor(service: TestService) {
    this.#service = service;
    this.#cases = this.#arbitraryCase();
  }

  static async start(): Promise<HttpFuzz> {
    const workflows = {
      "fuzzed.lua":
        'signalbox.on("github.>", function(event) signalbox.command("worker", "do", { id = event.id }) end)',
    };
    return new HttpFuzz(await startTestService({ workflows }));
  }

  /** @throws on the first answer that is not as promised, with the smallest request that shows it */
  async run(cases: number, seed: number): Promise<void> {
    const property = fc.asyncProperty(this.#cases, (one) => this.#check(one));
    await fc.assert(property, { numRuns: cases, seed, endOnFailure: false });
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    await this.#service.close();
  }

  async #check(one: Case): Promise<void> {
    const answer = await this.#send(one);
    const shown = () =>
      `${one.method} ${one.path.slice(0, 300)} ${one.body?.slice(0, 500)} → ${answer.status} ${answer.text.slice(0, 500)}`;
    if (answer.status >= 500) throw new Error(`a failure of the service: ${shown()}`);
    const route: Route = routes[one.name];
    if (answer.status >= 400) {
      const error = errorBody.strict().safeParse(parsed(answer.text));
      if (!error.success) throw new Error(`an error of another form: ${shown()}`);
      return;
    }
    if (route.stream) return;
    const reply = route.reply.safeParse(parsed(answer.text));
    if (!reply.success) throw new Error(`a reply that is not as agreed: ${shown()} ${reply.error.message}`);
    this.#remember(parsed(answer.text));
  }

  #send({ method, path, body, headers }: Case): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const all = {
      host: "signalbox",
      authorization: `Bearer ${tokenOf(this.#service.paths)}`,
      ...(body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
      ...headers,
    };
    const options = {
      socketPath: this.#service.paths.socket,
      agent: this.#agent,
      method,
      path,
      headers: all,
    };
    const hanging = setTimeout(
      () => reject(new Error(`no answer to ${method} ${path} ${body?.slice(0, 300)}`)),
      HANG_MS,
    );
    const outgoing = httpRequest(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      const done = () => {
        clearTimeout(hanging);
        resolve({ status: response.statusCode ?? 0, text });
      };
      if (response.headers["content-type"]?.startsWith("text/event-stream")) {
        // A stream has no end; that it began is all there is to see here.
        outgoing.destroy();
        return done();
      }
      response.on("data", (piece: string) => (text += piece));
      response.on("end", done);
      response.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
    return promise;
  }

  #remember(reply: unknown): void {
    if (typeof reply !== "object" || reply === null) return;
    for (const [field, value] of Object.entries(reply)) {
      if (typeof value === "object") this.#remember(value);
      else if (typeof value === "string" && value.length < 100) {
        const list = this.#known.get(field) ?? [];
        if (list.length > 50) list.shift();
        list.push(value);
        this.#known.set(field, list);
      }
    }
  }

  /** A value that the service itself used under one of these names, if there is one yet. */
  #met(...fields: string[]): fc.Arbitrary<string> {
    return fc.nat(1_000).map((n) => {
      const list = fields.flatMap((field) => this.#known.get(field) ?? []);
      return list[n % Math.max(1, list.length)] ?? "evt_none";
    });
  }

  #hints(): Hints {
    const folder = this.#service.home;
    const ids = (...fields: string[]) =>
      fc.oneof({ weight: 6, arbitrary: this.#met(...fields) }, { weight: 1, arbitrary: hostileText });
    return {
      event_id: ids("event_id", "id", "reply_id"),
      parent_id: ids("event_id", "id"),
      effect_id: ids("effect_id", "id"),
      run_id: ids("run_id"),
      lease: ids("lease"),
      agent: fc.oneof(fc.constantFrom("@ann", "worker", "github-agent"), hostileText),
      topic: fc.oneof(fc.constantFrom("inbox", "jobs"), hostileText),
      workflow: fc.oneof(fc.constantFrom("fuzzed"), hostileText),
      shape: fc.constantFrom("cloudevents", "sekia", "kaiser", "makiso"),
      // Else the test would wait, or write where it must not.
      wait_ms: fc.integer({ min: -1, max: 3 }),
      file: fc.oneof(
        fc.constantFrom(
          join(folder, "fuzz-backup.db"),
          join(folder, "none", "x.db"),
          "relative.db",
          "",
          "\0",
          folder,
        ),
      ),
    };
  }

  #arbitraryCase(): fc.Arbitrary<Case> {
    const hints = this.#hints();
    const all = (Object.entries(routes) as [RouteName, Route][]).map(([name, route]) =>
      arbitraryRequest(name, route, hints),
    );
    return fc.oneof(...all);
  }
}

function arbitraryRequest(name: RouteName, route: Route, hints: Hints): fc.Arbitrary<Case> {
  const params = route.params ? fromSchema(route.params, hints) : fc.constant({});
  const query = route.query ? fromSchema(route.query, hints) : fc.constant({});
  const body = route.body ? bodyOf(fromSchema(route.body, hints)) : fc.constant(undefined);
  return fc.tuple(params, query, body, arbitraryHeaders).map(([given, asked, sent, headers]) => ({
    name,
    method: route.method,
    path: fillPath(route.path, given) + toQuery(asked),
    body: sent,
    headers,
  }));
}

/** JSON, mostly; also JSON that was cut off, spoiled, or is something else. */
function bodyOf(value: fc.Arbitrary<unknown>): fc.Arbitrary<string | undefined> {
  const json = value.map((one) => JSON.stringify(one) ?? "null");
  const cut = fc.tuple(json, fc.nat(200)).map(([text, at]) => text.slice(0, at));
  const stuffed = fc
    .tuple(json, fc.nat(200), hostileText)
    .map(([text, at, more]) => text.slice(0, at) + more + text.slice(at));
  return fc.oneof(
    { weight: 20, arbitrary: json },
    { weight: 1, arbitrary: cut },
    { weight: 1, arbitrary: stuffed },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "",
        "\ufeff{}",
        "{}{}",
        "[",
        "{",
        "nul",
        '{"a":1,"a":2}',
        "{'a':1}",
        undefined,
      ),
    },
    { weight: 1, arbitrary: hostile.map((one) => JSON.stringify(one) ?? "null") },
  );
}

const arbitraryHeaders: fc.Arbitrary<Record<string, string>> = fc.oneof(
  { weight: 20, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Record<string, string>>(
      { "content-type": "text/plain" },
      { "content-type": "application/cloudevents+json" },
      { "content-type": "application/json; charset=utf-16" },
      { "content-type": "" },
      { "last-event-id": "-1" },
      { "last-event-id": "9".repeat(40) },
      { "last-event-id": "x" },
      { accept: "text/html" },
      { "signalbox-protocol": String(PROTOCOL + 1) },
      { expect: "100-continue" },
    ),
  },
);

function fillPath(path: string, given: unknown): string {
  const params = typeof given === "object" && given !== null ? (given as Record<string, unknown>) : {};
  return path.replaceAll(/:(\w+)/g, (_, name: string) => encodeText(asText(params[name] ?? "")));
}

function toQuery(given: unknown): string {
  if (typeof given !== "object" || given === null) return "";
  const pairs = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${encodeText(key)}=${encodeText(asText(value))}`);
  return pairs.length === 0 ? "" : `?${pairs.join("&").slice(0, 12_000)}`;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

/** Lone surrogates can't be encoded; a broken escape is as hostile. */
function encodeText(text: string): string {
  return text.isWellFormed()
    ? encodeURIComponent(text).slice(0, 6_000)
    : `%ff${encodeURIComponent(text.toWellFormed())}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // For the caller to judge.
  }
}
