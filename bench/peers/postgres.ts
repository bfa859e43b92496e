import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { PgBoss } from "pg-boss";
import { PeerMissing, type PushPeer } from "../peer.ts";
import { stopProcess } from "../service.ts";

interface User {
  uid: number;
  gid: number;
}

/**
 * pg-boss on a Postgres of its own, reached by a Unix socket. `fsync` is off: then, as with SQLite in WAL mode, what
 * was acknowledged survives the end of the process and not a power cut.
 */
export async function startPgBoss(): Promise<PushPeer> {
  const binaries = findBinaries();
  const user = unprivilegedUser();
  // Not below the folder of this run, which only this user may enter.
  const folder = mkdtempSync(join(tmpdir(), "sbpg-"));
  if (user) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const as = user ? { uid: user.uid, gid: user.gid } : {};
  const options = { cwd: folder, ...as };
  const initdb = ["-D", data, "-U", "bench", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"];
  execFileSync(join(binaries, "initdb"), initdb, { ...options, stdio: "ignore" });
  const server = spawn(
    join(binaries, "postgres"),
    ["-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "logging_collector=off"],
    { ...options, stdio: "ignore" },
  );
  const boss = await untilStarted(server, folder);
  await boss.createQueue("events");
  return {
    async push(event) {
      await boss.send("events", event);
    },
    async close() {
      await boss.stop({ graceful: false });
      // The fast way to stop: what is connected is ended.
      await stopProcess(server, "SIGINT");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The folder with `initdb`: on the path, or where Debian keeps one for each version. */
function findBinaries(): string {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, "bin")),
    ...(process.env.PATH ?? "").split(delimiter),
  ];
  const found = folders.find(
    (folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")),
  );
  if (found === undefined) throw new PeerMissing("pg-boss: Postgres is not installed (Debian: postgresql)");
  return found;
}

/** Postgres refuses to run as root. Null: this user will do. */
function unprivilegedUser(): User | null {
  if (process.getuid?.() !== 0) return null;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // There is no such user; the next one may be there.
    }
  }
  throw new PeerMissing("pg-boss: Postgres does not run as root, and there is no user postgres or nobody");
}

async function untilStarted(server: ChildProcess, folder: string): Promise<PgBoss> {
  for (const deadline = performance.now() + 30_000; ; ) {
    const boss = new PgBoss({
      host: folder,
      user: "bench",
      database: "postgres",
      max: 10,
      supervise: false,
      schedule: false,
    });
    boss.on("error", () => {});
    try {
      await boss.start();
      return boss;
    } catch (error) {
      if (server.exitCode !== null || performance.now() > deadline) throw error;
      await boss.stop({ graceful: false }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
