import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignalboxError } from "../../../service/contract/errors.ts";
import { isReady, type ServiceProcess, spawnService } from "../service-process.ts";
import { fault, isOneOf, type Trial } from "./trial.ts";

/** A mount namespace of its own: nothing stays mounted, however it ends. */
const namespace = process.getuid?.() === 0 ? ["unshare", "-m"] : ["unshare", "-Urm"];
const canMount = process.platform === "linux" && tryMount();

function tryMount(): boolean {
  const [command = "", ...args] = namespace;
  try {
    execFileSync(command, [...args, "mount", "-t", "tmpfs", "tmpfs", "/tmp"], { stdio: "ignore" });
    return true;
  } catch {
    return false; // Another system, or a container without that right.
  }
}

const FULL_MB = 4;

/** Runs the service with `folder` on a small disk of its own, that a ballast of 1 MB leaves when it is removed. */
function onSmallDisk(folder: string): string[] {
  if (!canMount) return ["sh", "-c", `trap '' XFSZ; ulimit -f ${FULL_MB * 2_048}; exec "$@"`, "sh"];
  const script = `mount -t tmpfs -o size=${FULL_MB}m,mode=700 tmpfs "$0" && head -c 1000000 /dev/zero > "$0/ballast" && exec "$@"`;
  return [...namespace, "sh", "-c", script, folder];
}

export const fullDisk = fault("a full disk", async (trial) => {
  const folder = trial.folder("data");
  const set = [`store.file=${join(folder, "signalbox.db")}`];
  const service = await trial.start({ set, wrap: onSmallDisk(folder) });
  await trial.pushMany(20);
  const refused = await fill(trial);
  trial.expect(
    isOneOf(refused, "storage_full", "storage_failed"),
    `a full disk was answered ${refused?.code ?? "with success"}`,
  );
  trial.expect(refused?.message.includes(folder) ?? false, "the message does not name the file");
  await readsGoOn(trial);
  if (canMount) {
    rmSync(join(`/proc/${service.pid}/root`, folder, "ballast"));
    const error = await trial.push();
    trial.expect(error === null, `with room again a push is still refused: ${error?.code} ${error?.message}`);
    await trial.checkDoctor();
  } else {
    await service.kill();
    await trial.start({ set });
    await trial.pushMany(3);
  }
  await trial.checkAcknowledged();
});

async function fill(trial: Trial) {
  for (let n = 0; n < 4_000; n++) {
    const refused = await trial.push(4_000);
    if (refused) return refused;
  }
  return null;
}

async function readsGoOn({ client, acknowledged, violations }: Trial): Promise<void> {
  const [id = ""] = acknowledged.keys();
  const reads = [
    client.getEvent({ event_id: id }),
    client.findEvents({ limit: 10 }),
    client.peekEvents({ topic: "inbox" }),
    client.getStatus(),
    client.listTopics(),
  ];
  for (const outcome of await Promise.allSettled(reads)) {
    if (outcome.status === "rejected") violations.push(`a read failed on a full disk: ${outcome.reason}`);
  }
  // A search first adds what is new to the full text; it says so when it can't, rather than leave something out.
  const search = await client.searchEvents({ text: "event", limit: 5 }).catch((error: unknown) => error);
  const isHonest =
    !(search instanceof Error) ||
    SignalboxError.is(search, "storage_full") ||
    SignalboxError.is(search, "storage_failed");
  if (!isHonest) violations.push(`a search failed on a full disk: ${search}`);
}

export const readOnlyDisk = fault("a read-only file system", async (trial) => {
  const folder = trial.folder("data");
  const file = join(folder, "signalbox.db");
  const set = [`store.file=${file}`];
  const first = await trial.start({ set });
  await trial.pushMany(10);
  await first.stop();
  const before = readFileSync(file);
  const [wrap, lock] = asReadOnly(folder);
  const locked = spawnService(trial.home, { entry: trial.entry, set, wrap });
  const { code } = await locked.ended;
  lock.undo();
  trial.expect(code === 1, `on a read-only disk the service ended with ${code}`);
  const output = trial.home.log();
  trial.expect(output.includes(file), `it does not name the file: ${output.slice(-500)}`);
  trial.expect(output.includes("writable"), `it does not say what to do: ${output.slice(-500)}`);
  trial.expect(readFileSync(file).equals(before), "the file was changed");
  await trial.start({ set });
  await trial.checkAcknowledged();
});

/** Where nothing can be mounted, the folder loses its permission to write; root would not notice that. */
function asReadOnly(folder: string): [string[], { undo(): void }] {
  if (canMount) {
    const script = `mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"`;
    return [[...namespace, "sh", "-c", script, folder], { undo() {} }];
  }
  execFileSync("chmod", ["-R", "a-w", folder]);
  return [[], { undo: () => execFileSync("chmod", ["-R", "u+w", folder]) }];
}

/**
 * The newest part of the log was lost on the disk. SQLite's own checks end where the damage begins: what is before it
 * stands, nothing half-way, and the database is sound.
 */
export const truncatedLog = fault("a truncated write-ahead log", async (trial) => {
  for (const damage of ["cut", "scribble"] as const) {
    const service = await trial.start();
    await trial.pushMany(60, 2_000);
    await service.kill();
    damageLog(trial, damage);
    const again = await trial.start();
    await trial.checkDoctor();
    await checkIsPrefix(trial);
    await trial.pushMany(3);
    await again.stop();
  }
});

function damageLog(trial: Trial, damage: "cut" | "scribble"): void {
  const file = `${trial.home.paths.databaseFile}-wal`;
  const { size } = statSync(file);
  const at = trial.random.int(Math.floor(size / 3), size - 1);
  if (damage === "cut") {
    truncateSync(file, at);
    return;
  }
  const bytes = readFileSync(file);
  for (let n = 0; n < 64; n++) bytes[at + n] = trial.random.int(0, 255);
  writeFileSync(file, bytes);
}

/** Of what was acknowledged the oldest are there, without a gap; the lost ones are forgotten here, too. */
async function checkIsPrefix(trial: Trial): Promise<void> {
  const found = new Map<string, string | null>();
  for await (const event of trial.client.exportEvents()) found.set(event.id, event.body);
  let ended: string | null = null;
  for (const [id, body] of trial.acknowledged) {
    const there = found.get(id);
    if (there === undefined) {
      ended ??= id;
      trial.acknowledged.delete(id);
      continue;
    }
    trial.expect(ended === null, `${id} is there though the earlier ${ended} is lost`);
    trial.expect(there === body, `${id} came back changed`);
  }
}

/**
 * Bytes of the database changed under us: whatever is read is as it was pushed, or an error that names the file.
 */
export const flippedPage = fault("a flipped page", async (trial) => {
  const file = trial.home.paths.databaseFile;
  const first = await trial.start();
  await trial.pushMany(150, 1_500);
  await first.stop();
  const sound = `${file}.sound`;
  copyFileSync(file, sound);
  for (let round = 0; round < 6; round++) {
    copyFileSync(sound, file);
    for (const rest of ["-wal", "-shm"]) rmSync(file + rest, { force: true });
    flip(trial, file);
    await readDamaged(trial);
  }
});

function flip(trial: Trial, file: string): void {
  const bytes = readFileSync(file);
  const pageSize = bytes.readUInt16BE(16) === 1 ? 65_536 : bytes.readUInt16BE(16);
  const page = trial.random.int(1, bytes.length / pageSize - 1);
  const length = trial.random.pick([1, 16, pageSize]);
  const at = page * pageSize + trial.random.int(0, pageSize - length);
  for (let n = 0; n < length; n++) bytes[at + n] = (bytes[at + n] ?? 0) ^ trial.random.int(1, 255);
  writeFileSync(file, bytes);
}

async function readDamaged(trial: Trial): Promise<void> {
  const service = spawnService(trial.home, { entry: trial.entry });
  try {
    if (!(await isReady(trial.home, service))) {
      const output = trial.home.log();
      trial.expect(output.includes(trial.home.paths.databaseFile), `no file is named: ${output.slice(-300)}`);
      return;
    }
    for (const [id, body] of trial.acknowledged) {
      const error = await trial.refusal(
        trial.client.getEvent({ event_id: id }).then(({ event }) => {
          trial.expect(event.body === body, `${id} was served changed`);
        }),
      );
      // An index page may have forgotten the row; doctor tells.
      const isHonest = error === null || isOneOf(error, "storage_corrupt", "not_found");
      trial.expect(isHonest, `damage was answered ${error?.code}: ${error?.message}`);
    }
  } finally {
    await endDamaged(service);
  }
}

async function endDamaged(service: ServiceProcess): Promise<void> {
  if (service.isAlive) await service.kill();
}
