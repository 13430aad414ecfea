/** Base and adapter on general questions: lengths, repetition and refusals, and the answers. */
import { cleanBlock } from "../../../lib/text";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { type AnswerFigures, type Said, saidOf } from "./figures";
import { COLUMNS, Column, WIDTH } from "./rows";
import { useResult } from "./use-result";

const TEXT = 1000;
const CELL = { padding: "2px 24px 2px 0", textAlign: "right" } as const;
const NAME = { ...CELL, textAlign: "left", fontWeight: "inherit" } as const;

interface Props {
  id: string;
  figures: AnswerFigures;
  version: string;
}

/** Requested when opened. */
export function General({ id, figures, version }: Props) {
  const { answer: result, error, retry } = useResult(id, version);
  return (
    <>
      <table class="num" style={{ borderCollapse: "collapse", margin: "8px 0 16px" }}>
        <thead>
          <tr style={{ color: "var(--ink-3)" }}>
            <td />
            <th scope="col" style={{ ...CELL, fontWeight: "inherit" }}>
              Base
            </th>
            <th scope="col" style={{ ...CELL, fontWeight: "inherit" }}>
              Adapter
            </th>
          </tr>
        </thead>
        <tbody>
          {figures.rows.map(([label, base, adapter]) => (
            <tr key={label}>
              <th scope="row" style={NAME}>
                {label}
              </th>
              <td style={CELL}>{base}</td>
              <td style={CELL}>{adapter}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {[figures.stopping, figures.thinking].map((text) => text !== "" && <p style={WIDTH}>{text}</p>)}
      {error ? <ErrorNote error={error} retry={retry} /> : !result && <Skeleton />}
      <Examples said={saidOf(result?.answers)} />
    </>
  );
}

/** Questions with both models' answers. */
export function Examples({ said: all }: { said: readonly Said[] }) {
  return (
    <ol style={{ listStyle: "none", margin: "8px 0", padding: 0, display: "grid", gap: "14px" }}>
      {all.map((example, index) => (
        <li key={index} style={{ overflowWrap: "anywhere" }}>
          <p dir="auto" style={WIDTH}>
            {cleanBlock(example.question, TEXT)}
          </p>
          <div style={COLUMNS}>
            <Column name="Base" answer={{ text: example.base, truncated: false }} />
            <Column name="Adapter" answer={{ text: example.adapter, truncated: false }} />
          </div>
        </li>
      ))}
    </ol>
  );
}
