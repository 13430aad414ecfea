/** What is wrong with the rows, each with the rows in question as links. */
import type { Finding } from "../../contract.gen";
import { number } from "../../lib/format";
import { clean } from "../../lib/text";
import { Button } from "../../ui";

const WORDS: Readonly<Record<string, string>> = { error: "Error", warning: "Warning", note: "Note" };
const MOST_ROWS = 20;

interface Props {
  findings: readonly Finding[];
  /** Whether every row has been read. */
  all: boolean;
  hrefOf: (row: number) => string;
  next: (code: string) => void;
}

export function Findings({ findings, all, hrefOf, next }: Props) {
  return (
    <section class="data-findings" aria-labelledby="data-findings">
      <h2 id="data-findings">Findings</h2>
      {findings.length === 0 ? (
        <p class="hint">{all ? "The tokenizer and the chat template find nothing wrong." : "None so far."}</p>
      ) : (
        <ul>
          {findings.map((finding) => (
            <One key={finding.code} finding={finding} hrefOf={hrefOf} next={next} />
          ))}
        </ul>
      )}
    </section>
  );
}

function One({ finding, hrefOf, next }: { finding: Finding } & Pick<Props, "hrefOf" | "next">) {
  const { level, title, why, fix, rows, count, code } = finding;
  const named = rows.slice(0, MOST_ROWS);
  return (
    <li>
      <details class={`data-finding data-finding-${Object.hasOwn(WORDS, level) ? level : "note"}`}>
        <summary>
          <span class="data-level">{WORDS[level] ?? clean(level, 20)}</span>
          <span>{clean(title, 200)}</span>
        </summary>
        <p>{clean(why, 500)}</p>
        <p>{clean(fix, 500)}</p>
        <ul class="data-finding-rows">
          {named.map(({ row, where, excerpt }) => (
            <li key={row}>
              <a href={hrefOf(row)} title={clean(where, 200)}>
                Row {number(row)}
              </a>{" "}
              <bdi class="hint">{clean(excerpt, 80)}</bdi>
            </li>
          ))}
        </ul>
        {count > named.length && (
          <p class="data-finding-more hint num">
            {number(count)} rows in all{" "}
            <Button small kind="quiet" onClick={() => next(code)}>
              Next of them
            </Button>
          </p>
        )}
      </details>
    </li>
  );
}
