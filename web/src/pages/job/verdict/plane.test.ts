import { describe, expect, it } from "vitest";
import type { Evaluation } from "../../../contract.gen";
import { partsOf } from "./figures";
import { INSIDE, planeOf } from "./plane";

const part = (base: number, adapter: number, side: number, more: object = {}) => ({
  name: "",
  rows: 12,
  base,
  adapter,
  confidence: 99,
  verdict: "better",
  sentence: "",
  difference: { low: base - adapter - side, mean: base - adapter, high: base - adapter + side },
  ...more,
});
const planeFor = (heldOut: unknown, general: unknown) =>
  planeOf(partsOf({ verdict: "better", sentence: "", heldOut, general } as Evaluation));

describe("the plane of both losses", () => {
  it("has the adapter further left where the task is better, and higher where general ability is worse", () => {
    const plane = planeFor(part(4.02, 1.99, 0.3), part(1.94, 3.47, 0.5))!;
    expect(plane.adapter.x).toBeLessThan(plane.base.x);
    expect(plane.adapter.y).toBeLessThan(plane.base.y);
    // As many nats a pixel in both directions.
    const perX = 2.03 / (plane.base.x - plane.adapter.x);
    expect(1.53 / (plane.base.y - plane.adapter.y)).toBeCloseTo(perX, 6);
    // The intervals of the differences, around the adapter.
    const { left, right, top, bottom } = plane.bars;
    expect([left - plane.adapter.x, right - plane.adapter.x].map((x) => x * perX)[1]).toBeCloseTo(0.3, 6);
    expect((plane.adapter.x - left) * perX).toBeCloseTo(0.3, 6);
    expect((plane.adapter.y - top) * perX).toBeCloseTo(0.5, 6);
    expect((bottom - plane.adapter.y) * perX).toBeCloseTo(0.5, 6);
    expect(plane.label).toBe(
      "Task loss 4.02 for the base, 1.99 for the adapter (99 % interval of the change -2.33 to -1.73); general " +
        "loss 1.94 for the base, 3.47 for the adapter (99 % interval of the change 1.03 to 2.03). Lower is better",
    );
  });

  it.each([
    [part(4, 2, 0.3), part(2, 2, 0.001)],
    [part(2, 2, 0), part(2, 2, 0)],
    [part(2, 2.001, 0.002), part(1, 9, 6)],
    [part(1e-5, 2e-5, 1e-6), part(1e6, 2e6, 1)],
  ])("keeps points, bars and ticks inside: %#", (heldOut, general) => {
    const plane = planeFor(heldOut, general)!;
    const { left, right, top, bottom } = INSIDE;
    const xs = [
      plane.base.x,
      plane.adapter.x,
      plane.bars.left,
      plane.bars.right,
      ...plane.xTicks.map(({ at }) => at),
    ];
    const ys = [
      plane.base.y,
      plane.adapter.y,
      plane.bars.top,
      plane.bars.bottom,
      ...plane.yTicks.map(({ at }) => at),
    ];
    for (const x of xs) expect(x >= left - 1 && x <= right + 1).toBe(true);
    for (const y of ys) expect(y >= top - 1 && y <= bottom + 1).toBe(true);
  });

  it("has no arrow between points that touch", () => {
    expect(planeFor(part(2, 2, 1), part(2, 2, 1))!.arrow).toBeNull();
  });

  it("is left out where a figure is missing, or is no loss of the same unit", () => {
    const whole = part(4, 2, 0.3);
    const measure = { label: "Reward", unit: "", higher: true };
    expect(planeFor(whole, undefined)).toBeNull();
    expect(planeFor(undefined, whole)).toBeNull();
    expect(planeFor(part(4, 2, 0.3, { base: "4" }), whole)).toBeNull();
    expect(planeFor(part(4, 2, 0.3, { measure }), whole)).toBeNull();
    expect(planeFor(part(4, 2, 0.3, { measure: { label: "Loss", unit: "nats" } }), whole)).toBeNull();
    expect(planeFor(part(4, 2, 0.3, { preferred: { won: 9, of: 10, low: 0.5, high: 1 } }), whole)).toBeNull();
  });
});
