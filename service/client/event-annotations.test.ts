import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JsonObject } from "../contract/common.ts";
import { shapesOf } from "../events/shapes.ts";
import { commentsIn } from "../lib/emmylua.ts";
import { eventAnnotations } from "./event-annotations.ts";

const events = (type: string, ...payloads: JsonObject[]) =>
  payloads.map((payload) => ({ type, subject: type, recorded_ms: 0, payload }));

it("K25 a type becomes a class of its event and one of its payload", () => {
  const shapes = shapesOf([
    ...events(
      "github.issue.opened",
      { number: 42, state: "open", labels: [{ name: "bug" }], user: { login: "ada", "e-mail": null } },
      { number: 7, state: "closed" },
      ...Array.from({ length: 4 }, () => ({ number: 1, state: "open" })),
    ),
    ...events("7-up/2", {}),
  ]);
  expect(eventAnnotations(shapes).split("\n").slice(4).join("\n")).toBe(
    [
      "--- Heard on `7-up/2`; 1 were looked at.",
      "---@class events._7_up_2: signalbox.Event",
      '---@field type "7-up/2"',
      "---@field payload events._7_up_2.payload",
      "",
      "---@class events._7_up_2.payload",
      "---@field [string] any",
      "",
      "--- Heard on `github.issue.opened`; 6 were looked at.",
      "---@class events.github.issue.opened: signalbox.Event",
      '---@field type "github.issue.opened"',
      "---@field payload events.github.issue.opened.payload",
      "",
      "---@class events.github.issue.opened.payload",
      "---@field number integer # such as 42",
      '---@field state "closed" | "open" # such as "open"',
      "---@field labels? { name: string }[] # In 17% of them",
      '---@field user? { login: string, ["e-mail"]?: any } # In 17% of them',
      "",
    ].join("\n"),
  );
});

it("K25 whatever events hold, the text is read back without a problem, a class for each type", () => {
  const payload = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })) as fc.Arbitrary<JsonObject>;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ minLength: 1 }), payload), { maxLength: 6 }), (given) => {
      const shapes = shapesOf(given.flatMap(([type, one]) => events(type, one)));
      const comments = commentsIn(eventAnnotations(shapes));
      expect(comments.flatMap(({ problems }) => problems)).toEqual([]);
      const classes = comments.flatMap(({ tags }) =>
        tags.flatMap((tag) => (tag.tag === "class" ? [tag.name] : [])),
      );
      expect(new Set(classes).size).toBe(shapes.length * 2);
    }),
  );
});
