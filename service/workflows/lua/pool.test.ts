import { describe, expect, it } from "vitest";
import { done, messages, request, source, suspended, testHost } from "../../../test/harness/lua.ts";
import { configSchema } from "../../config.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { LogLine } from "../../contract/workflows.ts";

const COUNTER = 'local n = 0 sekia.on("x", function() n = n + 1 return n end)';
const LOOP = 'sekia.on("x", function() print("looping") while true do end end)';

const failure = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SignalboxError)) throw new Error(`no SignalboxError but ${String(error)}`);
  return error;
};

describe("workflows", () => {
  it("S21 a file reacts to an event and sends a command", async () => {
    const host = testHost();
    await host.load(
      source(
        "greeter",
        'sekia.on("chat.>", function(e) sekia.command("chat", "say", { text = "Hi " .. e.payload.name }) end)',
      ),
    );
    const outcome = done(
      await host.run(request("greeter", { event: { type: "chat.joined", payload: { name: "Ann" } } })),
    );
    expect(outcome.operations).toMatchObject([
      { kind: "command", agent: "chat", command: "say", payload: { text: "Hi Ann" } },
    ]);
  });

  it("S41 a sample in the style of the README labels by title and logs", async () => {
    const host = testHost();
    await host.load(
      source(
        "readme",
        `-- Bugs are found by their title, all else waits for triage.
        sekia.on("sekia.events.github", function(event)
          if event.type ~= "github.issue.opened" then return end

          local title = string.lower(event.payload.title)
          local label = "triage"
          if string.find(title, "bug") then
            label = "bug"
          end

          sekia.command("github-agent", "add_label", {
            owner  = event.payload.owner,
            repo   = event.payload.repo,
            number = event.payload.number,
            label  = label,
          })

          sekia.log("info", "#" .. event.payload.number .. " is labelled " .. label)
        end)`,
      ),
    );
    const opened = (type: string, title: string) =>
      host.run(
        request("readme", { event: { type, payload: { owner: "octo", repo: "cat", number: 42, title } } }),
      );
    const bug = done(await opened("github.issue.opened", "A BUG in the login"));
    expect(bug.operations).toMatchObject([
      {
        kind: "command",
        agent: "github-agent",
        command: "add_label",
        payload: { owner: "octo", repo: "cat", number: 42, label: "bug" },
      },
    ]);
    expect(messages(bug.logs)).toEqual(["#42 is labelled bug"]);
    expect(done(await opened("github.issue.opened", "A wish")).operations).toMatchObject([
      { payload: { label: "triage" } },
    ]);
    expect(done(await opened("github.issue.closed", "A bug")).operations).toEqual([]);
  });

  it("S41 an auto-label workflow with a table of rules, several commands and trailing commas runs", async () => {
    const host = testHost();
    await host.load(
      source(
        "github-auto-label",
        `local rules = {
          { words = { "crash", "bug", "error" }, label = "bug", },
          { words = { "feature", "request" }, label = "enhancement", },
          { words = { "docs", "typo", }, label = "documentation", },
        }

        local function matches(title, words)
          for _, word in ipairs(words) do
            if string.find(title, word, 1, true) then return true end
          end
          return false
        end

        sekia.on("sekia.events.github", function(event)
          if event.type == "github.issue.opened" then
            local p = event.payload
            local title = string.lower(p.title or "")
            local found = 0
            for _, rule in ipairs(rules) do
              if matches(title, rule.words) then
                found = found + 1
                sekia.command("github-agent", "add_label", {
                  owner = p.owner, repo = p.repo, number = p.number, label = rule.label,
                })
              end
            end
            if found == 0 then
              sekia.command("github-agent", "create_comment", {
                owner = p.owner, repo = p.repo, number = p.number,
                body = "Thank you! Somebody will look at this soon.",
              })
            end
            sekia.log("info", "#" .. p.number .. ": " .. p.title)
          end
        end)`,
      ),
    );
    const run = async (title: string) =>
      done(
        await host.run(
          request("github-auto-label", {
            event: { type: "github.issue.opened", payload: { owner: "octo", repo: "cat", number: 7, title } },
          }),
        ),
      );
    const two = await run("Typo in docs makes it CRASH");
    expect(two.operations.map((operation) => "payload" in operation && operation.payload.label)).toEqual([
      "bug",
      "documentation",
    ]);
    expect(messages(two.logs)).toEqual(["#7: Typo in docs makes it CRASH"]);
    expect((await run("Hello")).operations).toMatchObject([
      { command: "create_comment", payload: { number: 7 } },
    ]);
  });
});

describe("loading", () => {
  it("S29 a new text replaces the old one, and one that does not load leaves it in place", async () => {
    const host = testHost();
    await host.load(source("w", 'sekia.on("x", function() return "one" end)'));
    const error = await failure(host.load(source("w", 'sekia.on("x",\nfunction( return "two" end)')));
    expect(error).toMatchObject({
      code: "workflow_load_failed",
      message: expect.stringMatching(/^flows\/w\.lua:2: .*near 'return'/),
      details: { file: "flows/w.lua", line: 2 },
    });
    expect(done(await host.run(request("w"))).output).toBe("one");
    await host.load(source("w", 'sekia.on("x", function() return "two" end)'));
    expect(done(await host.run(request("w"))).output).toBe("two");
  });

  it("S29 durable state survives a reload, and a suspended run ends in the text it began in", async () => {
    const host = testHost();
    await host.load(
      source("w", 'sekia.on("x", function() signalbox.state.n = 1 signalbox.after(1) return "old" end)'),
    );
    const waiting = request("w");
    suspended(await host.run(waiting));
    await host.load(source("w", 'sekia.on("x", function() return signalbox.state.n end)', { n: "not read" }));
    expect(done(await host.run(request("w"))).output).toBe(1);
    expect(done(await host.resume(waiting.run_id, { ok: true, value: null }, 1)).output).toBe("old");
  });

  it("B3 a handler may compute for 30 s where the configuration says nothing else", () => {
    expect(configSchema.parse({}).workflows.handler_timeout_ms).toBe(30_000);
  });

  it("B3 loading is under the same limits as a handler", async () => {
    const host = testHost({ handlerTimeoutMs: 100 });
    expect(await failure(host.load(source("w", "\nwhile true do end")))).toMatchObject({
      code: "workflow_load_failed",
      details: { message: "computed for more than 100 ms", line: 2 },
    });
  });

  it("what a file prints while it loads is in its logs", async () => {
    const heard: unknown[] = [];
    const host = testHost({}, { onLog: (...all) => heard.push(all) });
    const { logs } = await host.load(source("w", 'print("loading")'));
    expect(logs).toMatchObject([{ level: "info", message: "loading", line: 1 }]);
    expect(heard).toEqual([["w", null, logs[0]]]);
  });

  it("a workflow that is not loaded, or no longer, can't be run", async () => {
    const host = testHost();
    expect((await failure(host.run(request("w")))).code).toBe("not_found");
    await host.load(source("w", COUNTER));
    await host.unload("w");
    await host.unload("w");
    expect((await failure(host.run(request("w")))).code).toBe("not_found");
  });

  it("a first load that fails leaves nothing behind", async () => {
    const host = testHost();
    await failure(host.load(source("w", "nonsense")));
    expect((await failure(host.run(request("w")))).code).toBe("not_found");
  });
});

describe("runs", () => {
  it("B7 runs of one workflow happen one after the other, in order, also when posted at once", async () => {
    const host = testHost();
    await host.load(source("w", COUNTER));
    const outcomes = await Promise.all(Array.from({ length: 5_000 }, () => host.run(request("w"))));
    expect(outcomes.map((outcome) => done(outcome).output)).toEqual(outcomes.map((_, index) => index + 1));
  });

  it("a run waits, lets others run, and goes on with what it is told", async () => {
    const host = testHost();
    await host.load(
      source(
        "w",
        'sekia.on("x", function(e) if e.payload.wait then return signalbox.call("a", "b").n end return 0 end)',
      ),
    );
    const waiting = request("w", { event: { payload: { wait: true } } });
    suspended(await host.run(waiting));
    expect(host.isSuspended(waiting.run_id)).toBe(true);
    expect(done(await host.run(request("w"))).output).toBe(0);
    expect(done(await host.resume(waiting.run_id, { ok: true, value: { n: 5 } }, 1)).output).toBe(5);
    expect(host.isSuspended(waiting.run_id)).toBe(false);
  });

  it("a suspended run can be dropped; resuming it then says that it is lost", async () => {
    const host = testHost();
    await host.load(source("w", 'sekia.on("x", function() signalbox.after(1) end)'));
    const waiting = request("w");
    suspended(await host.run(waiting));
    host.drop(waiting.run_id);
    expect(host.isSuspended(waiting.run_id)).toBe(false);
    expect(await host.resume(waiting.run_id, { ok: true, value: null }, 1)).toMatchObject({
      kind: "stopped",
      reason: "lost",
    });
  });

  it("an unknown handler fails the run", async () => {
    const host = testHost();
    await host.load(source("w", COUNTER));
    expect(await host.run(request("w", { handler: 2 }))).toMatchObject({
      kind: "failed",
      error: { message: "there is no handler 2; it has 1" },
    });
  });

  it("log lines are heard while the run still computes", async () => {
    let heard: (line: LogLine) => void;
    const line = new Promise<LogLine>((resolve) => {
      heard = resolve;
    });
    const host = testHost({}, { onLog: (_workflow, _run, logged) => heard(logged) });
    await host.load(source("loop", LOOP));
    const run = host.run(request("loop"));
    expect((await line).message).toBe("looping");
    await host.close();
    expect(await run).toMatchObject({ kind: "stopped", reason: "lost" });
  });

  it("workflows share a thread and none hears of another's globals", async () => {
    const host = testHost();
    await host.load(source("a", 'shared = "a" sekia.on("x", function() return shared end)'));
    await host.load(source("b", 'sekia.on("x", function() return shared == nil end)'));
    expect(done(await host.run(request("b"))).output).toBe(true);
  });

  it("after close everything is refused", async () => {
    const host = testHost();
    await host.close();
    expect((await failure(host.load(source("w", COUNTER)))).code).toBe("unavailable");
    expect((await failure(host.run(request("w")))).code).toBe("unavailable");
  });
});

describe("scratch", () => {
  it("loads and runs a text beside the others and forgets it", async () => {
    const heard: unknown[] = [];
    const host = testHost({}, { onLog: (...all) => heard.push(all) });
    await host.load(source("w", COUNTER));
    const text =
      'sekia.on("x", function(e) signalbox.state.n = 9 print("hi") return { signalbox.call("a", "b"), sekia.name } end)';
    const outcome = await host.withScratch(source("w", text), async (scratch) => {
      expect(scratch.loaded.handlers).toMatchObject([{ id: 1, pattern: "x" }]);
      const { workflow: _, ...asked } = request("w");
      suspended(await scratch.run(asked));
      return scratch.resume(asked.run_id, { ok: true, value: 1 }, 1);
    });
    expect(done(outcome).output).toEqual([1, "w"]);
    expect(done(await host.run(request("w"))).output).toBe(1);
    expect(heard).toEqual([]);
  });

  it("a text that hangs or does not load hurts nobody", async () => {
    const host = testHost({ handlerTimeoutMs: 200, stallMs: 200 });
    await host.load(source("w", COUNTER));
    done(await host.run(request("w")));
    const hang = 'string.find(string.rep("a", 100000), string.rep("a-", 30) .. "b")';
    const error = await failure(host.withScratch(source("w", hang), async () => 1));
    expect(error).toMatchObject({
      code: "workflow_load_failed",
      message: expect.stringContaining("flows/w.lua: "),
    });
    expect((await failure(host.withScratch(source("w", "x ="), async () => 1))).code).toBe(
      "workflow_load_failed",
    );
    expect(done(await host.run(request("w"))).output).toBe(2);
  });
});
