import { type Catalog, showAction } from "../../actions/catalog.ts";
import { changedFiles, hashFiles } from "../../actions/changed-files.ts";
import type { ActionDetail } from "../../contract/actions.ts";
import { SignalboxError } from "../../contract/errors.ts";
import { identityDigest } from "../../effects/kinds/action/index.ts";
import type { Handlers } from "../register.ts";
import type { Parts } from "./parts.ts";

type ActionRoutes =
  | "listActions"
  | "getAction"
  | "reloadActions"
  | "validateActions"
  | "approveAction"
  | "updateAction"
  | "resolveActionSource"
  | "startScript"
  | "dryRunScript"
  | "streamScript"
  | "stopScript"
  | "openSession"
  | "runLine"
  | "closeSession";
type ActionHandlers = Pick<Handlers, ActionRoutes>;

export function actionHandlers(parts: Parts): ActionHandlers {
  return { ...lookingHandlers(parts), ...changingHandlers(parts), ...scriptHandlers(parts) };
}

type ScriptRoutes = Extract<ActionRoutes, `${string}Script` | `${string}Session` | "runLine">;

function scriptHandlers({ engine: { scripts } }: Parts): Pick<Handlers, ScriptRoutes> {
  return {
    startScript: (request) => scripts.start(request),
    dryRunScript: (request) => scripts.dryRun(request),
    async streamScript({ run_id }, stream, { lastEventId }) {
      const after = /^\d+$/.test(lastEventId ?? "") ? Number(lastEventId) : 0;
      for await (const { place, item } of scripts.follow(run_id, after, stream.signal)) {
        if (!stream.send(item, place)) await stream.drained();
      }
    },
    stopScript: ({ run_id }) => scripts.stop(run_id),
    openSession: (settings) => scripts.openSession(settings),
    runLine: ({ session, code }) => scripts.runLine(session, code),
    async closeSession({ session }) {
      await scripts.closeSession(session);
      return { ok: true };
    },
  };
}

type LookingRoutes = "listActions" | "getAction" | "reloadActions" | "validateActions";

function lookingHandlers(parts: Parts): Pick<ActionHandlers, LookingRoutes> {
  const { catalogs } = parts.actions;
  const detail = detailOf(parts);
  return {
    async listActions({ repository, detail: isDetailed }, { signal }) {
      const catalog = await catalogs.of(repository);
      const { entries, state } = catalog;
      if (!isDetailed) return { repository: state, actions: entries.map(showAction) };
      const actions = await Promise.all(entries.map(({ name }) => detail(catalog, name, signal)));
      return { repository: state, actions };
    },
    getAction: async ({ action, repository }, { signal }) =>
      detail(await catalogs.of(repository), action, signal),
    async reloadActions() {
      await catalogs.set.sync(true);
      return { repository: catalogs.set.state, actions: catalogs.set.entries.length };
    },
    async validateActions({ repository }, { signal }) {
      const catalog = await catalogs.of(repository);
      await catalog.sync();
      const found = await Promise.all(
        catalog.entries.map(async ({ name, file, line }) => {
          const { problem } = await detail(catalog, name, signal);
          return { name, file, line, problem };
        }),
      );
      const isEmpty = catalog.state.dir === null;
      if (isEmpty && catalog.state.problem === null)
        throw new SignalboxError(
          "action_repository",
          catalog.library.problem ?? "there is no actions repository",
        );
      const ok = catalog.state.problem === null && found.every(({ problem }) => problem === null);
      return { ok, repository: catalog.state, actions: found };
    },
  };
}

function changingHandlers(parts: Parts): Omit<ActionHandlers, ScriptRoutes | LookingRoutes> {
  const { catalogs, approvals } = parts.actions;
  const detail = detailOf(parts);
  return {
    async approveAction({ action, repository, sha256, by, reason }, { signal }) {
      const catalog = await catalogs.of(repository);
      const found = await detail(catalog, action, signal);
      if (found.identity === null)
        throw new SignalboxError("action_source", found.problem ?? "it can't be looked at");
      if (found.sha256 !== sha256) {
        throw new SignalboxError("conflict", `${action} is not what was looked at: it has changed`, {
          hint: "Look at it again, then decide.",
          details: { sha256: found.sha256 },
        });
      }
      const why = { ...found.identity, ...(reason === undefined ? {} : { reason }) };
      await approvals.approve({ action, sha256, by, detail: why });
      return { ...found, approval: "approved", approved_by: by };
    },
    async updateAction({ action, repository }, { signal }) {
      const catalog = await catalogs.of(repository);
      const before = await catalog.resolve(action, { signal });
      const old = await hashFiles(before.dir);
      const after = await catalog.resolveNewest(action, signal);
      const changes = changedFiles(old, await hashFiles(after.dir));
      const place = ({ commit, digest }: typeof before) => ({ commit, digest });
      return { before: place(before), after: place(after), changes };
    },
    async resolveActionSource({ source, subdir, base }, { signal }) {
      const { dir, commit, digest } = await catalogs.set.look({
        ...{ source, subdir: subdir ?? null, base, update: true, signal },
      });
      return { commit, digest, files: [...(await hashFiles(dir)).keys()] };
    },
  };
}

/** An action with what would run, and whether that was approved; its problem where that can't be told. */
function detailOf({ actions: { kind, approvals }, store }: Parts) {
  return async (catalog: Catalog, name: string, signal: AbortSignal): Promise<ActionDetail> => {
    const shown = showAction(catalog.require(name));
    const unknown = {
      identity: null,
      sha256: null,
      approval: "unknown",
      approved_by: null,
      notes: [],
    } as const;
    try {
      const { identity, notes } = await kind.identify(catalog, name, signal);
      const sha256 = identityDigest(identity);
      const approved_by = await approvals.find(name, sha256);
      const isKnown =
        approved_by !== null ||
        (await store.isFamiliar({ kind: "action", target: name, action: "run", bound: { ...identity } }));
      return {
        ...shown,
        identity,
        sha256,
        approval: isKnown ? "approved" : "new",
        approved_by,
        problem: null,
        notes,
      };
    } catch (error) {
      if (!SignalboxError.is(error)) throw error;
      return { ...shown, ...unknown, notes: [], problem: error.message };
    }
  };
}
