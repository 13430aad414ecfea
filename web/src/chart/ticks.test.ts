import { expect, test } from "vitest";
import { elapsed, elapsedTicks, linearTicks, logTicks, type Tick, wallTicks } from "./ticks";

const labels = (ticks: Tick[]): string[] => ticks.map(({ label }) => label);

test("linear ticks are round numbers inside the range", () => {
  expect(labels(linearTicks(0, 5.8, 5))).toEqual(["0", "1", "2", "3", "4", "5"]);
  expect(labels(linearTicks(0.31, 0.52, 4))).toEqual(["0.35", "0.40", "0.45", "0.50"]);
  expect(labels(linearTicks(1, 9000, 5))).toEqual(["2000", "4000", "6000", "8000"]);
  expect(labels(linearTicks(0, 150_000, 3))).toEqual(["0", "50,000", "100,000", "150,000"]);
  expect(labels(linearTicks(0, 1e-4, 2))).toEqual(["0", "5e−5", "1e−4"]);
  expect(labels(linearTicks(0, 3e7, 3))).toEqual(["0", "1e7", "2e7", "3e7"]);
  expect(labels(linearTicks(-1, 1, 4))).toEqual(["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
  expect(labels(linearTicks(3, 3, 5))).toEqual(["3"]);
});

test.each([
  [0, 1],
  [0.1, 0.10001],
  [17, 1e9],
  [-5e-9, 3e-9],
  [123_456_787, 123_456_791],
  [1e-4, 1.0000001e-4],
  [-1e150, 1e150],
])("no two ticks from %d to %d have the same label", (from, to) => {
  const ticks = linearTicks(from, to, 6);
  expect(ticks.length).toBeGreaterThan(2);
  expect(ticks.length).toBeLessThan(11);
  expect(new Set(labels(ticks)).size, labels(ticks).join()).toBe(ticks.length);
});

test("an axis of integers has no tick between two of them", () => {
  expect(labels(linearTicks(1, 3, 10, 1))).toEqual(["1", "2", "3"]);
  expect(labels(linearTicks(1, 3, 10))).toContain("1.2");
});

test("a log axis has whole decades, then steps between, then a linear part of one", () => {
  expect(labels(logTicks(1e-4, 1e4, 8)).join(" ")).toBe("1e−4 0.001 0.01 0.1 1 10 100 1000 10000");
  expect(labels(logTicks(0.08, 12, 5))).toEqual(["0.1", "0.2", "0.5", "1", "2", "5", "10"]);
  expect(labels(logTicks(0.4, 0.9, 5)).length).toBeGreaterThanOrEqual(4);
  expect(logTicks(1e-12, 1e12, 5).length).toBeLessThanOrEqual(7);
});

test("elapsed time is divided as clocks are", () => {
  expect(labels(elapsedTicks(0, 60_000, 6)).join(" ")).toBe("0:00 0:10 0:20 0:30 0:40 0:50 1:00");
  expect(labels(elapsedTicks(0, 3 * 3_600_000, 4)).join(" ")).toBe("0:00 1:00:00 2:00:00 3:00:00");
  expect(labels(elapsedTicks(0, 40, 4))).toEqual(["0.00 s", "0.01 s", "0.02 s", "0.03 s", "0.04 s"]);
  expect(labels(elapsedTicks(90_000_000, 90_030_000, 2))).toEqual([
    "1 d 01:00:00",
    "1 d 01:00:15",
    "1 d 01:00:30",
  ]);
  expect([90_000, 3_723_000, 273_600_000, -90_000].map((ms) => elapsed(ms))).toEqual([
    "1:30",
    "1:02:03",
    "3 d 04:00",
    "−1:30",
  ]);
});

test("clock ticks fall on whole units of local time", () => {
  const from = Date.UTC(2026, 10, 25, 0, 7, 30);
  expect(labels(wallTicks(from, from + 3_600_000, 4, 0))).toEqual(["00:15", "00:30", "00:45", "01:00"]);
  expect(labels(wallTicks(from, from + 3_600_000, 4, -330))).toEqual(["05:45", "06:00", "06:15", "06:30"]);
  const [noon, next] = [Date.UTC(2026, 10, 24, 12), Date.UTC(2026, 10, 25, 12)];
  expect(labels(wallTicks(noon, next, 4, 0))).toEqual(["12:00", "18:00", "11-25", "06:00", "12:00"]);
});
