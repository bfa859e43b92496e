declare const SIGNALBOX_VERSION: string | undefined;

/** Set by the build; the sources run as `0.0.0`. */
export const version = typeof SIGNALBOX_VERSION === "string" ? SIGNALBOX_VERSION : "0.0.0";
