import type { Store } from "../store.ts";
import type { AppendOne } from "./append.ts";
import type { SqliteContext } from "./context.ts";
import { type AgentSql, toAgent } from "./rows.ts";

type AgentMethods = Pick<
  Store,
  | "saveAgent"
  | "beatAgent"
  | "setAgentOnline"
  | "getAgent"
  | "listAgents"
  | "removeAgent"
  | "countOpenEffects"
>;

export function agentMethods(context: SqliteContext, append: AppendOne): AgentMethods {
  const { db, committer } = context;
  const one = db.prepare<[string], AgentSql>("SELECT * FROM agents WHERE name = ?");
  const all = db.prepare<[], AgentSql>("SELECT * FROM agents ORDER BY name");
  const save = db.prepare(
    `INSERT INTO agents (name, kind, version, capabilities, commands, registered_ms, last_beat_ms)
     VALUES (@name, @kind, @version, @capabilities, @commands, @now_ms, @now_ms)
     ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, version = excluded.version, capabilities = excluded.capabilities,
       commands = excluded.commands, registered_ms = excluded.registered_ms, last_beat_ms = excluded.last_beat_ms`,
  );
  const beat = db.prepare(
    `INSERT INTO agents (name, kind, version, capabilities, commands, last_beat_ms, last_event_ms, events_processed, errors)
     VALUES (@name, 'agent', '', '[]', '[]', @now_ms, @last_event_ms, coalesce(@events_processed, 0), coalesce(@errors, 0))
     ON CONFLICT (name) DO UPDATE SET last_beat_ms = excluded.last_beat_ms,
       last_event_ms = coalesce(excluded.last_event_ms, last_event_ms),
       events_processed = coalesce(@events_processed, events_processed), errors = coalesce(@errors, errors)`,
  );
  const setOnline = db.prepare("UPDATE agents SET online = ? WHERE name = ? AND online <> ?");
  const remove = db.prepare("DELETE FROM agents WHERE name = ?");
  const open = db.prepare<[], { target: string; n: number }>(
    "SELECT target, count(*) AS n FROM effects WHERE state IN ('approved', 'running') AND kind = 'command' GROUP BY target",
  );
  const require = (name: string) => {
    const row = one.get(name);
    if (!row) throw new Error(`agent ${name} vanished inside its own transaction`);
    return toAgent(row);
  };
  return {
    saveAgent: (row) =>
      committer.write(() => {
        save.run({
          ...row,
          capabilities: JSON.stringify(row.capabilities),
          commands: JSON.stringify(row.commands),
        });
        return require(row.name);
      }),
    beatAgent: (name, given) =>
      committer.write(() => {
        const { now_ms, last_event_ms = null, events_processed = null, errors = null } = given;
        beat.run({ name, now_ms, last_event_ms, events_processed, errors });
        return require(name);
      }),
    setAgentOnline: (name, online, events) =>
      committer.write((changes) => {
        const changed = setOnline.run(Number(online), name, Number(online)).changes > 0;
        if (changed) for (const draft of events) append(draft, changes);
        return changed;
      }),
    async getAgent(name) {
      const row = one.get(name);
      return row ? toAgent(row) : null;
    },
    listAgents: async () => all.all().map(toAgent),
    removeAgent: (name) => committer.write(() => remove.run(name).changes > 0),
    countOpenEffects: async () => new Map(open.all().map(({ target, n }) => [target, n])),
  };
}
