import { describe, expect, it } from "vitest";
import type { RowGroups, RowMap } from "../../../contract.gen";
import { progressWords } from "../requested";
import { countWords, groupsWords, isSmall, neighbour, titleOf } from "./meaning";

const GROUPS: RowGroups = {
  rows: 60,
  heldOut: 4,
  skipped: 1,
  groups: [
    { rows: 50, heldOut: 4, terms: ["parcel", "arrives"], examples: [3] },
    { rows: 10, heldOut: 0, terms: [], examples: [9] },
  ],
};

describe("groups in words", () => {
  it("names a group by its terms, and what the held-out rows leave out", () => {
    const [large, small] = GROUPS.groups;
    expect(titleOf(large!, 0)).toBe("parcel, arrives");
    expect(titleOf(small!, 1)).toBe("Group 2");
    expect(countWords(large!, GROUPS)).toBe("50 rows · 4 held out");
    expect(countWords(small!, GROUPS)).toBe("10 rows · not in the held-out rows");
    expect(countWords(small!, { ...GROUPS, heldOut: 0 })).toBe("10 rows");
    expect([isSmall(large!, GROUPS), isSmall(small!, GROUPS)]).toEqual([false, true]);
  });

  it("says that there are none", () => {
    expect(groupsWords(GROUPS)).toBe("60 rows in 2 groups of similar meaning. 1 row could not be embedded.");
    expect(groupsWords({ ...GROUPS, groups: [], skipped: 0 })).toContain("no clear groups");
  });

  it("says how far it has come", () => {
    const progress = { label: "Embedding rows", done: 41, total: 100, unit: "rows" };
    expect(progressWords({ state: "running", progress })).toBe("Embedding rows 41 %");
    expect(progressWords({ state: "waiting" })).toContain("when no job is training");
  });
});

describe("the map", () => {
  const map: RowMap = { rows: [1, 2, 3, 4], x: [0, 1, 0.5, -1], y: [0, 0, 0.4, 0], groups: [-1, -1, -1, -1] };

  it("is walked to the nearest point in a direction", () => {
    expect(neighbour(map, 0, "ArrowRight")).toBe(2);
    expect(neighbour(map, 0, "ArrowLeft")).toBe(3);
    expect(neighbour(map, 0, "ArrowUp")).toBe(-1);
    expect(neighbour(map, 2, "ArrowDown")).toBe(-1);
    expect(neighbour(map, 1, "ArrowRight")).toBe(-1);
  });
});
