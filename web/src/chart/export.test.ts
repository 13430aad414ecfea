import { expect, test } from "vitest";
import { Run } from "../events/run";
import { csvOf, jsonLinesOf, jsonOf } from "./export";

const run = new Run();
for (const [step, loss] of [
  [1, 1.5],
  [2, null],
])
  run.add("training.log", JSON.stringify({ step, loss, timestamp: "2026-01-01T00:00:01Z" }));
const one = { id: "j", name: "x", job: { id: "j" }, rows: run.rows };
const two = [
  { ...one, id: "j1", name: '=1+"2"' },
  { ...one, id: "j2", name: "a\nb" },
];

test("CSV distinguishes missing from non-finite values, and its cells are no formulas", () => {
  expect(csvOf([one]).split("\r\n")).toEqual([
    "step,epoch,time,loss,evalLoss,learningRate,tokensPerSecond,samplesPerSecond",
    "1,,2026-01-01T00:00:01.000Z,1.5,,,,",
    "2,,2026-01-01T00:00:01.000Z,NaN,,,,",
    "",
  ]);
  const lines = csvOf(two).split("\r\n");
  expect(lines[0]).toMatch(/^job,id,step/);
  expect(lines[1]).toMatch(/^"'=1\+""2""",j1,1,/);
  expect(lines[3]).toMatch(/^"a\nb",j2,1,/);
});

test("JSON and JSON Lines have the same points, with the jobs where there are several", () => {
  const points = [
    { step: 1, time: "2026-01-01T00:00:01.000Z", loss: 1.5 },
    { step: 2, time: "2026-01-01T00:00:01.000Z", loss: null },
  ];
  expect(JSON.parse(jsonOf([one]))).toEqual({ jobs: [{ id: "j", points }] });
  const parsed = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  expect(parsed(jsonLinesOf([one]))).toEqual(points);
  expect(parsed(jsonLinesOf(two))[2]).toEqual({ job: "a\nb", id: "j2", ...points[0] });
});
