import { expect, test } from "vitest";
import { heldOut } from "./openers";

test("held-out questions open a conversation if nothing was answered before them, short ones, each once", () => {
  const earlier = [
    { role: "user", content: "a" },
    { role: "assistant", content: "b" },
    { role: "user", content: "c" },
  ];
  const alone = [
    { role: "system", content: "s" },
    { role: "user", content: "d" },
  ];
  const rows = [
    { question: "c", messages: earlier },
    { question: "d", messages: alone },
    { question: "e" },
    { question: "e" },
    { question: " " },
    { question: "x".repeat(400) },
    {},
    null,
  ];
  expect(heldOut(rows)).toEqual(["d", "e"]);
  expect(heldOut("hostile")).toEqual([]);
});
