import { describe, expect, it } from "vitest";
import { labelledOf } from ".";

describe("labelledOf", () => {
  it("lists the formats that a backend names for people, cleaned", () => {
    const formats = [
      { format: "mlx", label: "MLX\u202e model", hint: "For Apple's MLX" },
      { format: "adapter" },
      { format: 7, label: "Seven" },
      { label: "Nameless" },
      null,
      "merged",
    ];
    expect(labelledOf({ formats })).toEqual([
      { format: "mlx", label: "MLX model", hint: "For Apple's MLX" },
      { format: "7", label: "Seven", hint: "" },
    ]);
  });
  it("finds none in an answer without formats", () => {
    for (const answer of [null, {}, { formats: "adapter" }]) expect(labelledOf(answer)).toEqual([]);
  });
});
