import { cpSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

export const repository = resolve(import.meta.dirname, "..");

type ClientModule = typeof import("../service/client/index.ts");
type AgentModule = typeof import("../service/agents/sdk.ts");

/** What users install: the built service, command line and libraries. */
export interface Product {
  readonly service: string;
  readonly cli: string;
  /** The same from its sources: a bundle has lost its files' names. */
  readonly sources: { readonly service: string; client(): Promise<ClientModule> };
  client(): Promise<ClientModule>;
  agent(): Promise<AgentModule>;
}

/** Copies the build and the sources, so that working on them does not change what runs. @throws Error when there is none */
export function copyProduct(folder: string): Product {
  if (!existsSync(join(repository, "dist", "service.js"))) throw new Error("build it first: npm run build");
  mkdirSync(folder, { recursive: true });
  for (const part of ["dist", "bin", "service", "package.json"]) {
    cpSync(join(repository, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  const load = (...file: string[]) => import(pathToFileURL(join(folder, ...file)).href);
  return {
    service: join(folder, "dist", "service.js"),
    cli: join(folder, "bin", "signalbox.cjs"),
    sources: {
      service: join(folder, "service", "main.ts"),
      client: () => load("service", "client", "index.ts"),
    },
    client: () => load("dist", "client.js"),
    agent: () => load("dist", "agent.js"),
  };
}
