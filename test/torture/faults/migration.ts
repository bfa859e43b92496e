import { existsSync } from "node:fs";
import { readMigrations } from "../../../service/store/sqlite/migrate.ts";
import { openDatabase } from "../../../service/store/sqlite/open.ts";
import { pause, spawnService } from "../service-process.ts";
import { fault } from "./trial.ts";

const EVENTS = 20_000;

/** The service dies again and again while it brings an older database up to date: it is old or new, never between. */
export const killedMigration = fault("kill -9 during a migration", async (trial) => {
  const file = trial.home.paths.databaseFile;
  fillOldDatabase(file);
  for (let kill = 0; kill < 6; kill++) {
    const service = spawnService(trial.home, { entry: trial.entry });
    await pause(trial.random.int(100, 700));
    await service.kill();
    trial.operations += 1;
  }
  await trial.start();
  const { events } = await trial.client.getStatus();
  trial.expect(events === EVENTS, `${EVENTS} events became ${events}`);
  const { event } = await trial.client.getEvent({ event_id: "evt_77" });
  trial.expect(event.body === "old event 77", `an old event now says ${event.body}`);
  trial.expect(existsSync(`${file}.schema-1.bak`), "there is no copy of the file as it was");
  await trial.checkDoctor();
  await trial.pushMany(3);
  await trial.checkAcknowledged();
});

function fillOldDatabase(file: string): void {
  const db = openDatabase({
    file,
    durability: "normal",
    migrations: readMigrations().filter(({ version }) => version === 1),
  });
  const insert = db.prepare(
    `INSERT INTO events (seq, id, schema_version, type, source, subject, time_ms, recorded_ms, body, payload, meta, origin_kind, depth, parked)
     VALUES (?, ?, 1, 'old.made', 'old', 'old.made', 1, 1, ?, '{}', '{}', 'system', 0, 0)`,
  );
  db.transaction(() => {
    for (let seq = 1; seq <= EVENTS; seq++) insert.run(seq, `evt_${seq}`, `old event ${seq}`);
    db.exec(`INSERT INTO counts VALUES ('', 'events', ${EVENTS})`);
  })();
  db.close();
}
