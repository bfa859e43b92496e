import { existsSync, renameSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { searchText } from "../service/store/search-text.ts";

/**
 * The same events as somebody would keep them first: an index for each column that is asked for, and one FTS5 table.
 * Made once from the file of a stopped service, and kept beside it.
 */
export function openPlain(file: string): Database.Database {
  const path = `${file}.plain`;
  if (!existsSync(path)) build(file, path);
  return new Database(path, { readonly: true });
}

function build(file: string, path: string): void {
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  const db = new Database(partial);
  db.pragma("journal_mode = OFF");
  db.pragma("synchronous = OFF");
  db.pragma("cache_size = -200000");
  db.function("search_text", { deterministic: true }, (type, body, payload) =>
    searchText({
      type: String(type),
      body: body === null ? null : String(body),
      payload: JSON.parse(String(payload)),
    }),
  );
  db.prepare("ATTACH ? AS log").run(file);
  db.exec(`
    CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT, schema_version INTEGER, type TEXT, source TEXT, subject TEXT,
      topic TEXT, time_ms INTEGER, recorded_ms INTEGER, body TEXT, payload TEXT, meta TEXT, conversation_key TEXT,
      user_key TEXT, correlation_id TEXT, parent_id TEXT, external_id TEXT, scope TEXT, origin_kind TEXT,
      depth INTEGER, parked INTEGER, sum INTEGER);
    INSERT INTO events SELECT * FROM log.events;
    CREATE UNIQUE INDEX events_id ON events (id);
    ${["type", "source", "topic", "subject", "correlation_id", "conversation_key", "parent_id", "scope"]
      .map((column) => `CREATE INDEX events_${column} ON events (${column}, seq);`)
      .join("\n")}
    CREATE TABLE refs (kind TEXT, value TEXT, seq INTEGER, PRIMARY KEY (kind, value, seq)) WITHOUT ROWID;
    INSERT INTO refs SELECT kind, value, seq FROM log.refs;
    CREATE TABLE deliveries (seq INTEGER, grp TEXT, topic TEXT, status TEXT, claimed_by TEXT, PRIMARY KEY (seq, grp))
      WITHOUT ROWID;
    INSERT INTO deliveries SELECT seq, grp, topic, status, claimed_by FROM log.deliveries;
    CREATE INDEX deliveries_status ON deliveries (status, topic, seq);
    CREATE INDEX deliveries_holder ON deliveries (claimed_by, seq) WHERE claimed_by IS NOT NULL;
    CREATE VIRTUAL TABLE events_text USING fts5 (text, content = '', tokenize = 'unicode61');
    INSERT INTO events_text (rowid, text) SELECT seq, search_text(type, body, payload) FROM events;
  `);
  db.exec("DETACH log");
  db.close();
  renameSync(partial, path);
}
