import { afterEach, beforeEach, describe } from "vitest";
import type { OpenedStore, OpenStore } from "../harness/store.ts";
import { agentsConformance } from "./store-agents.ts";
import { cleanupConformance } from "./store-cleanup.ts";
import { effectsConformance } from "./store-effects.ts";
import { eventsConformance } from "./store-events.ts";
import { findConformance } from "./store-find.ts";
import { modelConformance } from "./store-model.ts";
import { queueConformance } from "./store-queue.ts";
import { runsConformance } from "./store-runs.ts";
import { schedulesConformance } from "./store-schedules.ts";

/** What every store must do, whatever it stands on. */
export function storeConformance(name: string, open: OpenStore): void {
  describe(`${name} store`, () => {
    let opened: OpenedStore;
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.close());
    const current = () => opened;
    describe("events", () => eventsConformance(current));
    describe("find", () => findConformance(current));
    describe("queue", () => queueConformance(current));
    describe("cleanup", () => cleanupConformance(current));
    describe("agents", () => agentsConformance(current));
    describe("effects", () => effectsConformance(current));
    describe("runs", () => runsConformance(current));
    describe("schedules", () => schedulesConformance(current));
    describe("model", () => modelConformance(open));
  });
}
