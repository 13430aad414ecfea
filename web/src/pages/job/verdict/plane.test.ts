import { describe, expect, it } from "vitest";
import type { Evaluation } from "../../../contract.gen";
import { partsOf } from "./figures";
import { bestKept, INSIDE, type Kept, planeOf, strengthsOf } from "./plane";

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

  it("has the adapter at other strengths between both, and no arrow then", () => {
    const evaluation = {
      heldOut: part(4, 2, 0.3),
      general: part(2, 3, 0.3),
      strengths: [
        { strength: 0.75, heldOut: 2.2, general: 2.5 },
        { strength: 0.5, heldOut: 2.4, general: 2.2 },
        { strength: "1", heldOut: 2, general: 3 },
        { strength: 0.25, heldOut: null, general: 3 },
        7,
      ],
    } as unknown as Evaluation;
    const [parts, strengths] = [partsOf(evaluation), strengthsOf(evaluation)];
    const plane = planeOf(parts, strengths)!;
    expect(plane.arrow).toBeNull();
    expect(plane.points.map(({ strength }) => strength)).toEqual([0.5, 0.75]);
    const [half, most] = plane.points as [(typeof plane.points)[0], (typeof plane.points)[0]];
    expect(plane.adapter.x < most.x && most.x < half.x && half.x < plane.base.x).toBe(true);
    expect(plane.adapter.y < most.y && most.y < half.y && half.y < plane.base.y).toBe(true);
    expect(plane.label).toContain("Lower is better; at 50 % 2.40 and 2.20; at 75 % 2.20 and 2.50");
    const { strength, gain, harm } = bestKept(parts, strengths) as Kept;
    expect([strength, Math.round(gain), Math.round(harm)]).toEqual([0.5, 80, 20]);
  });

  it("claims nothing for a strength that keeps more of the harm, or where there is none", () => {
    const strengths = [{ strength: 0.5, heldOut: 3, general: 2.6 }];
    const parts = (general: object) =>
      partsOf({ heldOut: part(4, 2, 0.3), general } as unknown as Evaluation);
    expect(bestKept(parts(part(2, 3, 0.3)), strengths)).toContain("At no measured strength");
    expect(bestKept(parts(part(2, 1.9, 0.3)), strengths)).toContain("Nothing was lost in general");
    expect(bestKept(partsOf({ general: part(2, 3, 0.3) } as unknown as Evaluation), strengths)).toContain(
      "Nothing was gained",
    );
  });

  it("has no arrow between points that touch", () => {
    expect(planeFor(part(2, 2, 1), part(2, 2, 1))!.arrow).toBeNull();
  });

  it("is left out where a figure is missing, or is no loss of the same unit", () => {
    const reference = part(4, 2, 0.3);
    const measure = { label: "Reward", unit: "", higher: true };
    expect(planeFor(reference, undefined)).toBeNull();
    expect(planeFor(undefined, reference)).toBeNull();
    expect(planeFor(part(4, 2, 0.3, { base: "4" }), reference)).toBeNull();
    expect(planeFor(part(4, 2, 0.3, { measure }), reference)).toBeNull();
    expect(planeFor(part(4, 2, 0.3, { measure: { label: "Loss", unit: "nats" } }), reference)).toBeNull();
    expect(
      planeFor(part(4, 2, 0.3, { preferred: { won: 9, of: 10, low: 0.5, high: 1 } }), reference),
    ).toBeNull();
  });
});
