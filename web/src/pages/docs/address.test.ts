import { describe, expect, it } from "vitest";
import { docsAddress, sections } from "./address";

describe("a link of a documentation page", () => {
  it("leads to the page and the heading that it names", () => {
    expect(docsAddress("serving.md", "start")).toBe("#/docs?page=serving");
    expect(docsAddress("serving.md#keys", "start")).toBe("#/docs?page=serving&at=keys");
    expect(docsAddress("#general-questions", "evaluation")).toBe(
      "#/docs?page=evaluation&at=general-questions",
    );
  });

  it("is not an address of the page if it leads elsewhere", () => {
    for (const link of ["https://example.com/a.md", "../SECURITY.md", "screenshots/run.webp", ""])
      expect(docsAddress(link, "start")).toBeNull();
  });
});

it("the index lists its pages by section", () => {
  const index =
    "# Title\n\n> About.\n\n## Start\n\n- [Ten minutes](start.md): From nothing.\n\n## More\n\n- [Why](why.md): It.\n";
  expect(sections(index)).toEqual([
    { title: "Start", pages: [{ name: "start", title: "Ten minutes" }] },
    { title: "More", pages: [{ name: "why", title: "Why" }] },
  ]);
});
