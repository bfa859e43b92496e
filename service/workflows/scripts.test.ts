import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { eventually, startTestService, type TestService } from "../../test/harness/service.ts";
import { pushAndRun } from "../../test/harness/workflows.ts";
import type { Client } from "../client/index.ts";
import type { ScriptItem } from "../contract/actions.ts";

const examples = resolve(import.meta.dirname, "../../examples");
const set = ["actions.debounce_ms=10"];

async function service(options: Parameters<typeof startTestService>[0] = {}): Promise<TestService> {
  const started = await startTestService({ set, ...options });
  onTestFinished(() => started.close());
  return started;
}

/** A service whose actions repository is a copy of the examples. */
async function withExamples(): Promise<TestService> {
  const started = await service();
  cpSync(join(examples, "actions"), started.paths.actionsDir, { recursive: true });
  await started.client.reloadActions();
  return started;
}

interface Ran {
  printed: string[];
  asked: string[];
  items: ScriptItem[];
  end: Extract<ScriptItem, { kind: "end" }>["run"];
}

/** Runs a text, approving what it asks for unless told otherwise. */
async function run(
  client: Client,
  source: string,
  more: Partial<Parameters<Client["startScript"]>[0]> = {},
  decide: "approve" | "deny" | "leave" = "approve",
): Promise<Ran> {
  const { run_id } = await client.startScript({ source, file: "test.lua", ...more });
  return follow(client, run_id, decide);
}

async function follow(client: Client, run_id: string, decide: "approve" | "deny" | "leave"): Promise<Ran> {
  const ran: Ran = { printed: [], asked: [], items: [], end: undefined as never };
  const decided = new Set<string>();
  for await (const item of client.streamScript({ run_id })) {
    ran.items.push(item);
    if (item.kind === "print") ran.printed.push(item.text);
    if (item.kind === "end") {
      ran.end = item.run;
      break;
    }
    if (item.kind !== "effect" || item.approval === null || decided.has(item.effect.id)) continue;
    decided.add(item.effect.id);
    ran.asked.push(item.effect.target);
    if (decide === "leave") break;
    const { id, sha256 } = item.effect;
    await client.decideApproval({ approval: id, decision: decide, sha256, by: "cli" });
  }
  return ran;
}

const script = (name: string) => readFileSync(join(examples, "scripts", `${name}.lua`), "utf8");

describe("scripts over actions", () => {
  it("K1 K2 K12 K14 K20 K24 run programs of any language with JSON in and out, and print", async () => {
    const { client } = await withExamples();
    const quiet = await run(client, script("quiet"));
    expect(quiet.end).toMatchObject({ status: "succeeded", workflow: "script:test" });
    expect(quiet.printed).toEqual(["acme\t1", "bolt\t2"]);
    expect(quiet.items).toContainEqual(
      expect.objectContaining({
        kind: "progress",
        text: "asking sample://metrics for sum(rate(http_requests_total[5m])) by (tenant)",
      }),
    );
    const tenants = await run(client, script("tenants"), { args: ["first"] });
    expect(tenants.printed).toEqual([
      "2\tfirst",
      "acme",
      "bolt",
      "found:\tacme",
      "not found:\tno tenant t-9",
    ]);
  });

  it("K16 K17 B19 failures are caught, or end the script with their own words", async () => {
    const { client } = await withExamples();
    const ran = await run(client, script("fallback"));
    expect(ran.printed).toEqual([
      "query failed:\tprometheus.query failed: connection refused",
      "0",
      '{\n  lines = {\n    "2 be",\n    "1 not",\n    "1 or",\n    "2 to"\n  }\n}',
    ]);
    expect(ran.end).toMatchObject({
      status: "failed",
      error: { message: "prometheus.query failed: connection refused", line: 11 },
    });
  });

  it("U8 U30 asks once for a program, again when its files change, and says what would run", async () => {
    const started = await withExamples();
    const { client } = started;
    const text = "return #actions.internal.list_tenants()";
    const first = await run(client, text);
    expect([first.asked, first.end.output]).toEqual([["internal.list_tenants"], 2]);
    const second = await run(client, text);
    expect([second.asked, second.end.output]).toEqual([[], 2]);
    const file = join(started.paths.actionsDir, "programs/tenants.mjs");
    writeFileSync(file, `${readFileSync(file, "utf8")}\n// changed`);
    const third = await run(client, text, {}, "leave");
    expect(third.asked).toEqual(["internal.list_tenants"]);
    const [approval] = (await client.listApprovals()).approvals;
    expect(approval).toMatchObject({
      effect: {
        kind: "action",
        target: "internal.list_tenants",
        summary: "Run internal.list_tenants without parameters",
        bound: { commit: null, executor: "native", env: [], argv: expect.arrayContaining(["tenants.mjs"]) },
        cause: { workflow: "script:test", line: "test.lua:1", source: "cli" },
      },
      risks: expect.arrayContaining([expect.stringMatching(/^It runs .*tenants\.mjs from a folder/)]),
      chain: [{ type: "signalbox.script.started" }],
    });
  });

  it("R68 a no is an error that the script can catch", async () => {
    const { client } = await withExamples();
    const ran = await run(client, `print(pcall(actions.internal.list_tenants))`, {}, "deny");
    expect(ran.printed[0]).toMatch(/^false\tinternal.list_tenants denied: denied by cli/);
  });

  it("K13 what the caller gives wins over defaults, and what does not fit is refused before anything runs", async () => {
    const { client } = await withExamples();
    const ran = await run(client, `print(pcall(actions.analysis.quiet_periods, { data = {} }))`);
    expect(ran.printed).toEqual([
      'false\tSchema Validation Failure: missing required field "threshold" (expected number)',
    ]);
    expect((await client.listEffects({ limit: 10 })).effects).toEqual([]);
  });

  it("actions.all runs them at the same time", async () => {
    const started = await service();
    const dir = started.paths.actionsDir;
    mkdirSync(join(dir, "p"), { recursive: true });
    // Each waits for the other's sign, so one after the other would never end.
    writeFileSync(
      join(dir, "p/meet.mjs"),
      `import { readFileSync, writeFileSync, existsSync } from "node:fs";
       const { me, other, dir } = JSON.parse(readFileSync(0, "utf8"));
       writeFileSync(dir + "/" + me, "");
       const nap = new Int32Array(new SharedArrayBuffer(4));
       while (!existsSync(dir + "/" + other)) Atomics.wait(nap, 0, 0, 10);
       process.stdout.write(JSON.stringify(me + " met " + other));`,
    );
    const meet = join(started.home, "meet");
    mkdirSync(meet);
    writeFileSync(
      join(dir, "init.lua"),
      `return { meet = define_action({ source = "p", entrypoint = "meet.mjs", executor = "native", files = { "${meet}:rw" } }) }`,
    );
    await started.client.reloadActions();
    const ran = await run(
      started.client,
      `local both = actions.all({
         a = { actions.meet, { me = "a", other = "b", dir = "${meet}" } },
         b = { actions.meet, { me = "b", other = "a", dir = "${meet}" } } })
       print(both.a, both.b)`,
    );
    expect(ran.end.error).toBeNull();
    expect(ran.printed).toEqual(["a met b\tb met a"]);
  });

  it("is done by workflows as well, through a restart while a person decides", async () => {
    const started = await withExamples();
    const { client } = started;
    mkdirSync(started.paths.workflowsDir, { recursive: true });
    writeFileSync(
      join(started.paths.workflowsDir, "tenants.lua"),
      `signalbox.on("tenants.asked", function(event)
         local found = actions.internal.list_tenants({ limit = event.payload.limit })
         return found[1].name
       end)`,
    );
    await client.reloadWorkflows();
    const waiting = await pushAndRun(client, { type: "tenants.asked", payload: { limit: 1 } });
    expect(waiting).toMatchObject({ status: "waiting", waiting_for: "result of internal.list_tenants" });
    const asked = await eventually(
      () => client.listApprovals(),
      ({ approvals }) => approvals.length === 1,
    );
    await started.restart();
    const { effect } = asked.approvals[0]!;
    await client.decideApproval({
      approval: effect.id,
      decision: "approve",
      sha256: effect.sha256,
      by: "cli",
    });
    const ended = await eventually(
      () => client.getRun({ run_id: effect.cause.run_id ?? "" }),
      ({ status }) => status === "succeeded",
    );
    expect(ended.output).toBe("acme");
    expect((await client.listEffects({ limit: 10 })).effects).toMatchObject([
      { attempts: 1, state: "succeeded" },
    ]);
  });

  it("a script goes on after a restart, and prints nothing twice", async () => {
    const started = await withExamples();
    const { client } = started;
    const { run_id } = await client.startScript({
      source: `print("one") local t = actions.internal.list_tenants() print("two", #t)`,
      file: "long.lua",
    });
    const asked = await eventually(
      () => client.listApprovals(),
      ({ approvals }) => approvals.length === 1,
    );
    await started.restart();
    const { id, sha256 } = asked.approvals[0]!.effect;
    await client.decideApproval({ approval: id, decision: "approve", sha256, by: "cli" });
    const ran = await follow(client, run_id, "leave");
    expect([ran.printed, ran.end.status]).toEqual([["two\t2"], "succeeded"]);
  });

  it("a script that computes when the service stops begins again after the start", async () => {
    const started = await withExamples();
    const flag = join(started.home, "go");
    const { run_id } = await started.client.startScript({
      source: `while not pcall(readfile, "go") do end return "went"`,
      cwd: started.home,
    });
    await started.restart();
    writeFileSync(flag, "");
    expect((await follow(started.client, run_id, "leave")).end).toMatchObject({
      status: "succeeded",
      output: "went",
    });
  });

  it("U30 an action approved ahead of time does not ask, and the audit trail has who did it", async () => {
    const { client } = await withExamples();
    const before = await client.getAction({ action: "internal.list_tenants" });
    expect(before).toMatchObject({
      approval: "new",
      problem: null,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const sha256 = before.sha256 ?? "";
    await expect(
      client.approveAction({ action: "internal.list_tenants", sha256: "0".repeat(64), by: "cli" }),
    ).rejects.toMatchObject({ code: "conflict" });
    await expect(
      client.approveAction({ action: "internal.list_tenants", sha256, by: "workflow:x" }),
    ).rejects.toMatchObject({ code: "forbidden" });
    await client.approveAction({ action: "internal.list_tenants", sha256, by: "cli", reason: "read it" });
    expect(await client.getAction({ action: "internal.list_tenants" })).toMatchObject({
      approval: "approved",
      approved_by: "cli",
    });
    const ran = await run(client, "return #actions.internal.list_tenants()");
    expect([ran.asked, ran.end.output]).toEqual([[], 2]);
    const { entries } = await client.listAudit({ effect_id: "action:internal.list_tenants" });
    expect(entries).toMatchObject([
      { kind: "approved", actor: "cli", sha256, detail: { reason: "read it" } },
    ]);
    expect(await client.verifyAudit({})).toMatchObject({ ok: true });
  });

  it("S23 an agent's script asks each time, and an agent can't approve it", async () => {
    const { client } = await withExamples();
    await run(client, "return #actions.internal.list_tenants()");
    await client.registerAgent({ name: "bot", version: "1", capabilities: [], commands: [] });
    const ran = await run(client, "return #actions.internal.list_tenants()", { by: "@bot" }, "leave");
    expect(ran.asked).toEqual(["internal.list_tenants"]);
    const [approval] = (await client.listApprovals()).approvals;
    await expect(
      client.decideApproval({
        ...{
          approval: approval?.effect.id ?? "",
          decision: "approve",
          sha256: approval?.effect.sha256 ?? "",
        },
        by: "@bot",
      }),
    ).rejects.toMatchObject({ code: "forbidden" });
  });

  it("stops on request, with the action that it waits for", async () => {
    const started = await service();
    const dir = started.paths.actionsDir;
    mkdirSync(join(dir, "p"), { recursive: true });
    writeFileSync(
      join(dir, "p/wait.mjs"),
      `process.stderr.write("waiting\\n"); setInterval(() => {}, 1000);`,
    );
    writeFileSync(
      join(dir, "init.lua"),
      `return { wait = define_action({ source = "p", entrypoint = "wait.mjs", executor = "native" }) }`,
    );
    const { client } = started;
    await client.reloadActions();
    const { run_id } = await client.startScript({ source: "pcall(actions.wait) print('went on')" });
    const seen: ScriptItem[] = [];
    for await (const item of client.streamScript({ run_id })) {
      seen.push(item);
      if (item.kind === "effect" && item.approval)
        await client.decideApproval({
          ...{ approval: item.effect.id, decision: "approve", sha256: item.effect.sha256, by: "cli" },
        });
      if (item.kind === "progress" && item.text === "waiting") await client.stopScript({ run_id });
      if (item.kind === "end") break;
    }
    expect(seen.at(-1)).toMatchObject({ kind: "end", run: { status: "cancelled" } });
    expect(seen.filter(({ kind }) => kind === "print")).toEqual([]);
    const ended = await eventually(
      () => client.listEffects({ limit: 1 }),
      ({ effects }) => effects[0]?.state === "failed",
    );
    expect(ended.effects[0]?.error).toMatch(/cancelled/);
    const endless = await client.startScript({ source: "while true do end" });
    expect(await client.stopScript(endless)).toMatchObject({ status: "cancelled" });
  });

  it("K26 a large answer comes whole, and is not kept in the database", async () => {
    const started = await service();
    const dir = started.paths.actionsDir;
    mkdirSync(join(dir, "p"), { recursive: true });
    writeFileSync(
      join(dir, "p/large.py"),
      `import json, os, tempfile
path = os.path.join(os.environ["TMPDIR"], "out.json")
json.dump(["x" * 1000] * 3000, open(path, "w"))
print(json.dumps({"_file": path}))`,
    );
    writeFileSync(
      join(dir, "init.lua"),
      `return { large = define_action({ source = "p", entrypoint = "large.py", executor = "native" }) }`,
    );
    const { client } = started;
    await client.reloadActions();
    const ran = await run(client, `local rows = actions.large() print(#rows, #rows[3000])`);
    expect(ran.end.error).toBeNull();
    expect(ran.printed).toEqual(["3000\t1000"]);
    const [effect] = (await client.listEffects({ limit: 1 })).effects;
    expect(effect?.result).toEqual({ _answer: effect?.id, bytes: expect.any(Number) });
  });

  it("retry tries again, cache answers the same call without running, as the definition or the call says", async () => {
    const started = await service();
    const dir = started.paths.actionsDir;
    const count = join(started.home, "count");
    mkdirSync(join(dir, "p"), { recursive: true });
    mkdirSync(count);
    writeFileSync(
      join(dir, "p/count.mjs"),
      `import { readFileSync, writeFileSync, existsSync } from "node:fs";
       const { fail } = JSON.parse(readFileSync(0, "utf8"));
       const file = ${JSON.stringify(join(count, "n"))};
       const n = existsSync(file) ? Number(readFileSync(file, "utf8")) + 1 : 1;
       writeFileSync(file, String(n));
       if (n <= fail) { console.error("not yet"); process.exit(1); }
       process.stdout.write(String(n));`,
    );
    writeFileSync(
      join(dir, "init.lua"),
      `return { count = define_action({ source = "p", entrypoint = "count.mjs", executor = "native",
         files = { "${count}:rw" }, retry = { attempts = 1, delay = 0.01 } }) }`,
    );
    const { client } = started;
    await client.reloadActions();
    const ran = await run(
      client,
      `print(actions.count({ fail = 1 }))
       print(actions.count({ fail = 0 }, { cache = "1h" }))
       print(actions.count({ fail = 0 }, { cache = "1h" }))
       print(actions.count({ fail = 0, other = 1 }, { cache = "1h" }))
       print(pcall(actions.count, { fail = 99 }, { retry = { attempts = 2, delay = 0.01 } }))`,
    );
    expect(ran.printed).toEqual(["2", "3", "3", "4", "false\tcount failed: not yet"]);
    expect(readFileSync(join(count, "n"), "utf8")).toBe("7");
  });

  it("B19 reads and writes files in its folder only, and asks jq", async () => {
    const started = await service();
    const cwd = join(started.home, "work");
    mkdirSync(cwd);
    writeFileSync(join(started.home, "secret"), "no");
    writeFileSync(join(cwd, "in.txt"), "hello");
    symlinkSync(join(started.home, "secret"), join(cwd, "link"));
    const text = `
      writefile("out.json", { text = readfile("in.txt") })
      print(jq({ a = { 1, 2 } }, ".a | add"), #jq({ 1, 2 }, ".[]"))
      for _, path in ipairs({ "../secret", "link", "/etc/passwd", "gone", "." }) do print(pcall(readfile, path)) end
      print(pcall(writefile, "link", "x"))
      print(pcall(jq, 1, "{"))`;
    const ran = await run(started.client, text, { cwd });
    expect(readFileSync(join(cwd, "out.json"), "utf8")).toBe('{\n  "text": "hello"\n}\n');
    expect(ran.printed[0]).toBe("3\t2");
    expect(ran.printed.slice(1)).toHaveLength(7);
    for (const line of ran.printed.slice(1)) expect(line).toMatch(/^false\t(readfile|writefile|jq): /);
    expect(readFileSync(join(started.home, "secret"), "utf8")).toBe("no");
    const nowhere = await run(started.client, `readfile("in.txt")`);
    expect(nowhere.end.error?.message).toMatch(/readfile works only in scripts run from a folder/);
  });

  it("a dry run shows what would happen and does nothing", async () => {
    const { client } = await withExamples();
    const dry = await client.dryRunScript({ source: script("quiet"), file: "quiet.lua" });
    expect(dry).toMatchObject({
      status: "succeeded",
      effects: [
        { kind: "action", target: "prometheus.query", summary: "Run prometheus.query", line: "quiet.lua:2" },
        { kind: "action", target: "analysis.quiet_periods", line: "quiet.lua:14" },
      ],
    });
    expect((await client.listEffects({ limit: 1 })).effects).toEqual([]);
    const broken = await client.dryRunScript({ source: "error('no')" });
    expect(broken).toMatchObject({ status: "failed", error: { message: "no", line: 1 } });
  });

  it("refuses a text that does not compile, by file and line", async () => {
    const { client } = await service();
    await expect(client.startScript({ source: "x =", file: "bad.lua" })).rejects.toMatchObject({
      code: "workflow_load_failed",
      message: expect.stringMatching(/^bad.lua:1: /),
    });
    await expect(client.startScript({ source: "", repository: "relative" })).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});

describe("a session", () => {
  it("K22 keeps globals from line to line, asks for the rest of a block, and ends", async () => {
    const { client } = await withExamples();
    const { session } = await client.openSession({ file: "repl" });
    const line = async (code: string) => {
      const { incomplete, run_id } = await client.runLine({ session, code });
      return incomplete || run_id === null ? "…" : (await follow(client, run_id, "approve")).printed;
    };
    expect(await line("t = actions.internal.list_tenants()")).toEqual([]);
    expect(await line("#t")).toEqual(["2"]);
    expect(await line("for i = 1, 2 do")).toBe("…");
    expect(await line("for i = 1, 2 do print(i) end")).toEqual(["1", "2"]);
    const failed = await client.runLine({ session, code: "nothing.here" });
    const { end } = await follow(client, failed.run_id ?? "", "approve");
    expect(end).toMatchObject({ status: "failed", workflow: "script:repl" });
    await client.closeSession({ session });
    await expect(client.runLine({ session, code: "1" })).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("the repository", () => {
  it("K3 is loaded again when a file changes, and workflows see it", async () => {
    const started = await service();
    const dir = started.paths.actionsDir;
    mkdirSync(dir, { recursive: true });
    const write = (name: string) =>
      writeFileSync(
        join(dir, "init.lua"),
        `return { n = "${name}", a = define_action({ source = ".", executor = "native" }) }`,
      );
    write("one");
    const { client } = started;
    await client.reloadActions();
    mkdirSync(started.paths.workflowsDir, { recursive: true });
    writeFileSync(
      join(started.paths.workflowsDir, "w.lua"),
      `sekia.on("n.asked", function() return actions.n end)`,
    );
    await client.reloadWorkflows();
    expect((await pushAndRun(client, { type: "n.asked" })).output).toBe("one");
    write("two");
    await eventually(
      async () => (await pushAndRun(client, { type: "n.asked" })).output,
      (output) => output === "two",
    );
    writeFileSync(join(dir, "init.lua"), "return {");
    const broken = await eventually(
      () => client.listActions({}),
      ({ repository }) => repository.problem !== null,
    );
    expect(broken).toMatchObject({
      repository: { problem: { file: "init.lua", line: 1 } },
      actions: [{ name: "a" }],
    });
    expect((await pushAndRun(client, { type: "n.asked" })).output).toBe("two");
  });

  it("K25 serves the definition, its schema and its annotations", async () => {
    const { client } = await withExamples();
    const action = await client.getAction({ action: "prometheus.query" });
    expect(action).toMatchObject({
      file: "prometheus/query.lua",
      description: "Asks Prometheus; here a sample file that answers like it.",
      defaults: { endpoint: "sample://metrics", step: "5m" },
      schema: { input: { query: { type: "string", required: true } }, output: null },
      annotations: {
        classes: [
          {
            name: "PrometheusQuery",
            fields: [
              { name: "query", optional: false, type: "string", description: "PromQL" },
              { name: "range", optional: true },
              { name: "endpoint" },
              { name: "step" },
            ],
          },
        ],
        params: [{ name: "params", type: "PrometheusQuery" }],
        returns: [{ type: "{ tenant: string, value: number }[]" }],
        problems: [],
      },
    });
    await expect(client.getAction({ action: "prometheus.qery" })).rejects.toMatchObject({
      code: "not_found",
      hint: "Did you mean prometheus.query?",
    });
  });

  it("is validated with what is wrong, action by action", async () => {
    const { client } = await withExamples();
    expect(await client.validateActions({})).toMatchObject({ ok: true, actions: { length: 5 } });
    const other = await service();
    const dir = join(other.home, "other");
    mkdirSync(dir);
    writeFileSync(
      join(dir, "init.lua"),
      `return { a = define_action({ source = "./gone", executor = "native" }) }`,
    );
    expect(await other.client.validateActions({ repository: dir })).toMatchObject({
      ok: false,
      actions: [
        { name: "a", file: "init.lua", line: 1, problem: expect.stringMatching(/there is no folder/) },
      ],
    });
    await expect(other.client.validateActions({})).rejects.toMatchObject({ code: "action_repository" });
    rmSync(dir, { recursive: true });
    expect(existsSync(dir)).toBe(false);
  });
});
