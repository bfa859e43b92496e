import { describe, expect, it } from "vitest";
import { sampleEvent } from "../../test/harness/samples.ts";
import { usualTemplate, workflowFromEvent, workflowTemplates } from "./workflow-templates.ts";

const templates = workflowTemplates((text) => text);

describe("a template", () => {
  it("has a name of its own, and the usual one is among them", () => {
    const names = templates.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain(usualTemplate);
  });

  it("is said in the reader's language", () => {
    const [first] = workflowTemplates((text) => text.toUpperCase());
    expect(first?.title).toBe("COMMENTED EXAMPLE");
  });

  it.each(templates)("$name names the workflow it was written for", ({ write }) => {
    expect(write("night-watch")).toContain("night-watch");
    expect(write("night-watch")).not.toMatch(/undefined|\$\{|[ \t]$/m);
  });
});

describe("a workflow that begins with an event", () => {
  const from = (payload: Record<string, never>) => workflowFromEvent(sampleEvent({ payload }), "w");

  it("hears its subject, checks its type and lists its payload's fields with their types", () => {
    const event = sampleEvent({
      type: "github.issue.opened",
      subject: "github.issue.opened",
      payload: {
        number: 7,
        open: true,
        user: { login: "ada", "two words": null },
        labels: ["bug", "triage"],
        nested: { a: { b: { c: 1 } } },
        empty: {},
        list: [],
        mixed: [1, "x"],
      },
    });
    const text = workflowFromEvent(event, "labels");
    expect(text).toContain('signalbox.on("github.issue.opened", function(event)');
    expect(text).toContain('if event.type ~= "github.issue.opened" then return end');
    const fields = [...text.matchAll(/^-- {3}event\.payload(\S+) +(\S+)$/gm)].map(([, path, type]) => [
      path,
      type,
    ]);
    expect(fields).toEqual([
      [".number", "number"],
      [".open", "boolean"],
      [".user.login", "string"],
      [".labels", "string[]"],
      [".nested.a.b", "table"],
      [".empty", "table"],
      [".list", "list"],
      [".mixed", "any[]"],
    ]);
    expect(text).toContain('event.payload.user["two words"]  nil');
  });

  it("takes no value of the payload over", () => {
    const text = from({ token: "planted" } as never);
    expect(text).toContain("event.payload.token  string");
    expect(text).not.toContain("planted");
  });

  it("stays within its comment whatever a field is called", () => {
    const text = from({ 'a"\nos.exit()\u0001': 1 } as never);
    expect(text).toContain('event.payload["a\\"\\nos.exit()\\u{0001}"]  number');
    expect(text).not.toMatch(/^os/m);
  });

  it("lists the first 40 fields of a large payload", () => {
    const text = from(
      Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, index])) as never,
    );
    expect(text.match(/^-- {3}event/gm)).toHaveLength(40);
    expect(text).toContain("--   and 10 more\n");
  });

  it("says so where the payload is empty", () => {
    expect(from({})).toContain("-- Its payload was empty.");
  });
});
