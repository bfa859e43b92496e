import Database from "better-sqlite3";
import type { ListedEvent, SearchQuery } from "../../contract/events.ts";
import { rankScore, searchExpression, searchText, searchWords } from "../search-text.ts";
import type { Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { conditionOf, filtersOf, type Prepare, statementCache } from "./filter.ts";
import { keepBy } from "./find.ts";
import type { Indexer } from "./indexer.ts";
import { type Next, routesOf, seqsOf } from "./routes.ts";
import { collect, type Range, type Route, stretchOf } from "./walk.ts";

/** Candidates that a ranked search looks at: the newest matches. */
const RANKED = 500;
/** Reading the words of an event anew costs about this many look-ups by an index. */
const TEXT_COST = 8;

export function searchMethods(context: SqliteContext, indexer: Indexer): Pick<Store, "searchEvents"> {
  const { db, memory } = context;
  const prepare = statementCache(db);
  const scratch = openScratch();
  return {
    async searchEvents(query) {
      const expression = searchExpression(query.text);
      if (expression === null) return [];
      const lastSeq = memory.lastSeq;
      await indexer.reach(lastSeq);
      const range: Range = {
        low: 1,
        high: Math.min(lastSeq, (query.before ?? lastSeq + 1) - 1),
        order: "DESC",
      };
      const filters = filtersOf(query);
      const keep = keepBy(prepare, conditionOf(filters));
      const routes: Route<ListedEvent>[] = [{ next: byText(prepare, expression), keep }];
      for (const next of routesOf(prepare, filters)) {
        routes.push({
          next: (part, take) => next(part, Math.ceil(take / TEXT_COST)),
          keep: (seqs) => scratch.filter(keep(seqs), expression),
        });
      }
      if (query.order !== "ranked") return collect(routes, range, query.limit + 1);
      return rank(await collect(routes, range, RANKED), query);
    },
  };
}

function byText(prepare: Prepare, expression: string): Next {
  // FTS5 ignores a bound that is no integer, and numbers of JavaScript arrive as floating point.
  const statement = prepare(
    `SELECT rowid AS seq FROM events_text WHERE events_text MATCH ?
     AND rowid BETWEEN CAST(? AS INTEGER) AND CAST(? AS INTEGER) ORDER BY rowid DESC LIMIT ?`,
  );
  return ({ low, high }, take) => stretchOf(seqsOf(statement.all(expression, low, high, take)), take);
}

function rank(found: ListedEvent[], query: SearchQuery): ListedEvent[] {
  const words = searchWords(query.text);
  return found
    .map((event) => ({ event, score: rankScore(searchText(event), words) }))
    .sort((a, b) => b.score - a.score || b.event.seq - a.event.seq)
    .slice(0, query.limit)
    .map(({ event }) => event);
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
  const matching = db.transaction((events: ListedEvent[], expression: string) => {
    for (const event of events) insert.run(event.seq, searchText(event));
    const seqs = new Set(match.all(expression));
    clear.run();
    return seqs;
  });
  return {
    filter(events: ListedEvent[], expression: string): ListedEvent[] {
      if (events.length === 0) return [];
      const seqs = matching(events, expression);
      return events.filter((event) => seqs.has(event.seq));
    },
  };
}
