import { expect, it } from "vitest";
import { settingsPlace } from "./settings-place.ts";

const entry = (key: string, origin: string) => ({ key, origin, value: true, description: "" });

it("the place of a connector's settings is the first line that sets one of them", () => {
  const entries = [
    entry("connectors.githubby.poll", "/etc/s.toml:1"),
    entry("connectors.github.poll", "/etc/s.toml:9"),
    entry("connectors.github.token", "/etc/s.toml:8"),
    entry("connectors.github.enabled", "default"),
    entry("log.level", "env SIGNALBOX_LOG_LEVEL"),
  ];
  expect(settingsPlace(entries, "connectors.github")).toEqual({ file: "/etc/s.toml", line: 8 });
  expect(settingsPlace(entries, "log")).toBeNull();
  expect(settingsPlace([entry("log", "C:\\s.toml:2")], "log")).toEqual({ file: "C:\\s.toml", line: 2 });
});
