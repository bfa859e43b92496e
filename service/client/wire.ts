import { limits, PROTOCOL } from "../contract/common.ts";
import { type RouteName, routes } from "../contract/routes.ts";

export interface WireRoute {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly stream?: "sse" | "ndjson";
}

/**
 * What a caller needs to know of the contract to speak it without parsing. The build puts the finished value in
 * this module's place for the command line, which has no time to load the schemas.
 */
export const wire: {
  readonly protocol: number;
  readonly limits: typeof limits;
  readonly routes: Readonly<Record<RouteName, WireRoute>>;
} = {
  protocol: PROTOCOL,
  limits,
  routes: Object.fromEntries(
    Object.entries(routes).map(([name, route]) => {
      const { method, path } = route;
      return [name, "stream" in route ? { method, path, stream: route.stream } : { method, path }] as const;
    }),
  ) as Record<RouteName, WireRoute>,
};
