import { describe, expect, it } from "vitest";
import { partsOf } from "./text";

describe("partsOf", () => {
  it("parts what is for the Hub from what is read, and leaves out the marks", () => {
    const card =
      '---\n# arkor-dev: these lines\nlicense: "mit"\n# arkor-dev: end\n# mine\n---\n\nBefore.\n' +
      "<!-- arkor-dev: made of it -->\n# Title\n\n---\n\nText.\n<!-- arkor-dev: end -->\nAfter.\n";
    expect(partsOf(card)).toEqual({
      front: 'license: "mit"\n# mine',
      text: "Before.\n# Title\n\n---\n\nText.\nAfter.",
    });
  });

  it("takes a card without front matter as it is", () => {
    expect(partsOf("# Title\r\n\r\n<!-- mine -->\r\n---\r\nx")).toEqual({
      front: "",
      text: "# Title\n\n<!-- mine -->\n---\nx",
    });
    expect(partsOf("")).toEqual({ front: "", text: "" });
    expect(partsOf("---\nnever closed")).toEqual({ front: "", text: "---\nnever closed" });
  });
});
