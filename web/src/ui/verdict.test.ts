import { expect, it } from "vitest";
import { goodness } from "./verdict";

const judged = (verdict: string, gain = 0, general = 0) =>
  ({
    verdict,
    heldOut: { difference: { mean: gain } },
    general: { difference: { mean: general } },
  }) as unknown as Parameters<typeof goodness>[0];

it("ranks by the task and by what it cost in general, not by the task alone", () => {
  const best = [
    judged("better", 0.4),
    judged("better", 0.1),
    judged("mixed", 0.8, -0.2),
    judged("mixed", 2, -1.55),
    judged("same"),
    judged("unclear", 0.3),
    judged("worse", -0.5),
  ];
  expect([...best].reverse().sort((a, b) => goodness(b)! - goodness(a)!)).toEqual(best);
  for (const odd of [undefined, judged("<b>odd</b>"), judged("toString")]) expect(goodness(odd)).toBeNull();
});
