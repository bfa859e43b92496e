import type { Clock } from "../service/lib/clock.ts";
import type { Host, Level } from "./host.ts";

export interface Notices {
  /** Shows it once in a while, however often it is said, and writes it to OpenCode's log. */
  notify(text: string, level: Level): void;
  /** Shows the last error again that came before anybody could see it. */
  repeat(): void;
}

const AGAIN_MS = 60_000;

export function createNotices(host: Host, clock: Clock): Notices {
  const last = new Map<string, number>();
  let unseen: string | null = null;
  let isWatched = false;
  const show = (text: string, level: Level) => {
    // Where there is nobody to see it, that is not worth another notice.
    host.toast(text, level).catch(() => {});
  };
  return {
    notify(text, level) {
      const now_ms = clock.nowMs();
      if (now_ms - (last.get(text) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
      last.set(text, now_ms);
      if (!isWatched && level === "error") unseen = text;
      show(text, level);
      host.log(text, level).catch(() => {});
    },
    repeat() {
      isWatched = true;
      if (unseen !== null) show(unseen, "error");
      unseen = null;
    },
  };
}
