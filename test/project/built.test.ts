import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { serviceEntry } from "../harness/built.ts";

const text = readFileSync(serviceEntry(), "utf8");

it("the built service loads neither schema compilers nor, by an import of node:http, Node's HTTP client", () => {
  // What the build makes of `import … from "node:http"`, and an option of ajv's.
  expect(text).not.toMatch(/from\s*"(?:node:)?https?"/);
  expect(text).toContain('require("node:http")');
  expect(text).not.toContain("validateFormats");
  expect(text).toContain("@fastify/ajv-compiler is not part of the service");
});
