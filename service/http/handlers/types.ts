import { shapesOf } from "../../events/shapes.ts";
import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

/** Editors can wait a little; nobody else asks. */
const WITHIN_MS = 50;

export function typeHandlers({ store }: Parts): Pick<Handlers, "listTypes"> {
  return {
    async listTypes({ subject, type, limit }) {
      const query = {
        limit,
        ...(subject === undefined ? {} : { subject }),
        ...(type === undefined ? {} : { type }),
      };
      const { events } = await store.findWithin(query, WITHIN_MS);
      return { types: shapesOf(events.slice(0, limit)) };
    },
  };
}
