/** What we need of OpenCode, whatever its version. */
import type { Persona } from "./session.ts";
import type { TopicSettings } from "./settings.ts";

export type Level = "info" | "warning" | "error";

/** A session as OpenCode describes it. */
export interface Look {
  readonly id: string;
  readonly child: boolean;
  readonly archived: boolean;
  readonly reverted: boolean;
  readonly persona: Persona;
  /** What we wrote down about it, in its metadata. */
  readonly topics: readonly string[] | null;
}

export interface Prompt {
  readonly persona: Persona;
  /** Shown to the user, kept from the model. */
  readonly banner: string;
  /** Given to the model, kept from the user's eyes. */
  readonly text: string;
  readonly event_id: string;
  readonly topic: string;
}

export interface Host {
  /** The folder this instance is for. */
  readonly directory: string;
  /** True for `opencode run`, which answers once and ends: it takes no events. */
  readonly isOneShot: boolean;
  /** Null for a session that is gone. */
  look(session: string): Promise<Look | null>;
  isIdle(session: string): Promise<boolean>;
  list(): Promise<Look[]>;
  /** Resolves once the prompt is taken in, which is not yet delivered. @throws HostError */
  prompt(session: string, prompt: Prompt): Promise<void>;
  /** A session for the events of one topic alone. */
  create(topic: string, settings: TopicSettings): Promise<string>;
  /** Remembers across a restart what a session listens to. */
  remember(session: string, topics: readonly string[]): Promise<void>;
  /** The text of the last answer. */
  lastText(session: string): Promise<string>;
  answerPermission(session: string, permission: string, allow: boolean): Promise<void>;
  toast(text: string, level: Level): Promise<void>;
  /** Puts text into the input box, without sending it. */
  draft(text: string): Promise<void>;
  log(text: string, level: Level): Promise<void>;
}

export class HostError extends Error {
  /** The session is not there any more. */
  readonly gone: boolean;

  constructor(message: string, gone: boolean) {
    super(message);
    this.name = "HostError";
    this.gone = gone;
  }
}
