import type { ActionAnnotations } from "../contract/actions.ts";
import { type Comment, type LuaType, parseComment, printType, type TagOf } from "../lib/emmylua.ts";

const MAX_TEXT = 4_000;

/**
 * What the comments of an action's file say (K25): the classes and aliases anywhere in it, and the parameters, result
 * and description right above line `line`, where the action is defined.
 */
export function readAnnotations(source: string, line: number): ActionAnnotations {
  const comments = commentsOf(source);
  const own = comments.find(({ next }) => next === line)?.comment;
  const params = own?.tags.filter((tag) => tag.tag === "param") ?? [];
  const returns = own?.tags.filter((tag) => tag.tag === "return") ?? [];
  return {
    description: own?.description.slice(0, MAX_TEXT) ?? "",
    classes: comments.flatMap(({ comment }) => classesOf(comment)),
    params: params.map(({ name, optional, type, description }) => ({
      ...{ name, optional, description },
      type: shown(type),
    })),
    returns: returns.flatMap((tag) =>
      tag.returns.map(({ type, name }) => ({ type: shown(type), name, description: tag.description })),
    ),
    problems: comments.flatMap(({ comment, first }) =>
      comment.problems.map((problem) => ({ line: first + problem.line, message: problem.message })),
    ),
  };
}

interface Block {
  comment: Comment;
  /** Line numbers, from 1: where it begins, and the line after it. */
  first: number;
  next: number;
}

function commentsOf(source: string): Block[] {
  const blocks: Block[] = [];
  let open: { lines: string[]; first: number } | null = null;
  for (const [index, line] of [...source.split("\n"), ""].entries()) {
    if (/^\s*---(?!-)/.test(line)) {
      open ??= { lines: [], first: index + 1 };
      open.lines.push(line);
    } else if (open !== null) {
      blocks.push({ comment: parseComment(open.lines.join("\n")), first: open.first, next: index + 1 });
      open = null;
    }
  }
  return blocks;
}

function classesOf(comment: Comment): ActionAnnotations["classes"] {
  const found: ActionAnnotations["classes"] = [];
  for (const tag of comment.tags) {
    if (tag.tag === "class") found.push(newClass(tag));
    if (tag.tag !== "field") continue;
    const { key, optional, type, description } = tag;
    const name = typeof key === "string" ? key : `[${printType(key)}]`;
    found.at(-1)?.fields.push({ name, optional, type: shown(type), description });
  }
  return found;
}

function newClass({ name, parents, description }: TagOf<"class">): ActionAnnotations["classes"][number] {
  return { name, parents: parents.map(shown), description, fields: [] };
}

function shown(type: LuaType): string {
  return printType(type).slice(0, MAX_TEXT);
}
