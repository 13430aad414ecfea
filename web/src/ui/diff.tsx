import { clean } from "../lib/text";
import "./diff.css";

const MOST_LINES = 400;
const LONGEST = 500;

/** The lines that go and come in a unified diff, with their neighbours; a mark and a word tell them apart besides the colour. */
export function Diff({ text }: { text: string }) {
  const lines = text.split("\n").filter((line) => line !== "" && !/^(---|\+\+\+) /.test(line));
  if (lines.length === 0) return <p class="dim">arkor.toml says this already.</p>;
  return (
    <pre class="ui-diff" tabIndex={0} aria-label="Changes">
      {lines.slice(0, MOST_LINES).map((line, index) => {
        const [sign, rest] = [line[0], clean(line.slice(1).replaceAll("\t", "  "), LONGEST)];
        if (sign === "@")
          return index === 0 ? null : (
            <span key={index} class="ui-diff-gap">
              …{"\n"}
            </span>
          );
        const Line = sign === "+" ? "ins" : sign === "-" ? "del" : "span";
        return (
          <Line key={index}>
            {sign} {rest}
            {"\n"}
          </Line>
        );
      })}
    </pre>
  );
}
