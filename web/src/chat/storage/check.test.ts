import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isConversation } from "./check";

const { database } = JSON.parse(
  readFileSync(new URL("../../../fixtures/stored-version-1.json", import.meta.url), "utf8"),
);
const rows: Record<string, unknown>[] = database.stores.conversations.rows;

test("each conversation of version 1 is one", () => {
  expect(rows).toHaveLength(2);
  expect(rows.map(isConversation)).toEqual([true, true]);
});

test.each([
  ["nothing", undefined],
  ["a list", []],
  ["no turns", { turns: undefined }],
  ["an invalid turn", { turns: { a: null } }],
  ["a turn without answers", { turns: { a: { id: "a", parent: null, user: "Hi", at: 1 } } }],
  [
    "an answer without text",
    {
      turns: {
        a: { id: "a", parent: null, user: "Hi", at: 1, answers: [{ by: {}, name: "m", state: "done" }] },
      },
    },
  ],
  ["columns that are no numbers", { columns: ["left"] }],
  ["no parameters", { params: null }],
  ["a date in words", { updated: "yesterday" }],
])("%s is none", (_, damage) => {
  expect(
    isConversation(Array.isArray(damage) || damage === undefined ? damage : { ...rows[0], ...damage }),
  ).toBe(false);
});
