import { storeConformance } from "../../../test/conformance/store.ts";
import { openSqlite } from "../../../test/harness/store.ts";

storeConformance("sqlite", () => openSqlite());
