import type { RowItem } from "../models/row.ts";
import type { Parts } from "../parts.ts";

/** What a command does. It is given what stands behind the row or document it was called on. */
export type Command = (parts: Parts, item: RowItem | undefined) => unknown;
export type Commands = Readonly<Record<string, Command>>;
