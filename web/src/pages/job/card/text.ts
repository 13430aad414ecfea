/** Splits a model card: metadata for the Hub, and text for people. */

const FRONT = /^---[ \t]*\n([\s\S]*?\n)?---[ \t]*(?:\n|$)/u;
const MARK = /^(?:<!-- arkor-dev: [^\n]*-->|# arkor-dev: [^\n]*)$/u;

interface Parts {
  front: string;
  text: string;
}

/** The front matter and the text, without the lines that mark the generated part. */
export function partsOf(card: string): Parts {
  const lines = card.replace(/\r\n?/gu, "\n");
  const found = FRONT.exec(lines);
  return {
    front: withoutMarks(found?.[1] ?? "").trim(),
    text: withoutMarks(found ? lines.slice(found[0].length) : lines).trim(),
  };
}

const withoutMarks = (text: string): string =>
  text
    .split("\n")
    .filter((line) => !MARK.test(line))
    .join("\n");
