import { getHeapStatistics } from "node:v8";
import { expect, it } from "vitest";
import { tidyWhenQuiet } from "./heap.ts";

it("memory that a burst of work took goes back to the system when it is over", async () => {
  let waste: unknown[] | null = Array.from({ length: 400_000 }, (_, index) => ({ index, text: `${index}` }));
  expect(waste).toHaveLength(400_000);
  const taken = getHeapStatistics().total_heap_size;
  const quiet = Promise.withResolvers<void>();
  const stop = tidyWhenQuiet(20, quiet.resolve);
  waste = null;
  await quiet.promise;
  stop();
  expect(getHeapStatistics().total_heap_size).toBeLessThan(taken);
});
