import { expect, test } from "vitest";
import { linearScale, logScale, padded } from "./scale";
import { elapsed, elapsedTicks, linearTicks, logTicks, niceStep, wallTicks } from "./ticks";

const labels = (ticks: { label: string }[]): string[] => ticks.map(({ label }) => label);

test("scales map and invert, whichever way they run", () => {
  const y = linearScale(0, 4, 300, 20);
  expect([y.map(0), y.map(4), y.map(1)]).toEqual([300, 20, 230]);
  expect(y.invert(y.map(1.234))).toBeCloseTo(1.234, 10);
  const log = logScale(0.01, 100, 0, 400);
  expect([log.map(0.01), log.map(1), log.map(100)].map(Math.round)).toEqual([0, 200, 400]);
  expect(log.invert(log.map(0.37))).toBeCloseTo(0.37, 10);
  expect([log.map(0), log.map(-1)]).toEqual([NaN, NaN]);
  expect(linearScale(5, 5, 0, 100).map(5)).toBe(0);
});

test("a domain has room around the curve, and does not go below zero without need", () => {
  expect(padded(1, 2, "linear", 0.1)).toEqual([0.9, 2.1]);
  expect(padded(0.01, 2, "linear", 0.1)[0]).toBe(0);
  expect(padded(-1, 1, "linear", 0.1)).toEqual([-1.2, 1.2]);
  expect(padded(3, 3, "linear")).toEqual([1.5, 4.5]);
  expect(padded(0, 0, "linear")).toEqual([-0.5, 0.5]);
  expect(padded(Infinity, -Infinity, "linear")).toEqual([0, 1]);
  const [low, high] = padded(1, 100, "log", 0.05);
  expect([Math.log10(low), Math.log10(high)].map((n) => Number(n.toFixed(6)))).toEqual([-0.1, 2.1]);
  expect(padded(Infinity, -Infinity, "log")).toEqual([0.1, 1]);
});

test("linear ticks are round, inside, and as many as asked for", () => {
  expect(labels(linearTicks(0, 5.8, 5))).toEqual(["0", "1", "2", "3", "4", "5"]);
  expect(labels(linearTicks(0.31, 0.52, 4))).toEqual(["0.35", "0.40", "0.45", "0.50"]);
  expect(labels(linearTicks(1, 9000, 5))).toEqual(["2000", "4000", "6000", "8000"]);
  expect(labels(linearTicks(0, 150_000, 3))).toEqual(["0", "50,000", "100,000", "150,000"]);
  expect(labels(linearTicks(0, 1e-4, 2))).toEqual(["0", "5e−5", "1e−4"]);
  expect(labels(linearTicks(-1, 1, 4))).toEqual(["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
  expect(labels(linearTicks(3, 3, 5))).toEqual(["3"]);
  for (const [from, to] of [
    [0, 1],
    [0.1, 0.10001],
    [17, 1e9],
    [-5e-9, 3e-9],
  ] as const) {
    const ticks = linearTicks(from, to, 6);
    expect(ticks.length).toBeGreaterThan(2);
    expect(ticks.length).toBeLessThan(11);
    expect(new Set(labels(ticks)).size, `${from} to ${to}`).toBe(ticks.length);
    for (const { value } of ticks)
      expect(value >= from - (to - from) * 1e-6 && value <= to + (to - from) * 1e-6).toBe(true);
  }
});

test("far from zero, labels have the digits that tell them apart", () => {
  for (const [from, to] of [
    [123_456_787, 123_456_791],
    [1e-4, 1.0000001e-4],
    [-1.7e308, 1.7e308],
  ] as const) {
    const ticks = linearTicks(from, to, 5);
    expect(ticks.length).toBeGreaterThan(1);
    expect(new Set(labels(ticks)).size, labels(ticks).join()).toBe(ticks.length);
  }
});

test("a large number is written out where its power would be no shorter", () => {
  expect(labels(linearTicks(123_456_788, 123_456_790, 2))).toEqual([
    "123,456,788",
    "123,456,789",
    "123,456,790",
  ]);
  expect(labels(linearTicks(0, 3e7, 3))).toEqual(["0", "1e7", "2e7", "3e7"]);
});

test("an axis of counts has no tick between two of them", () => {
  expect(labels(linearTicks(1, 3, 10, true))).toEqual(["1", "2", "3"]);
  expect(labels(linearTicks(1, 3, 10))).toContain("1.2");
});

test("steps are 1, 2 or 5 times a power of ten", () => {
  expect([0.9, 3, 7, 23, 4e-7].map((span) => niceStep(span, 1))).toEqual(
    [1, 2, 5, 20, 5e-7].map((n) => expect.closeTo(n, 12)),
  );
});

test("a log axis has whole decades, then steps between, then a linear part of one", () => {
  expect(labels(logTicks(1e-4, 1e4, 8))).toEqual([
    "1e−4",
    "0.001",
    "0.01",
    "0.1",
    "1",
    "10",
    "100",
    "1000",
    "10000",
  ]);
  expect(labels(logTicks(0.08, 12, 5))).toEqual(["0.1", "0.2", "0.5", "1", "2", "5", "10"]);
  expect(labels(logTicks(0.4, 0.9, 5)).length).toBeGreaterThanOrEqual(4);
  expect(logTicks(1e-12, 1e12, 5).length).toBeLessThanOrEqual(7);
});

test("elapsed time is divided as clocks are", () => {
  expect(labels(elapsedTicks(0, 60_000, 6))).toEqual([
    "0:00",
    "0:10",
    "0:20",
    "0:30",
    "0:40",
    "0:50",
    "1:00",
  ]);
  expect(labels(elapsedTicks(0, 3 * 3_600_000, 6))).toEqual(
    ["0:00", "0:30:00", "1:00:00", "1:30:00", "2:00:00", "2:30:00", "3:00:00"].map((l) =>
      l === "0:30:00" ? "30:00" : l,
    ),
  );
  expect(labels(elapsedTicks(0, 40, 4))).toEqual(["0.00 s", "0.01 s", "0.02 s", "0.03 s", "0.04 s"]);
  expect([elapsed(90_000), elapsed(3_723_000), elapsed(273_600_000)]).toEqual([
    "1:30",
    "1:02:03",
    "3 d 04:00",
  ]);
  expect([elapsed(-90_000), elapsed(-40, 10)]).toEqual(["−1:30", "−0.04 s"]);
  expect(labels(elapsedTicks(90_000_000, 90_060_000, 4))).toEqual([
    "1 d 01:00:00",
    "1 d 01:00:15",
    "1 d 01:00:30",
    "1 d 01:00:45",
    "1 d 01:01:00",
  ]);
});

test("clock ticks fall on whole units of local time", () => {
  const from = Date.UTC(2026, 10, 25, 0, 7, 30);
  expect(labels(wallTicks(from, from + 3_600_000, 4, 0))).toEqual(["00:15", "00:30", "00:45", "01:00"]);
  expect(labels(wallTicks(from, from + 3_600_000, 4, -330))).toEqual(["05:45", "06:00", "06:15", "06:30"]);
  expect(labels(wallTicks(Date.UTC(2026, 10, 24, 12), Date.UTC(2026, 10, 25, 12), 4, 0))).toEqual([
    "12:00",
    "18:00",
    "11-25",
    "06:00",
    "12:00",
  ]);
});
