import { expect, it, vi } from "vitest";
import type { Finding } from "../../contract.gen";

vi.mock("../../ui/controls/button", () => ({ Button: () => null }));
const { merged } = await import("./findings");

const finding = (code: string, level: Finding["level"], count: number): Finding => ({
  code,
  level,
  count,
  title: code,
  why: "",
  fix: "",
  rows: [],
});

it("puts the worst first, and what both lists have found in once, as the one that has found more", () => {
  const ofRows = [
    finding("duplicate", "note", 4),
    finding("unreadable", "error", 2),
    finding("cut", "warning", 1),
  ];
  const ofTokens = [finding("cut", "warning", 7), finding("unreadable", "error", 2)];
  expect(merged(ofRows, ofTokens).map(({ code, count }) => [code, count])).toEqual([
    ["unreadable", 2],
    ["cut", 7],
    ["duplicate", 4],
  ]);
  const why = [finding("json", "error", 1), finding("too-long", "error", 1)];
  expect(merged(why, ofTokens).map(({ code }) => code)).toEqual(["json", "too-long", "cut"]);
  expect(merged(why.slice(1), ofTokens).map(({ code }) => code)).toEqual(["unreadable", "too-long", "cut"]);
});
