import * as z from "zod";
import { errorBody } from "../contract/errors.ts";
import { type Route, routes } from "../contract/routes.ts";

/** The contract as OpenAPI 3.1, made from the same table that answers. */
export function openApi(version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name, route) };
  }
  const shared: Record<string, object> = { Error: schemaOf(errorBody, "output") };
  const hoisted = hoist(paths, shared);
  return {
    openapi: "3.1.0",
    info: {
      title: "Signalbox control API",
      version,
      description:
        "Served on a local socket; every route but the health checks wants the token as `Authorization: Bearer …`.",
    },
    paths: hoisted,
    components: {
      schemas: shared,
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
    security: [{ token: [] }],
  };
}

function operation(name: string, route: Route): object {
  const type =
    route.stream === "sse"
      ? "text/event-stream"
      : route.stream === "ndjson"
        ? "application/x-ndjson"
        : "application/json";
  const body = route.body && {
    requestBody: {
      required: true,
      content: { "application/json": { schema: schemaOf(route.body, "input") } },
    },
  };
  return {
    operationId: name,
    summary: route.summary,
    parameters: [...parametersOf(route.params, "path"), ...parametersOf(route.query, "query")],
    ...body,
    ...(route.open ? { security: [] } : {}),
    responses: {
      [route.status ?? 200]: {
        description: "Done",
        content: { [type]: { schema: schemaOf(route.reply, "output") } },
      },
      default: {
        description: "An error",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}

function parametersOf(schema: z.ZodType | undefined, where: "path" | "query"): object[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, "input") as {
    properties?: Record<string, object>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, one]) => ({
    name,
    in: where,
    required: where === "path" || required.includes(name),
    schema: one,
  }));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}

/** Schemas that contain themselves come with definitions of their own, which the document has in one place. */
function hoist(value: unknown, shared: Record<string, object>): unknown {
  if (Array.isArray(value)) return value.map((item) => hoist(item, shared));
  if (typeof value !== "object" || value === null) return value;
  const { $defs, ...rest } = value as { $defs?: Record<string, object> };
  for (const [name, schema] of Object.entries($defs ?? {})) shared[name] ??= hoist(schema, shared) as object;
  return Object.fromEntries(
    Object.entries(rest).map(([key, one]) => [
      key,
      key === "$ref" && typeof one === "string"
        ? one.replace("#/$defs/", "#/components/schemas/")
        : hoist(one, shared),
    ]),
  );
}
