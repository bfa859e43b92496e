import Database from "better-sqlite3";
import type { ListedEvent, SearchQuery } from "../../contract/events.ts";
import { rankScore, searchExpression, searchText, searchWords } from "../search-text.ts";
import type { Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { conditionOf, filtersOf, integer, type Prepare, statementCache } from "./filter.ts";
import { keepBy, readBy } from "./find.ts";
import type { Indexer } from "./indexer.ts";
import { type Next, routesOf, seqsOf } from "./routes.ts";
import { collect, type Range, type Route, stretchOf } from "./walk.ts";

/** Candidates that a ranked search looks at: the newest matches. */
const RANKED = 500;
/** Reading the words of an event anew costs about as much as this many look-ups by an index. */
const TEXT_COST = 32;

/** What a match is judged by; the whole event is read for those that are shown. */
interface Found {
  seq: number;
  type: string;
  body: string | null;
  /** JSON. */
  payload: string;
}

export function searchMethods(context: SqliteContext, indexer: Indexer): Pick<Store, "searchEvents"> {
  const { db, memory } = context;
  const prepare = statementCache(db);
  const load = keepBy(prepare, { sql: "", values: [] });
  const scratch = openScratch();
  return {
    async searchEvents(query) {
      const expression = searchExpression(query.text);
      if (expression === null) return [];
      const lastSeq = memory.lastSeq;
      await indexer.reach(lastSeq);
      const high = Math.min(lastSeq, (query.before ?? lastSeq + 1) - 1);
      const range: Range = { low: 1, high, order: "DESC" };
      const filters = filtersOf(query);
      const keep = readBy<Found>(prepare, "e.seq, e.type, e.body, e.payload", conditionOf(filters));
      const routes: Route<Found>[] = [{ next: byText(prepare, expression), keep }];
      for (const next of routesOf(prepare, filters)) {
        routes.push({
          next: (part, take) => next(part, Math.ceil(take / TEXT_COST)),
          keep: (seqs) => scratch.filter(keep(seqs), expression),
        });
      }
      const ranked = query.order === "ranked";
      const found = await collect(routes, range, ranked ? RANKED : query.limit + 1);
      return load((ranked ? best(found, query) : found).map((one) => one.seq)) satisfies ListedEvent[];
    },
  };
}

function byText(prepare: Prepare, expression: string): Next {
  // FTS5 ignores a bound that is no integer, and numbers of JavaScript arrive as floating point.
  const statement = prepare(
    `SELECT rowid AS seq FROM events_text WHERE events_text MATCH ?
     AND rowid BETWEEN ${integer} AND ${integer} ORDER BY rowid DESC LIMIT ${integer}`,
  );
  return ({ low, high }, take) => stretchOf(seqsOf(statement.all(expression, low, high, take)), take);
}

/** Judged by the JSON of the payload as it is: its punctuation is in all of them alike. */
function best(found: Found[], query: SearchQuery): Found[] {
  const words = searchWords(query.text);
  return found
    .map((one) => ({ one, score: rankScore(`${one.type}\n${one.body ?? ""}\n${one.payload}`, words) }))
    .sort((a, b) => b.score - a.score || b.one.seq - a.one.seq)
    .slice(0, query.limit)
    .map(({ one }) => one);
}

/**
 * Says which of a few events match, exactly as the index would. The index itself starts from one end with several
 * words, so asking it about single events may cost a walk through all of them.
 */
function openScratch() {
  const db = new Database(":memory:");
  db.exec("CREATE VIRTUAL TABLE scratch USING fts5 (text, content = '', tokenize = 'unicode61')");
  const insert = db.prepare("INSERT INTO scratch (rowid, text) VALUES (?, ?)");
  const match = db.prepare<[string], number>("SELECT rowid FROM scratch WHERE scratch MATCH ?").pluck();
  const clear = db.prepare("INSERT INTO scratch (scratch) VALUES ('delete-all')");
  const matching = db.transaction((events: Found[], expression: string) => {
    for (const event of events) {
      const payload = JSON.parse(event.payload) as ListedEvent["payload"];
      insert.run(event.seq, searchText({ ...event, payload }));
    }
    const seqs = new Set(match.all(expression));
    clear.run();
    return seqs;
  });
  return {
    filter(events: Found[], expression: string): Found[] {
      if (events.length === 0) return [];
      const seqs = matching(events, expression);
      return events.filter((event) => seqs.has(event.seq));
    },
  };
}
