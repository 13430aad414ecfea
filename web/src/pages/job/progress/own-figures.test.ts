import { expect, test } from "vitest";
import type { Column } from "../../../events/rows";
import { drift, lossOf } from "./own-figures";

const column = (values: number[]): Column => ({ values: () => values }) as Column;
const falling = column(Array.from({ length: 12 }, (_, row) => (row === 3 ? NaN : -row)));
const rising = column(Array.from({ length: 12 }, (_, row) => row));

test("warns when both answers become less likely, not when only the rejected one does", () => {
  expect(drift(falling, falling)).toContain("Both answers have become less likely");
  expect([drift(rising, falling), drift(falling, rising), drift(rising, rising)]).toEqual(["", "", ""]);
  expect(drift(column([0, -9]), column([0, -9]))).toBe("");
});

test("a method's own loss has its name", () => {
  expect([lossOf({ measure: "Loss" }), lossOf({ measure: "DPO loss" })]).toEqual(["loss", "DPO loss"]);
});
