import Database from "better-sqlite3";
import type { ListedEvent, SearchQuery } from "../../contract/events.ts";
import { rankScore, searchExpression, searchText, searchWords } from "../search-text.ts";
import type { Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import { conditionOf, filtersOf } from "./filter.ts";
import { keepBy, readBy } from "./find.ts";
import { type Index, routesOf } from "./routes.ts";
import { collect, type Range, type Route } from "./walk.ts";
import { plainWords } from "./words.ts";

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

export function searchMethods(
  { memory }: SqliteContext,
  index: Index,
): Pick<Store, "searchEvents" | "searchWithin"> {
  const { prepare, indexer } = index;
  const load = keepBy(prepare, { sql: "", values: [] });
  const scratch = openScratch();
  const search = async (query: SearchQuery, withinMs: number) => {
    const expression = searchExpression(plainWords(query.text));
    if (expression === null) return { events: [], cut: null };
    const high = Math.min(memory.lastSeq, (query.before ?? memory.lastSeq + 1) - 1);
    const range: Range = { low: 1, high, order: "DESC" };
    const indexed = await indexer.upTo(high);
    const filters = filtersOf(query);
    const read = readBy<Found>(prepare, "e.seq, e.type, e.body, e.payload", conditionOf(filters));
    const [byWords, ...others] = routesOf(index, filters, indexed, expression);
    const routes: Route<Found>[] = others.map((next) => ({
      next: (part, take) => next(part, Math.ceil(take / TEXT_COST)),
      keep: (seqs) => scratch.filter(read(seqs), expression),
    }));
    if (byWords) {
      // What the index does not have yet was found by its filters alone.
      const checked = (found: Found[]) => {
        const fresh = found.filter(({ seq }) => seq > indexed);
        if (fresh.length === 0) return found;
        const matching = new Set(scratch.filter(fresh, expression));
        return found.filter((one) => one.seq <= indexed || matching.has(one));
      };
      routes.unshift({ next: byWords, keep: (seqs) => checked(read(seqs)) });
    }
    const ranked = query.order === "ranked";
    const { rows, cut } = await collect(routes, range, ranked ? RANKED : query.limit + 1, withinMs);
    return { events: load((ranked ? best(rows, query) : rows).map((one) => one.seq)), cut };
  };
  return {
    searchWithin: search,
    searchEvents: async (query) => (await search(query, Number.POSITIVE_INFINITY)).events,
  };
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
      insert.run(event.seq, plainWords(searchText({ ...event, payload })));
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
