import { expect, it } from "vitest";
import { isSecretName, looksSecret } from "./secret-name.ts";

it.each([
  "password",
  "db_password",
  "api_key",
  "apiKey",
  "access_token",
  "Authorization",
  "client_secret",
  "set-cookie",
])("a field named %s holds a secret", (name) => expect(isSecretName(name)).toBe(true));

it.each(["name", "author", "number", "passenger", "keyboard"])("a field named %s holds none", (name) =>
  expect(isSecretName(name)).toBe(false),
);

// Put together here: a scanner of this repository must not take them for real ones.
it.each([
  ["ghp", "_0123456789abcdef"].join(""),
  ["sk", "-live-0123456789"].join(""),
  ["Bearer ", "abcdefghijkl"].join(""),
  "postgres://me:hunter2@db/x",
  ["eyJhbGciOi", "JIUzI1NiJ9.eyJzdWIi.x"].join(""),
  "a1B2c3D4e5F6g7H8i9J0k1L2",
])("%s looks like one", (text) => expect(looksSecret(text)).toBe(true));

it.each([
  "a plain sentence with 12 words and some-hyphens in it",
  "3f786850e387550fdab836ed7e6dc881de23001b",
  "123e4567-e89b-12d3-a456-426614174000",
  "https://github.com/acme/site/issues/7",
  "github.issue.opened",
])("%s does not", (text) => expect(looksSecret(text)).toBe(false));
