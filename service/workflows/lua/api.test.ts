import { describe, expect, it } from "vitest";
import {
  done,
  evaluate,
  failure,
  finish,
  journalOf,
  messages,
  openWorkflow,
  runBody,
  source,
  suspended,
  testHost,
} from "../../../test/harness/lua.ts";
import { idFromKey } from "../../lib/ids.ts";
import type { RunOutcome } from "./host.ts";

const loadError = (text: string) => {
  const { loaded } = openWorkflow(text);
  if (loaded.kind !== "failed") throw new Error("it loaded");
  return loaded.error;
};

describe("registering handlers", () => {
  it("S22 on gives the service its patterns with * and >, in the order of the file", async () => {
    const text = [
      'sekia.on("github.issue.*", function() end)',
      'sekia.on("github.>", function() end)',
      'signalbox.on("*.*.*", {}, function() end)',
      'signalbox.on(">", function() end)',
    ].join("\n");
    const loaded = await testHost().load(source("patterns", text));
    const event = { kind: "event", every_ms: null };
    expect(loaded.handlers).toEqual([
      { ...event, id: 1, pattern: "github.issue.*", line: 1 },
      { ...event, id: 2, pattern: "github.>", line: 2 },
      { ...event, id: 3, pattern: "*.*.*", line: 3 },
      { ...event, id: 4, pattern: ">", line: 4 },
    ]);
  });

  it.each(["", "a b", "a..b", ">.a", "a.>.b", ".a", "a*.b"])(
    "S22 the pattern %j is refused, with its line",
    (pattern) => {
      const error = loadError(`\nsekia.on(${JSON.stringify(pattern)}, function() end)`);
      expect(error).toMatchObject({ line: 2, message: expect.stringContaining("must be a subject pattern") });
    },
  );

  it("B2 schedule takes seconds of 1 or more", () => {
    const { loaded } = openWorkflow(
      "sekia.schedule(90, function() end) signalbox.schedule(1.5, function() end)",
    );
    expect(loaded).toMatchObject({
      loaded: {
        handlers: [
          { id: 1, kind: "schedule", pattern: null, every_ms: 90_000, line: 1 },
          { id: 2, kind: "schedule", pattern: null, every_ms: 1_500, line: 1 },
        ],
      },
    });
    expect(loadError("sekia.schedule(0.5, function() end)").message).toBe(
      "bad argument #1 to 'sekia.schedule' (seconds must be a number of seconds, 1 or more, not 0.5)",
    );
    expect(loadError("sekia.schedule('60', function() end)").message).toContain('not "60"');
    expect(loadError("sekia.schedule(1/0, function() end)").message).toContain("1 or more");
  });

  it("handlers can't be added by handlers, nor acts be done while the file loads", () => {
    expect(failure('sekia.on("a", function() end)').message).toBe(
      "sekia.on works only while the file loads, not in a handler",
    );
    expect(loadError('sekia.command("a", "b", {})').message).toBe(
      "sekia.command works only in a handler, not while the file loads",
    );
    expect(loadError("signalbox.state.x = 1").message).toContain("works only in a handler");
    expect(loadError("signalbox.after(1)").message).toContain("works only in a handler");
  });

  it("options that do not exist are refused", () => {
    expect(loadError('signalbox.on("a", { once = true }, function() end)').message).toContain(
      "without fields",
    );
  });
});

describe("acts", () => {
  it("S23 publish emits an event with subject, type and payload", () => {
    const { operations } = done(
      runBody(
        'sekia.publish("reports.daily", "report.made", { n = 1, list = { "a" }, })\nsignalbox.publish("a.b", "c.d")',
      ),
    );
    expect(operations).toEqual([
      {
        ordinal: 1,
        line: 2,
        kind: "publish",
        subject: "reports.daily",
        type: "report.made",
        payload: { n: 1, list: ["a"] },
        topic: null,
        body: null,
      },
      {
        ordinal: 2,
        line: 3,
        kind: "publish",
        subject: "a.b",
        type: "c.d",
        payload: {},
        topic: null,
        body: null,
      },
    ]);
  });

  it("signalbox.publish takes a topic and a body", () => {
    const { operations } = done(
      runBody('signalbox.publish("a", "b", {}, { topic = "inbox", body = "Grüße" })'),
    );
    expect(operations).toMatchObject([{ topic: "inbox", body: "Grüße" }]);
    expect(failure('signalbox.publish("a", "b", {}, { subject = "x" })').message).toContain("topic or body");
  });

  it("S24 command sends a command to an agent", () => {
    const { operations } = done(
      runBody('sekia.command("github-agent", "add_label", { number = event.payload.n })', { n: 42 }),
    );
    expect(operations).toEqual([
      {
        ordinal: 1,
        line: 2,
        kind: "command",
        agent: "github-agent",
        command: "add_label",
        payload: { number: 42 },
        effect_id: idFromKey("eff", 1_700_000_000_000, "key:1"),
      },
    ]);
  });

  it("signalbox.command gives the effect's id, the same in every attempt", () => {
    const body = 'signalbox.publish("a", "b") return signalbox.command("a", "b", {})';
    const first = done(runBody(body, {}, { effectKey: "run_1" }));
    expect(first.output).toBe(idFromKey("eff", 1_700_000_000_000, "run_1:2"));
    expect(first.operations[1]).toMatchObject({ effect_id: first.output });
    expect(done(runBody(body, {}, { effectKey: "run_1" })).output).toBe(first.output);
    expect(done(runBody(body, {}, { effectKey: "run_2" })).output).not.toBe(first.output);
  });

  it.each([
    [
      "sekia.publish()",
      "#1 to 'sekia.publish' (subject must be a subject: words joined by dots, without spaces, * or >; nothing was given)",
    ],
    ['sekia.publish("a.*", "b", {})', "#1 to 'sekia.publish'"],
    ['sekia.publish("a", nil, {})', "#2 to 'sekia.publish'"],
    ['sekia.publish("a", "b", "c")', "#3 to 'sekia.publish' (payload must be a table with named fields"],
    ['sekia.publish("a", "b", { 1, 2 })', "payload must be a table with named fields, not a list"],
    [
      "sekia.command(1, 'x', {})",
      "#1 to 'sekia.command' (agent must be a name: letters, digits and _ @ : . / + -, not 1)",
    ],
    ['sekia.command("a", "b c", {})', "#2 to 'sekia.command'"],
    ['sekia.command("a", "b", { f = print })', "payload.f is a function"],
    ['signalbox.call("a")', "#2 to 'signalbox.call'"],
    ["signalbox.after(-1)", "#1 to 'signalbox.after' (seconds must be a number of seconds, 0 or more"],
    [
      'sekia.log("loud", "x")',
      '#1 to \'sekia.log\' (level must be "debug", "info", "warn" or "error", not "loud")',
    ],
    ['sekia.log("info")', "#2 to 'sekia.log'"],
    ['signalbox.state.set("", 1)', "#1 to 'signalbox.state.set'"],
    ["signalbox.array(1)", "#1 to 'signalbox.array'"],
  ])("B2 %s raises an error at its line that says what was expected", (code, message) => {
    expect(failure(`\n${code}`)).toMatchObject({
      message: expect.stringContaining(`bad argument ${message.startsWith("#") ? message : ""}`),
      line: 3,
    });
    expect(failure(code).message).toContain(message);
    expect(evaluate(`return (pcall(function() ${code} end))`)).toBe(false);
  });

  it("ai, skill and conversation are not there yet", () => {
    expect(
      evaluate(
        "return { sekia.ai == nil, sekia.ai_json == nil, sekia.skill == nil, sekia.conversation == nil }",
      ),
    ).toEqual([true, true, true, true]);
  });

  it("a run that sends without end is stopped by an error it can't catch", () => {
    const error = failure('while true do pcall(sekia.publish, "a", "b", {}) end');
    expect(error.message).toBe("more than 10000 operations in one run");
  });
});

describe("logs", () => {
  it("S25 log takes debug, info, warn and error", () => {
    const outcome = done(
      runBody('for _, l in ipairs({ "debug", "info", "warn", "error" }) do sekia.log(l, "at " .. l) end'),
    );
    expect(outcome.logs.map(({ level, message, line }) => [level, message, line])).toEqual([
      ["debug", "at debug", 2],
      ["info", "at info", 2],
      ["warn", "at warn", 2],
      ["error", "at error", 2],
    ]);
  });

  it("signalbox.log takes a message alone, a level and a message, and has a function for each level", () => {
    const outcome = done(
      runBody(
        'signalbox.log("a") signalbox.log("warn", 7) signalbox.log.debug({ x = 1 }) signalbox.log.error(nil) signalbox.log.info("\\xff")',
      ),
    );
    expect(outcome.logs.map(({ level, message }) => [level, message])).toEqual([
      ["info", "a"],
      ["warn", "7"],
      ["debug", '{"x":1}'],
      ["error", "nil"],
      ["info", "\ufffd"],
    ]);
  });
});

describe("events", () => {
  it("S26 name is the workflow's name", async () => {
    const host = testHost();
    const loaded = await host.load(source("github-auto-label", "print(sekia.name, signalbox.name)"));
    expect(messages(loaded.logs)).toEqual(["github-auto-label\tgithub-auto-label"]);
  });

  it('S27 a handler reads type and payload, may return early, and "#" .. number prints #42', () => {
    const body =
      'if event.type ~= "test.happened" then return "early" end return "#" .. event.payload.number';
    expect(evaluate(body, { number: 42 })).toBe("#42");
    expect(done(runBody(body, {}, { event: { type: "other" } })).output).toBe("early");
  });

  it("B7 the Lua state lives on between events", () => {
    const opened = openWorkflow('local n = 0 sekia.on("x", function() n = n + 1 return n end)');
    expect([1, 2, 3].map(() => done(opened.run().outcome).output)).toEqual([1, 2, 3]);
  });

  it("a schedule's handler gets no event", () => {
    const opened = openWorkflow("sekia.schedule(1, function(...) return select('#', ...) end)");
    expect(done(opened.run({ event: null }).outcome).output).toBe(0);
  });
});

describe("state", () => {
  it("gets, sets, lists and removes, by function and like a table", () => {
    const opened = openWorkflow(
      `sekia.on("x", function()
        signalbox.state.count = (signalbox.state.count or 0) + 1
        signalbox.state.set("list", { 1, 2 })
        local list = signalbox.state.get("list")
        list[3] = 3
        signalbox.state.old = nil
        local keys = {}
        for key, value in pairs(signalbox.state) do keys[#keys + 1] = key .. "=" .. json.encode(value) end
        return { keys, #signalbox.state.list, signalbox.state.old == nil }
      end)`,
      { count: 41, old: true },
    );
    const outcome = done(opened.run().outcome);
    expect(outcome.output).toEqual([["count=42", "list=[1,2]"], 2, true]);
    expect(outcome.operations).toMatchObject([
      { kind: "state", key: "count", value: 42 },
      { kind: "state", key: "list", value: [1, 2] },
      { kind: "state", key: "old", value: undefined },
    ]);
  });

  it("changes of a handler that fails are undone, those before its last wait stay", () => {
    const opened = openWorkflow(`sekia.on("x", function(event)
      if event.payload.read then return { signalbox.state.a, signalbox.state.b or "none" } end
      signalbox.state.a = "kept"
      signalbox.state.b = "kept"
      signalbox.after(1)
      signalbox.state.a = "lost"
      signalbox.state.b = nil
      error("no")
    end)`);
    const { run, outcome } = opened.run({ event: { payload: {} } });
    suspended(outcome);
    run.goOn({ ok: true, value: null }, 5);
    expect(finish(run)).toMatchObject({ kind: "failed", error: { message: "no" } });
    expect(done(opened.run({ event: { payload: { read: true } } }).outcome).output).toEqual(["kept", "kept"]);
  });
});

describe("waiting", () => {
  const text = `sekia.on("x", function(event)
    local id = signalbox.command("agent", "first", { at = signalbox.now_ms() })
    signalbox.state.step = 1
    print("before")
    local result = signalbox.call("agent", "ask", { n = 1 })
    print("between", signalbox.now_ms())
    signalbox.after(2.5)
    signalbox.publish("done", "test.done", { id = id, result = result, at = signalbox.now_ms(), r = math.random(1000) })
    return result
  end)`;

  /** The run without an interruption: the three parts between its waits. */
  function straight(): [RunOutcome, RunOutcome, RunOutcome] {
    const { run, outcome } = openWorkflow(text).run();
    run.goOn({ ok: true, value: { answer: [42] } }, 1_700_000_000_003);
    const second = finish(run);
    run.goOn({ ok: true, value: null }, 1_700_000_000_004);
    return [outcome, second, finish(run)];
  }

  it("call waits for a result and after for a time; the rest happens afterwards", () => {
    const [first, second, third] = straight();
    expect(suspended(first).operations.map(({ kind }) => kind)).toEqual(["command", "state", "call"]);
    expect(suspended(second).operations).toMatchObject([
      { ordinal: 4, kind: "sleep", delay_ms: 2_500, line: 7 },
    ]);
    expect(messages(suspended(second).logs)).toEqual(["between\t1700000000003"]);
    expect(done(third)).toMatchObject({
      output: { answer: [42] },
      operations: [
        { ordinal: 5, kind: "publish", payload: { result: { answer: [42] }, at: 1_700_000_000_004 } },
      ],
    });
  });

  it("a run that starts again from its journal repeats nothing and ends the same", () => {
    const [first, second, third] = straight();
    const journal = [
      ...journalOf(first, { 3: { ok: true, value: { answer: [42] } } }),
      ...journalOf(second, { 4: { ok: true, value: null } }),
    ];
    const again = done(openWorkflow(text).run({ journal }).outcome);
    expect({ ...again, cpu_ms: 0, logs: [] }).toEqual({ ...third, cpu_ms: 0, logs: [] });
  });

  it("a wait without an end in the journal is waited for again, without asking twice", () => {
    const [first] = straight();
    const { run, outcome } = openWorkflow(text).run({ journal: journalOf(first) });
    expect(suspended(outcome)).toMatchObject({ operations: [], logs: [] });
    run.goOn({ ok: true, value: 1 }, 1_700_000_000_003);
    expect(suspended(finish(run)).operations).toMatchObject([{ ordinal: 4, kind: "sleep" }]);
  });

  it("state that an earlier attempt set is not set again", () => {
    const [first] = straight();
    const opened = openWorkflow(text, { step: "set since" });
    opened.run({ journal: journalOf(first) });
    const reader = openWorkflow(
      'sekia.on("x", function() signalbox.state.n = (signalbox.state.n or 0) + 1 return signalbox.state.n end)',
      { n: 5 },
    );
    const { outcome } = reader.run({ journal: [{ ordinal: 1, kind: "state", now_ms: 1 }] });
    expect(done(outcome)).toMatchObject({ output: 5, operations: [] });
  });

  it("a handler that does something else than before fails with an error that says so and can't be caught", () => {
    const opened = openWorkflow('sekia.on("x", function() pcall(sekia.command, "a", "b", {}) return 1 end)');
    const other = opened.run({ journal: [{ ordinal: 1, kind: "publish", now_ms: 1 }] }).outcome;
    expect(other).toMatchObject({
      kind: "failed",
      error: {
        message: expect.stringContaining(
          "operation 1 was a publish in an earlier attempt and is a command now",
        ),
      },
    });
    const fewer = opened.run({
      journal: [1, 2].map((ordinal) => ({ ordinal, kind: "command", now_ms: 1 }) as const),
    }).outcome;
    expect(fewer).toMatchObject({
      error: { message: expect.stringContaining("ended after 1 operations, an earlier attempt did 2") },
    });
  });

  it("a failed effect raises an error with its message, which pcall can catch", () => {
    const opened = openWorkflow(`sekia.on("x", function(event)
      if event.payload.catch then
        local ok, message = pcall(signalbox.call, "a", "b")
        return { ok, message }
      end
      signalbox.call("a", "b")
    end)`);
    const caught = opened.run({ event: { payload: { catch: true } } }).run;
    caught.goOn({ ok: false, message: "refused by github" }, 1);
    expect(done(finish(caught)).output).toEqual([false, "refused by github"]);
    const raised = opened.run({ event: { payload: {} } }).run;
    raised.goOn({ ok: false, message: "refused by github" }, 1);
    expect(finish(raised)).toMatchObject({
      kind: "failed",
      error: { message: "refused by github", line: 6 },
    });
  });

  it("B14 waits work in calls, loops, iterators, __index and across pcall and xpcall", () => {
    const opened = openWorkflow(`
      local function ask(n) return signalbox.call("a", "b", { n = n }) end
      local function iterate(_, n) if n < 2 then return n + 1, ask(n) end end
      local proxy = setmetatable({}, { __index = function(_, k) return ask(k) end, __add = function() return ask("add") end })
      sekia.on("x", function()
        local seen = {}
        for i = 1, 2 do seen[#seen + 1] = ask(i) end
        for _, v in iterate, nil, 0 do seen[#seen + 1] = v end
        seen[#seen + 1] = proxy.field
        seen[#seen + 1] = proxy + 1
        seen[#seen + 1] = select(2, pcall(function() return ask("pcall") end))
        seen[#seen + 1] = select(2, xpcall(ask, print, "xpcall"))
        seen[#seen + 1] = select(2, pcall(function() ask("then") error("after", 0) end))
        return seen
      end)`);
    const { run, outcome } = opened.run();
    let [now, asked] = [outcome, 0];
    while (now.kind === "suspended") {
      run.goOn({ ok: true, value: ++asked }, asked);
      now = finish(run);
    }
    expect(done(now).output).toEqual([1, 2, 3, 4, 5, 6, 7, 8, "after"]);
    expect(asked).toBe(9);
  });

  it.each([
    "table.sort({ 3, 2, 1 }, function(a, b) signalbox.after(1) return a < b end)",
    'string.gsub("abc", "%w", function() signalbox.call("a", "b") end)',
    "tostring(setmetatable({}, { __tostring = function() signalbox.after(1) end }))",
  ])("B14 a wait in a callback of the library is a clear error: %s", (code) => {
    const outcome = runBody(code);
    expect(outcome).toMatchObject({
      kind: "failed",
      error: {
        message: expect.stringContaining("can't wait here: inside the callback of table.sort, string.gsub"),
        line: 2,
      },
    });
  });
});
