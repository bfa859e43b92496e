import { schemaType } from "./annotations.ts";
import { callOptions, namedCall } from "./calls.ts";
import { payloadType } from "./events.ts";
import type { LiveAction, LiveAgent, LuaHost } from "./host.ts";
import { Infer } from "./infer.ts";
import type { Declarations } from "./inference.ts";
import { type Declared, type DeclaredClass, type DeclaredEnum, type Role, SourceFile } from "./source.ts";
import type { Call, Expression } from "./syntax/ast.ts";
import type { Edit } from "./syntax/document.ts";
import { any, type Field, fieldOf, membersOf, object, type Type } from "./types.ts";

interface Names {
  classes: Map<string, DeclaredClass[]>;
  aliases: Map<string, Declared<"alias">>;
  enums: Map<string, DeclaredEnum>;
}

/** All files that know of each other, and what the service says. */
export class Project implements Declarations {
  readonly host: LuaHost;
  private readonly files = new Map<string, SourceFile>();
  private readonly infers = new Map<SourceFile, Infer>();
  private names: Names | null = null;
  private actions: Type | null = null;
  /** Shapes of live data, kept as long as the host gives the same. */
  private readonly kept = new WeakMap<object, Type>();

  constructor(host: LuaHost) {
    this.host = host;
  }

  set(uri: string, text: string, role: Role): void {
    const known = this.files.get(uri);
    if (known) this.infers.delete(known);
    this.files.set(uri, new SourceFile(uri, text, role));
    this.forget(null);
  }

  remove(uri: string): void {
    const known = this.files.get(uri);
    if (known) this.infers.delete(known);
    this.files.delete(uri);
    this.forget(null);
  }

  edit(uri: string, edit: Edit): void {
    const file = this.files.get(uri);
    if (!file) return;
    file.edit(edit);
    this.forget(file);
  }

  /** Answers that may rest on what changed: in a workflow, only its own. Null: what the service says changed. */
  forget(changed: SourceFile | null): void {
    this.names = null;
    const isAlone = changed?.role === "workflow" || changed?.role === "script";
    if (!isAlone) this.actions = null;
    for (const [file, infer] of this.infers) {
      if (isLibrary(file) && changed !== null && !isLibrary(changed)) continue;
      if (!isAlone || file === changed) infer.forget();
    }
  }

  file(uri: string): SourceFile | null {
    return this.files.get(uri) ?? null;
  }

  all(): SourceFile[] {
    return [...this.files.values()];
  }

  inferOf(file: SourceFile): Infer {
    // What a name stands for is known once the file is linked.
    file.link();
    let infer = this.infers.get(file);
    if (!infer) {
      infer = new Infer(this, file);
      this.infers.set(file, infer);
    }
    return infer;
  }

  /** Expressions looked at so far. */
  expressions(): number {
    return [...this.infers.values()].reduce((sum, infer) => sum + infer.count, 0);
  }

  classes(name: string): DeclaredClass[] {
    return this.declared().classes.get(name) ?? [];
  }

  alias(name: string): Declared<"alias"> | null {
    return this.declared().aliases.get(name) ?? null;
  }

  enumeration(name: string): DeclaredEnum | null {
    return this.declared().enums.get(name) ?? null;
  }

  /** Names of every class, alias and enum. */
  typeNames(): string[] {
    const { classes, aliases, enums } = this.declared();
    return [...classes.keys(), ...aliases.keys(), ...enums.keys()];
  }

  private declared(): Names {
    if (this.names) return this.names;
    const names: Names = { classes: new Map(), aliases: new Map(), enums: new Map() };
    for (const file of this.files.values()) {
      for (const one of file.classes) {
        names.classes.set(one.tag.name, [...(names.classes.get(one.tag.name) ?? []), one]);
      }
      for (const one of file.aliases) names.aliases.set(one.tag.name, one);
      for (const one of file.enums) names.enums.set(one.tag.name, one);
    }
    this.names = names;
    return names;
  }

  /** Files that say what a file has without doing anything. */
  private libraries(from: SourceFile): SourceFile[] {
    const isWorkflow = from.role === "workflow";
    return this.all().filter(({ role }) => role === "library" || (role === "script-library" && !isWorkflow));
  }

  /** A global of the sandbox and the API as a file sees it; null when there is none. */
  libraryGlobal(name: string, from: SourceFile): Type | null {
    const found: Type[] = [];
    for (const library of this.libraries(from)) {
      const assigned = library.linked.assigned.get(name);
      if (assigned) found.push(this.inferOf(library).assignedTypeOf(name, assigned));
    }
    const [first, more] = found;
    if (first?.kind !== "object" || more?.kind !== "object") return first ?? null;
    return object({ list: [...first.shape.fields(), ...more.shape.fields()], doc: first.shape.doc });
  }

  libraryNames(from: SourceFile): string[] {
    const names = this.libraries(from).flatMap((library) => [...library.linked.assigned.keys()]);
    return [...new Set(names)];
  }

  /** Where a global of the library is written. */
  libraryAssignments(name: string, from: SourceFile) {
    for (const library of this.libraries(from)) {
      const assigned = library.linked.assigned.get(name);
      if (assigned) return { library, assigned };
    }
    return null;
  }

  /** What `require("a.b")` loads: of the nearest folder above that has such a file, or of an actions folder. */
  requiredFile(from: SourceFile, name: string): SourceFile | null {
    const path = name.replaceAll(".", "/");
    const above: string[] = [];
    for (let cut = from.uri.lastIndexOf("/"); cut > 0; cut = from.uri.lastIndexOf("/", cut - 1)) {
      above.push(from.uri.slice(0, cut));
    }
    const roots = this.actionRoots().map((root) => root.uri.slice(0, root.uri.lastIndexOf("/")));
    for (const folder of [...above, ...roots]) {
      const file = this.files.get(`${folder}/${path}.lua`) ?? this.files.get(`${folder}/${path}/init.lua`);
      if (file) return file;
    }
    return null;
  }

  required(from: SourceFile, name: string): Type {
    const file = this.requiredFile(from, name);
    return file ? this.returned(file) : any;
  }

  /** Files of actions folders by the name that `require` takes. */
  modules(): { name: string; uri: string }[] {
    const roots = this.actionRoots().map((root) => root.uri.slice(0, -"init.lua".length));
    return this.all().flatMap(({ uri, role }) => {
      const root = role === "actions" ? roots.find((one) => uri.startsWith(one)) : undefined;
      if (root === undefined) return [];
      const name = uri
        .slice(root.length)
        .replace(/(\/init)?\.lua$/, "")
        .replaceAll("/", ".");
      return name === "init" ? [] : [{ name, uri }];
    });
  }

  /** What a file gives to whoever requires it. */
  returned(file: SourceFile): Type {
    const last = file.tree.chunks.findLast((chunk) => chunk.statement?.kind === "return")?.statement;
    if (last?.kind !== "return") return any;
    const infer = this.inferOf(file);
    return infer.guarded(`file:${file.uri}`, any, () => infer.valueAt(last.values, 0, last.doc));
  }

  /** `actions` and its older name `kit`: by the files of the actions folder, and by what the service has loaded. */
  liveGlobal(name: string): Type | null {
    if (name !== "actions" && name !== "kit") return null;
    this.actions ??= this.findActions();
    return this.actions;
  }

  private findActions(): Type {
    const spaces = new Map<string, Map<string, Field>>();
    for (const root of this.actionRoots()) this.addRoot(spaces, root);
    for (const action of this.host.actions()) {
      const [space = "", ...rest] = action.name.split(".");
      const fields = spaces.get(space) ?? new Map<string, Field>();
      spaces.set(space, fields);
      const own = rest.join(".");
      if (!fields.has(own))
        fields.set(
          own,
          fieldOf(own, () => this.liveAction(action), { doc: action.description }),
        );
    }
    const list = [...spaces].map(([space, fields]) =>
      fieldOf(space, object({ list: [...fields.values()], closed: true })),
    );
    // Of what nobody knows anything can be there.
    const closed = list.length > 0;
    const written = this.all().find(({ linked }) => linked.assigned.has("actions"));
    const type = written ? this.libraryGlobal("actions", written) : null;
    const all = type?.kind === "object" ? type.shape.field("all") : null;
    if (all) list.push(all);
    return object({ list, closed, doc: type?.kind === "object" ? type.shape.doc : "" });
  }

  /** Each `init.lua` of an actions folder that no other one above it requires. */
  private actionRoots(): SourceFile[] {
    const inits = this.all().filter((file) => file.role === "actions" && file.uri.endsWith("/init.lua"));
    const folders = inits.map((file) => file.uri.slice(0, -"init.lua".length));
    return inits.filter((_file, index) => {
      const own = folders[index] ?? "";
      return !folders.some((other) => other !== own && own.startsWith(other));
    });
  }

  private addRoot(spaces: Map<string, Map<string, Field>>, root: SourceFile): void {
    const type = this.returned(root);
    if (type.kind !== "object") return;
    for (const space of type.shape.fields()) {
      const fields = spaces.get(space.name) ?? new Map<string, Field>();
      spaces.set(space.name, fields);
      const inner = space.type();
      for (const one of membersOf(inner)) {
        if (one.kind === "object") for (const field of one.shape.fields()) fields.set(field.name, field);
      }
    }
  }

  private liveAction(action: LiveAction): Type {
    const input = schemaType(action.input);
    const output = schemaType(action.output);
    const [library] = this.all().filter(isLibrary);
    const options = library ? [callOptions(this.inferOf(library))] : [];
    return {
      kind: "function",
      signatures: [
        {
          params: [{ name: "params", type: input, optional: false, doc: "" }, ...options],
          vararg: null,
          returns: () => [{ name: null, type: output }],
          doc: action.description,
          deprecated: false,
          generics: [],
          isMethod: false,
          place: null,
        },
      ],
    };
  }

  agent(name: string): LiveAgent | null {
    return this.host.agents()?.find((agent) => agent.name === name) ?? null;
  }

  /** The payload that a command takes, by the schema its agent registered. */
  liveArgument(call: Call, index: number): Type | null {
    const named = namedCall(call);
    if (!named || index - named.skipped !== 2) return null;
    if (named.name === "sekia.publish" || named.name === "signalbox.publish")
      return this.published(named.args);
    if (!isCommand(named.name)) return null;
    const [agent, command] = named.args;
    if (agent?.kind !== "string" || command?.kind !== "string") return null;
    const spec = this.agent(agent.value)?.commands.find(({ name }) => name === command.value);
    if (!spec?.params) return null;
    const known = this.kept.get(spec.params);
    if (known) return known;
    const type = schemaType(spec.params);
    this.kept.set(spec.params, type);
    return type;
  }

  /** Payloads of the type that is published, as recorded ones are. */
  private published([subject, type]: Expression[]): Type | null {
    if (subject?.kind !== "string" || type?.kind !== "string") return null;
    const shape = this.host.types(subject.value)?.find((one) => one.type === type.value);
    return shape ? payloadType([shape]) : null;
  }
}

function isLibrary({ role }: SourceFile): boolean {
  return role === "library" || role === "script-library";
}

export function isCommand(name: string): boolean {
  return name === "sekia.command" || name === "signalbox.command" || name === "signalbox.call";
}
