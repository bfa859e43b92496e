import { commandLines, configFiles, type Fuzz, imports, luaValues, searches, webhooks } from "./edges.ts";
import { HttpFuzz } from "./http.ts";

export const http: Fuzz = {
  name: "HTTP requests of every route",
  async run(cases, seed) {
    const fuzz = await HttpFuzz.start();
    try {
      await fuzz.run(cases, seed);
    } finally {
      await fuzz.close();
    }
  },
};

/** Every edge with its share of the cases, in thousandths. */
export const fuzzes: readonly { fuzz: Fuzz; share: number }[] = [
  { fuzz: http, share: 300 },
  { fuzz: webhooks, share: 250 },
  { fuzz: configFiles, share: 150 },
  { fuzz: searches, share: 150 },
  { fuzz: luaValues, share: 50 },
  { fuzz: imports, share: 50 },
  { fuzz: commandLines, share: 50 },
];
