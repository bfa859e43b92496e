import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { type Route, routes } from "../contract/routes.ts";
import { openApi } from "./openapi.ts";

interface Operation {
  operationId: string;
  summary: string;
  parameters: { name: string; in: string; required: boolean }[];
  requestBody?: object;
  responses: Record<string, { content: Record<string, { schema: object }> }>;
}
interface Document {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

const document = openApi("1.2.3") as Document;
const table = Object.entries(routes as Record<string, Route>);

describe("the OpenAPI description", () => {
  it("U12 is valid OpenAPI 3.1", async () => {
    const result = await new Validator().validate(JSON.parse(JSON.stringify(document)));
    expect(result).toMatchObject({ valid: true });
    expect(document).toMatchObject({ openapi: "3.1.0", info: { version: "1.2.3" } });
  });

  it("is JSON through and through, and points at nothing outside of itself", () => {
    const text = JSON.stringify(document);
    expect(JSON.parse(text)).toEqual(document);
    const targets = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target);
    const names = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...new Set(targets)].sort()).toEqual(names.sort());
    expect(names).toContain("#/components/schemas/Error");
  });

  it.each(table)("has %s with its parameters, body and replies", (name, route) => {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    const operation = document.paths[path]?.[route.method.toLowerCase()];
    expect(operation).toMatchObject({ operationId: name, summary: route.summary });
    const inPath = operation?.parameters.filter((one) => one.in === "path").map((one) => one.name);
    expect(inPath).toEqual([...route.path.matchAll(/:(\w+)/g)].map(([, parameter]) => parameter));
    expect(operation?.requestBody === undefined).toBe(route.body === undefined);
    const [success] = Object.values(operation?.responses[String(route.status ?? 200)]?.content ?? {});
    expect(success?.schema).toEqual(expect.any(Object));
    expect(operation?.responses.default?.content).toHaveProperty(["application/json", "schema", "$ref"]);
  });

  it("has no more paths than there are routes", () => {
    const count = Object.values(document.paths).flatMap((path) => Object.keys(path)).length;
    expect(count).toBe(table.length);
    expect(table.length).toBeGreaterThan(50);
  });
});
