import { clockJumps } from "./clock.ts";
import { backPressure, flood, foreignWriter, idleConnections, largeBodies, slowSenders } from "./crowd.ts";
import { flippedPage, fullDisk, readOnlyDisk, truncatedLog } from "./disk.ts";
import { killedMigration } from "./migration.ts";
import type { Fault } from "./trial.ts";
import { hangingWorkers } from "./workers.ts";

/** Everything that may go wrong around the service. */
export const faults: readonly Fault[] = [
  fullDisk,
  readOnlyDisk,
  truncatedLog,
  flippedPage,
  killedMigration,
  foreignWriter,
  backPressure,
  flood,
  largeBodies,
  idleConnections,
  slowSenders,
  clockJumps,
  hangingWorkers,
];
