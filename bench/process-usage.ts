import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Resident memory in MB. Null where the system does not say (anything but Linux). */
export function memoryOf(pid: number): number | null {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) / 1_024;
}

/** Time on the processor since the start of the process, in milliseconds. */
export function cpuOf(pid: number): number | null {
  // The name in brackets may hold anything; the fields are counted after it.
  const fields = read(`/proc/${pid}/stat`).split(") ")[1]?.split(" ");
  const [user, system] = [fields?.[11], fields?.[12]];
  if (user === undefined || system === undefined) return null;
  return ((Number(user) + Number(system)) * 1_000) / ticksPerSecond();
}

function ticksPerSecond(): number {
  return Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // Not Linux, or the process has gone.
  }
}
