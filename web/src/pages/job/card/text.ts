/** A model card in parts: the metadata for the Hub, and the text for readers. */

const FRONT = /^---[ \t]*\n([\s\S]*?\n)?---[ \t]*(?:\n|$)/u;
const MARK = /^(?:<!-- arkor-dev: [^\n]*-->|# arkor-dev: [^\n]*)$/u;

interface Parts {
  front: string;
  text: string;
}

/** The front matter and the text, without the markers around the generated parts. */
export function partsOf(card: string): Parts {
  const lines = card.replace(/\r\n?/gu, "\n");
  const match = FRONT.exec(lines);
  return {
    front: withoutMarks(match?.[1] ?? "").trim(),
    text: withoutMarks(match ? lines.slice(match[0].length) : lines).trim(),
  };
}

const withoutMarks = (text: string): string =>
  text
    .split("\n")
    .filter((line) => !MARK.test(line))
    .join("\n");
