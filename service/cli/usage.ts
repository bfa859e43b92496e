import { SignalboxError } from "../contract/errors.ts";

/** The command was not used as it is meant to be: ends with exit code 2. */
export class UsageError extends SignalboxError {
  constructor(message: string, hint: string) {
    super("wrong_usage", message, { hint });
  }
}
