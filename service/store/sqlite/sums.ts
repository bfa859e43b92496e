import { crc32 } from "node:zlib";

/** Every column that never changes, in the order in which they are summed. */
const columns = [
  "seq",
  "id",
  "schema_version",
  "type",
  "source",
  "subject",
  "topic",
  "time_ms",
  "recorded_ms",
  "body",
  "payload",
  "meta",
  "conversation_key",
  "user_key",
  "correlation_id",
  "parent_id",
  "external_id",
  "scope",
  "origin_kind",
  "depth",
  "parked",
] as const;

/** An event's row. */
type Summed = Readonly<Record<(typeof columns)[number], string | number | null>>;

/** The same text as `eventSum` takes the checksum of, in SQL, for a check of the whole table. */
export const summedText = columns.map((column) => `coalesce(${column}, '')`).join(" || char(31) || ");

/** CRC-32 of what an event says. It finds what a disk or a stray write changed; it is no protection against intent. */
export function eventSum(row: Summed): number {
  // Written out: this runs for each event that is written or read. A null counts as an empty text.
  return crc32(
    [
      row.seq,
      row.id,
      row.schema_version,
      row.type,
      row.source,
      row.subject,
      row.topic,
      row.time_ms,
      row.recorded_ms,
      row.body,
      row.payload,
      row.meta,
      row.conversation_key,
      row.user_key,
      row.correlation_id,
      row.parent_id,
      row.external_id,
      row.scope,
      row.origin_kind,
      row.depth,
      row.parked,
    ].join("\x1f"),
  );
}

/** @throws an error that becomes `storage_corrupt` with the file's name, as SQLite's own do */
export function checkSum(row: Summed & { readonly sum: number | null }): void {
  if (row.sum === null || row.sum === eventSum(row)) return;
  throw Object.assign(new Error(`event ${row.seq} is not as it was written`), { code: "SQLITE_CORRUPT" });
}
