import type { FastifyServerOptions } from "fastify";

const refuse = () => {
  throw new Error("routes are checked by the contract, not by a schema of fastify's");
};

/**
 * For fastify: what comes in is checked by the contract's schemas and goes out as it is, so its own compilers (ajv and
 * fast-json-stringify) need not be loaded. The build leaves them out.
 */
export const schemaController = {
  compilersFactory: { buildValidator: refuse, buildSerializer: refuse },
} satisfies FastifyServerOptions["schemaController"];
