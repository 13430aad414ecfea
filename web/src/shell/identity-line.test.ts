import { expect, test } from "vitest";
import type { CredentialsView } from "../contract.gen";
import { identityLine } from "./identity-line";

const VIEW: CredentialsView = {
  mode: "anon",
  orgSlug: "anon-1",
  projectSlug: "bot",
  baseUrl: "https://api.arkor.ai",
  token: "abcd…",
};

test("an anonymous identity at production needs no host", () => {
  expect(identityLine(VIEW)).toEqual({ mode: "anonymous", scope: "anon-1 / bot", host: null });
});

test("an account's mode is as the file names it, and another host is named with its port", () => {
  const view = { ...VIEW, mode: "auth0", projectSlug: null, baseUrl: "http://127.0.0.1:4321" };
  expect(identityLine(view)).toEqual({ mode: "auth0", scope: "anon-1", host: "127.0.0.1:4321" });
});

test("a backend without a port, or over ssh, is named by project and machine alone", () => {
  const local = { ...VIEW, orgSlug: "local", baseUrl: "http://localhost" };
  expect(identityLine(local)).toEqual({ mode: null, scope: "bot", host: "this machine" });
  const far = { ...local, baseUrl: "ssh://me@gpu-box" };
  expect(identityLine(far)).toEqual({ mode: null, scope: "bot", host: "gpu-box" });
  expect(identityLine({ ...local, projectSlug: null })).toMatchObject({ mode: "anonymous", scope: "local" });
});

test("hostile text is cleaned and bounded, and an invalid address is shown as received", () => {
  const view = { ...VIEW, mode: "x".repeat(100), orgSlug: null, projectSlug: null, baseUrl: "nowhere" };
  const line = identityLine(view);
  expect(line.mode?.length).toBeLessThanOrEqual(21);
  expect(line).toMatchObject({ scope: "no organisation", host: "nowhere" });
});
