import { expect, test } from "vitest";
import { DEFAULTS, readSettings, type Settings, writeSettings } from "./settings";
import { pan, rangeOfBrush, zoomAround } from "./zoom-range";

const round = (settings: Settings): Settings => {
  const written = Object.entries(writeSettings(settings)).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return readSettings(new URLSearchParams(written));
};

test("settings survive the address", () => {
  const settings: Settings = {
    x: "elapsed",
    log: true,
    smooth: 0.85,
    lr: true,
    zoom: [120, 4500.5],
    hidden: ["loss", "a-b"],
  };
  expect(round(settings)).toEqual(settings);
  expect(round({ ...DEFAULTS, smooth: 0 }).smooth).toBe(0);
  const wall: Settings = { ...DEFAULTS, x: "wall", zoom: [1_795_000_000_123, 1_795_000_009_456] };
  expect(round(wall)).toEqual(wall);
  const deep: Settings = { ...DEFAULTS, zoom: [29_999_120.5, 29_999_121.25] };
  expect(round(deep)).toEqual(deep);
});

test("what is as by default is not in the address", () => {
  expect(Object.values(writeSettings(DEFAULTS)).every((value) => value === null)).toBe(true);
});

test("nonsense in the address is ignored", () => {
  for (const query of [
    "x=up&y=cubic&smooth=2&zoom=5..1&lr=yes",
    "smooth=-1&zoom=a..b",
    "smooth=abc&zoom=1",
    "zoom=..5",
    "zoom=1..Infinity",
  ]) {
    expect(readSettings(new URLSearchParams(query)), query).toEqual(DEFAULTS);
  }
});

test("zooming keeps what is under the pointer, and out far enough shows all", () => {
  const zoomed = zoomAround([0, 100], [0, 100], 25, 0.5)!;
  expect(zoomed).toEqual([12.5, 62.5]);
  expect((25 - zoomed[0]) / 50).toBe(0.25);
  expect(zoomAround([90, 100], [0, 100], 99, 2)).toEqual([80, 100]);
  expect(zoomAround([10, 90], [0, 100], 50, 2)).toBeNull();
  const closest = zoomAround([50, 50.001], [0, 100], 50, 1e-9)!;
  expect(closest[1] - closest[0]).toBeCloseTo(0.001, 9);
});

test("panning stops at the ends, a brush works both ways", () => {
  expect(pan([10, 20], [0, 100], 0.5)).toEqual([15, 25]);
  expect(pan([10, 20], [0, 100], -5)).toEqual([0, 10]);
  expect(pan([85, 95], [0, 100], 5)).toEqual([90, 100]);
  expect(rangeOfBrush(40, 20, [0, 100])).toEqual([20, 40]);
  expect(rangeOfBrush(-10, 20, [0, 100])).toEqual([0, 20]);
  expect(rangeOfBrush(30, 30, [0, 100])).toBeNull();
});
