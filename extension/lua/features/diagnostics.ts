import { nearest } from "../../../service/lib/nearest.ts";
import { callType, chosen, expectedAt, namedCall, selfOffset, signaturesOf } from "../calls.ts";
import type { Infer } from "../infer.ts";
import { removedGlobals } from "../library.ts";
import { isCommand, type Project } from "../project.ts";
import type { SourceFile } from "../source.ts";
import {
  type Call,
  type Expression,
  eachChild,
  type Member,
  type Name,
  type Node,
  type Span,
  type StringLiteral,
  type TableLiteral,
} from "../syntax/ast.ts";
import { type Field, fits, kindName, membersOf, type Shape, show, type Type, withoutNil } from "../types.ts";

import { isAction, nearMiss } from "./live-names.ts";

export interface Fix {
  title: string;
  edits: { from: number; to: number; text: string }[];
}

export interface Diagnostic extends Span {
  severity: "error" | "warning" | "information" | "hint";
  code: string;
  message: string;
  fixes: Fix[];
  /** Shown faded or struck through. */
  tag: "unnecessary" | "deprecated" | null;
  /** Only the running service, or the engine, knows it: another language server does not say it. */
  live: boolean;
}

const liveCodes = new Set([
  ...["unknown-agent", "unknown-command", "unknown-topic", "removed-global"],
  ...["unseen-field", "unseen-subject", "unseen-type"],
]);

/** What is wrong or doubtful in a file, in the order of the text. */
export function diagnose(project: Project, file: SourceFile): Diagnostic[] {
  const checker = new Checker(project, file);
  checker.run();
  const silenced = silencedLines(file);
  return checker.found
    .filter(({ code, from }) => code === "syntax" || !isSilenced(silenced, code, file.text, from))
    .sort((one, other) => one.from - other.from || one.to - other.to);
}

class Checker {
  readonly found: Diagnostic[] = [];
  /** The table that is looked at is one that only the service knows. */
  private isLive = false;
  private readonly project: Project;
  private readonly file: SourceFile;
  private readonly infer: Infer;

  constructor(project: Project, file: SourceFile) {
    this.project = project;
    this.file = file;
    this.infer = project.inferOf(file);
  }

  run(): void {
    for (const chunk of this.file.settled()) {
      for (const problem of chunk.problems) this.add("error", "syntax", problem, problem.message);
      for (const doc of chunk.docs) {
        const starts = lineOffsets(doc.text);
        for (const { message, line, from, to } of doc.comment.problems) {
          const start = doc.from + (starts[line] ?? 0);
          // What is missing at the end of a line is told of its last character.
          const end = Math.max(to, from + 1) + start;
          const isBeyond = end > doc.to || this.file.text[end - 1] === "\n";
          const span = isBeyond
            ? { from: start + from - 1, to: start + from }
            : { from: start + from, to: end };
          this.add("warning", "annotation", span, message);
        }
      }
      if (chunk.statement) this.visit(chunk.statement);
    }
    this.globals();
    this.unused();
  }

  private add(
    severity: Diagnostic["severity"],
    code: string,
    { from, to }: Span,
    message: string,
    more: Partial<Pick<Diagnostic, "fixes" | "tag">> = {},
  ): void {
    const live = this.isLive || liveCodes.has(code);
    this.found.push({ severity, code, from, to, message, fixes: [], tag: null, live, ...more });
  }

  private visit(node: Node): void {
    if (node.kind === "call") this.call(node);
    else if (node.kind === "member") this.member(node);
    else if (node.kind === "table") {
      const { up } = node;
      this.isLive =
        up?.kind === "call" &&
        (isAction(up.callee) || this.project.liveArgument(up, up.args.indexOf(node)) !== null);
      this.table(node);
      this.isLive = false;
    } else if (node.kind === "string") this.text(node);
    eachChild(node, (child) => this.visit(child));
  }

  private text(node: StringLiteral): void {
    const found = nearMiss(this.infer, node);
    if (found)
      this.add("information", found.code, node, found.message, { fixes: replace(node.inner, found.meant) });
  }

  private globals(): void {
    const library = new Set(this.project.libraryNames(this.file));
    const { assigned, globals } = this.file.linked;
    for (const name of globals) {
      if (library.has(name.name) || assigned.has(name.name)) continue;
      const removed = Object.hasOwn(removedGlobals, name.name) ? removedGlobals[name.name] : undefined;
      if (removed !== undefined) {
        this.add("error", "removed-global", name, removed.replaceAll("`", ""));
        continue;
      }
      const meant = nearest(name.name, [...library, ...assigned.keys(), ...this.localNames(name)]);
      const message = `unknown global '${name.name}'${meant === null ? "" : `; did you mean '${meant}'?`}`;
      this.add("warning", "unknown-global", name, message, { fixes: renameTo(name, meant) });
    }
  }

  private localNames(name: Name): string[] {
    return this.file
      .locals()
      .filter(({ decl }) => decl.from < name.from)
      .map((local) => local.name);
  }

  private unused(): void {
    for (const local of this.file.locals()) {
      const isKept = local.inner.length > 0 || local.outer.length > 0 || local.name.startsWith("_");
      if (isKept || local.origin.kind === "parameter" || local.origin.kind === "self") continue;
      this.add("hint", "unused-local", local.decl, `'${local.name}' is not used`, {
        tag: "unnecessary",
        fixes: [
          {
            title: `Rename to '_${local.name}'`,
            edits: [{ from: local.decl.from, to: local.decl.from, text: "_" }],
          },
        ],
      });
    }
  }

  private member(node: Member): void {
    const { name } = node;
    if (name.name === "" || isTarget(node)) return;
    const type = this.infer.typeOf(node.object);
    const field = this.infer.fieldOfType(type, name.name);
    if (field) {
      if (field.deprecated && node.up?.kind !== "call") this.deprecated(name, field);
      return;
    }
    const shape = membersOf(type).find((one) => one.kind === "object");
    if (shape?.kind !== "object" || shape.shape.index()) return;
    const isOfLibrary = node.object.kind === "name" && !node.object.local && this.isLibrary(node.object.name);
    if (shape.shape.recorded) this.unseen(name, shape.shape);
    else if (this.infer.memberType(type, name.name) === null || isOfLibrary)
      this.undefinedField(node, shape.shape);
  }

  private isLibrary(name: string): boolean {
    if (this.file.linked.assigned.has(name) || this.project.liveGlobal(name) !== null) return false;
    return this.project.libraryNames(this.file).includes(name);
  }

  private undefinedField(node: Member, shape: Shape): void {
    const { name } = node;
    const meant = nearest(
      name.name,
      shape.fields().map((field) => field.name),
    );
    const where = shape.name ?? (node.object.kind === "name" ? node.object.name : "this table");
    const hint = meant === null ? "" : `; did you mean '${meant}'?`;
    // Another server knows nothing of what is in the actions folder and the service.
    this.isLive = isAction(node.object);
    this.add("warning", "undefined-field", name, `'${where}' has no field '${name.name}'${hint}`, {
      fixes: renameTo(name, meant),
    });
    this.isLive = false;
  }

  /** A guess by recorded events: told only when a field that was seen is spelled nearly the same. */
  private unseen(name: Name, shape: Shape): void {
    const meant = nearest(
      name.name,
      shape.fields().map((field) => field.name),
    );
    if (meant === null) return;
    const message = `no recorded event has '${name.name}' here; did you mean '${meant}'?`;
    this.add("information", "unseen-field", name, message, { fixes: renameTo(name, meant) });
  }

  private deprecated(name: Span & { name: string }, { doc }: { doc: string }): void {
    const why = /Deprecated: ([^\n]*)/.exec(doc)?.[1];
    this.add("hint", "deprecated", name, `'${name.name}' is deprecated${why ? `: ${why}` : ""}`, {
      tag: "deprecated",
    });
  }

  private call(node: Call): void {
    const named = namedCall(node);
    if (named && isCommand(named.name)) this.command(named.args);
    if (named?.skipped) return;
    const signatures = signaturesOf(callType(this.infer, node));
    const signature = chosen(this.infer, node, signatures);
    if (!signature) return;
    if (signature.deprecated) {
      const name = node.method ?? (node.callee.kind === "member" ? node.callee.name : node.callee);
      if (name.kind === "name") this.deprecated(name, signature);
    }
    const offset = selfOffset(node, signature);
    const params = signature.params.slice(offset);
    for (const [index, arg] of node.args.entries()) {
      const param = params[index];
      if (!param || arg.kind === "table" || arg.kind === "function" || arg.kind === "missing") continue;
      this.fit(arg, param.optional ? param.type : withoutNilIfKnown(param.type), `'${param.name}'`);
    }
    this.missingArguments(node, params);
  }

  private missingArguments(node: Call, params: { name: string; optional: boolean; type: Type }[]): void {
    const last = node.args.at(-1);
    if (!node.closed || last?.kind === "call" || last?.kind === "vararg" || last?.kind === "missing") return;
    const absent = params
      .slice(node.args.length)
      .filter((param) => !param.optional && !acceptsNil(param.type));
    if (absent.length === 0 || node.style === "none") return;
    const names = absent.map(({ name }) => `'${name}'`).join(", ");
    this.add(
      "warning",
      "missing-argument",
      { from: node.argsSpan.to - 1, to: node.argsSpan.to },
      `${names} missing`,
    );
  }

  private fit(arg: Expression, asked: Type, where: string): boolean {
    const given = this.infer.typeOf(arg);
    if (fits(withoutNil(given), asked)) return true;
    const named = withoutNilIfKnown(asked);
    const isWord = membersOf(named).every((one) => one.kind === "literal" || one.kind === "object");
    const meant = isWord && arg.kind === "string" ? nearest(arg.value, wordsOf(named)) : null;
    const wanted = show(named, 1);
    const got = arg.kind === "string" && isWord ? JSON.stringify(arg.value) : kindName(given);
    const hint = meant === null ? "" : `; did you mean "${meant}"?`;
    const fixes = meant !== null && arg.kind === "string" ? replace(arg.inner, meant) : [];
    this.add("warning", "wrong-type", arg, `${where} has to be ${wanted}, not ${got}${hint}`, { fixes });
    return false;
  }

  private command([agent, command]: Expression[]): void {
    const agents = this.project.host.agents();
    if (!agents || agents.length === 0 || agent?.kind !== "string" || agent.value === "") return;
    const known = agents.find(({ name }) => name === agent.value);
    if (!known) {
      const meant = nearest(
        agent.value,
        agents.map(({ name }) => name),
      );
      const hint = meant === null ? "" : `; did you mean '${meant}'?`;
      const fixes = meant === null ? [] : replace(agent.inner, meant);
      this.add("warning", "unknown-agent", agent, `no agent '${agent.value}' has registered${hint}`, {
        fixes,
      });
      return;
    }
    if (command?.kind !== "string" || known.commands.length === 0) return;
    if (known.commands.some(({ name }) => name === command.value)) return;
    const meant = nearest(
      command.value,
      known.commands.map(({ name }) => name),
    );
    const names = known.commands
      .slice(0, 8)
      .map(({ name }) => name)
      .join(", ");
    const hint = meant === null ? `; it has ${names}` : `; did you mean '${meant}'?`;
    const fixes = meant === null ? [] : replace(command.inner, meant);
    this.add(
      "warning",
      "unknown-command",
      command,
      `'${agent.value}' has no command '${command.value}'${hint}`,
      { fixes },
    );
  }

  private table(node: TableLiteral): void {
    const asked = expectedAt(this.infer, node);
    const shapes = asked ? membersOf(asked).filter((one) => one.kind === "object") : [];
    const [only] = shapes;
    if (shapes.length !== 1 || only?.kind !== "object" || only.shape.recorded) {
      if (asked) this.openTable(node, asked);
      return;
    }
    const { shape } = only;
    for (const field of node.fields) {
      if (!field.key || field.key.name === "") continue;
      const known = shape.field(field.key.name);
      if (!known) this.unknownKey(field.key, shape);
      else if (field.value.kind !== "table" && field.value.kind !== "missing") {
        this.fit(
          field.value,
          known.optional ? known.type() : withoutNilIfKnown(known.type()),
          `'${known.name}'`,
        );
      }
    }
    if (node.closed) this.missingFields(node, shape);
  }

  /** One whose names are free, or that has no place here. */
  private openTable(node: TableLiteral, asked: Type): void {
    if (node.fields.length > 0 && !fits({ kind: "basic", name: "table" }, asked))
      this.fit(node, asked, "this");
    const known = withoutNil(asked);
    if (known.kind !== "map") return;
    for (const { key, value } of node.fields)
      if (key && value.kind !== "table" && value.kind !== "missing")
        this.fit(value, known.value, `'${key.name}'`);
  }

  private unknownKey(key: Name, shape: Shape): void {
    if (!shape.closed) return;
    const names = shape.fields().map((field) => field.name);
    const meant = nearest(key.name, names);
    const hint =
      meant === null ? `; there are ${names.slice(0, 10).join(", ")}` : `; did you mean '${meant}'?`;
    this.add("warning", "unknown-field", key, `there is no field '${key.name}' here${hint}`, {
      fixes: renameTo(key, meant),
    });
  }

  private missingFields(node: TableLiteral, shape: Shape): void {
    if (node.fields.some((field) => field.computed || !field.key)) return;
    const given = new Set(node.fields.map((field) => field.key?.name));
    const absent = shape
      .fields()
      .filter((field) => !field.optional && !given.has(field.name) && !acceptsNil(field.type()));
    if (absent.length === 0) return;
    const names = absent.map(({ name }) => `'${name}'`).join(", ");
    const at = { from: node.from, to: node.fields.length === 0 ? node.to : node.from + 1 };
    const title = absent.length === 1 ? `Add the field ${names}` : `Add the fields ${names}`;
    this.add("warning", "missing-field", at, `${names} missing`, {
      fixes: [{ title, edits: [this.insertion(node, absent)] }],
    });
  }

  private insertion(node: TableLiteral, fields: Field[]): Fix["edits"][number] {
    const added = fields.map((field) => `${field.name} = ${emptyValue(field.type())}`);
    const last = node.fields.at(-1);
    if (!last) return { from: node.from, to: node.to, text: `{ ${added.join(", ")} }` };
    const { text } = this.file;
    const isLong = text.slice(node.from, node.to).includes("\n");
    const start = text.lastIndexOf("\n", last.from - 1) + 1;
    const indent = /^[ \t]*/.exec(text.slice(start))?.[0] ?? "";
    const separator = isLong ? `,\n${indent}` : ", ";
    return { from: last.to, to: last.to, text: `${separator}${added.join(separator)}` };
  }
}

function wordsOf(type: Type): string[] {
  return membersOf(type).flatMap((one) =>
    one.kind === "literal" && typeof one.value === "string" ? [one.value] : [],
  );
}

function acceptsNil(type: Type): boolean {
  return membersOf(type).some((one) => one.kind === "any" || (one.kind === "basic" && one.name === "nil"));
}

function withoutNilIfKnown(type: Type): Type {
  return type.kind === "union" ? withoutNil(type) : type;
}

function emptyValue(type: Type): string {
  const [first] = membersOf(withoutNil(type));
  if (first?.kind === "literal")
    return typeof first.value === "string" ? JSON.stringify(first.value) : String(first.value);
  const name = first?.kind === "basic" ? first.name : "";
  if (name === "string") return '""';
  if (name === "integer" || name === "number") return "0";
  if (name === "boolean") return "false";
  return first && first.kind !== "any" && first.kind !== "basic" && first.kind !== "function" ? "{}" : "nil";
}

function renameTo(name: Span, meant: string | null): Fix[] {
  return meant === null ? [] : replace(name, meant);
}

function replace({ from, to }: Span, text: string): Fix[] {
  return [{ title: `Change to '${text}'`, edits: [{ from, to, text }] }];
}

/** Set, or made a function: it is there from now on. */
function isTarget(node: Member): boolean {
  const { up } = node;
  if (up?.kind === "assign") return up.targets.includes(node);
  return up?.kind === "function-statement" && up.target === node;
}

function lineOffsets(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

interface Silenced {
  /** Of the whole file. */
  everywhere: Set<string>;
  lines: Map<number, Set<string>>;
}

/** `---@diagnostic disable-next-line: code`, `disable-line: code` and, for the file, `disable: code`. */
function silencedLines(file: SourceFile): Silenced {
  const silenced: Silenced = { everywhere: new Set(), lines: new Map() };
  if (!file.text.includes("@diagnostic")) return silenced;
  for (const [index, line] of file.text.split("\n").entries()) {
    const found =
      /---[ \t]*@diagnostic[ \t]+(disable(?:-next-line|-line)?)(?:[ \t]*:[ \t]*([\w-]+(?:[ \t]*,[ \t]*[\w-]+)*))?/.exec(
        line,
      );
    if (!found) continue;
    const codes = (found[2] ?? "*").split(",").map((code) => code.trim());
    if (found[1] === "disable") for (const code of codes) silenced.everywhere.add(code);
    else silenced.lines.set(found[1] === "disable-line" ? index : index + 1, new Set(codes));
  }
  return silenced;
}

function isSilenced({ everywhere, lines }: Silenced, code: string, text: string, offset: number): boolean {
  const has = (codes: Set<string> | undefined) => codes !== undefined && (codes.has(code) || codes.has("*"));
  if (everywhere.size === 0 && lines.size === 0) return false;
  return has(everywhere) || has(lines.get(text.slice(0, offset).split("\n").length - 1));
}
