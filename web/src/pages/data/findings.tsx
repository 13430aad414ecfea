/** Problems of the rows, each with links to the affected rows. */
import type { Finding } from "../../contract.gen";
import { number } from "../../lib/format";
import { INVALID } from "../../lib/invalid-rows";
import { clean } from "../../lib/text";
import { Button } from "../../ui/controls/button";

const WORDS: Readonly<Record<string, string>> = { error: "Error", warning: "Warning", note: "Note" };
const MOST_ROWS = 20;

/** Findings that Studio can fix in the files, and what the fix does. */
const FIXES: ReadonlyMap<string, string> = new Map([
  ["blank", "Remove empty rows"],
  ["empty-answer", "Remove these rows"],
  ["duplicate", "Remove repetitions"],
  ["near-duplicate", "Remove near duplicates"],
  ["secret", "Mask keys"],
  ["card-number", "Mask card numbers"],
  ["e-mail", "Mask addresses"],
  ["phone-number", "Mask phone numbers"],
  ["mojibake", "Repair characters"],
  ["control-characters", "Remove control characters"],
  ["white-space", "Trim"],
  ["in-eval", "Remove from the evaluation set"],
]);

const UNREADABLE = "unreadable";
/** Worst first. */
const ORDER = ["error", "warning", "note"];

/** Merges the findings in the rows and those of the tokenizer; the same finding of both counts once. */
export function merged(ofRows: readonly Finding[], ofTokens: readonly Finding[]): Finding[] {
  const byCode = new Map(ofTokens.map((finding) => [finding.code, finding]));
  // The tokenizer only reports that a row cannot be read; the findings in the rows say why.
  const faulty = ofRows.filter(({ level }) => level === "error").reduce((sum, { count }) => sum + count, 0);
  if (faulty >= (byCode.get(UNREADABLE)?.count ?? 0)) byCode.delete(UNREADABLE);
  for (const finding of ofRows)
    if (finding.count >= (byCode.get(finding.code)?.count ?? 0)) byCode.set(finding.code, finding);
  return [...byCode.values()].sort((one, other) => ORDER.indexOf(one.level) - ORDER.indexOf(other.level));
}

interface Props {
  findings: readonly Finding[];
  /** Whether every row has been read. */
  all: boolean;
  hrefOf: (row: number) => string;
  /** Filters the list by a finding, if the backend supports it. */
  filter: (code: string) => void;
  canFilter: (code: string) => boolean;
  /** What was not checked, one sentence each. */
  leftOut: readonly string[];
  /** The immediate remedy for a finding, if there is one. */
  remedyOf: (finding: Finding) => Remedy | null;
  /** Offers the fix of a finding, for one row or (without it) for all; null if Studio can't write the rows. */
  fix: ((code: string, row?: number) => void) | null;
  /** Excludes rows from training, or includes them again; null if the project has no list of them. */
  exclude: ((rows: readonly number[], excluded: boolean) => void) | null;
}

/** A button, or the note that it was pressed. */
export type Remedy = { label: string; run: () => void } | { done: string };

export function Findings({ findings, all, leftOut, ...rest }: Props) {
  return (
    <section class="data-findings" aria-labelledby="data-findings">
      <h2 id="data-findings">Findings</h2>
      {findings.length === 0 ? (
        <p class="hint">{all ? "No problems found." : "None so far."}</p>
      ) : (
        <ul>
          {findings.map((finding) => (
            <One key={finding.code} finding={finding} {...rest} />
          ))}
        </ul>
      )}
      {leftOut.map((sentence) => (
        <p key={sentence} class="hint">
          {clean(sentence, 300)}
        </p>
      ))}
    </section>
  );
}

function One({
  finding,
  hrefOf,
  filter,
  canFilter,
  remedyOf,
  exclude,
  fix: offerFix,
}: { finding: Finding } & Pick<Props, "hrefOf" | "filter" | "canFilter" | "remedyOf" | "exclude" | "fix">) {
  const { level, title, why, fix, rows, count, code } = finding;
  const listed = rows.slice(0, MOST_ROWS);
  const out = code !== "excluded";
  const excludable = exclude !== null && !INVALID.has(code) && code !== "left-out";
  const fixable = offerFix !== null && FIXES.has(code) && count > 0;
  const remedy =
    remedyOf(finding) ??
    // Of a question's several answers, one must stay.
    (exclude && level !== "note" && code !== "differing-answers" && count > 1 && count === listed.length
      ? {
          label: `Exclude ${number(count)} rows`,
          run: () =>
            exclude(
              listed.map(({ row }) => row),
              true,
            ),
        }
      : null);
  return (
    <li>
      <details class={`data-finding data-finding-${Object.hasOwn(WORDS, level) ? level : "note"}`}>
        <summary>
          <span class="data-level">{WORDS[level] ?? clean(level, 20)}</span>
          <span>{clean(title, 200)}</span>
        </summary>
        <p>{clean(why, 500)}</p>
        <p>{clean(fix, 500)}</p>
        {(remedy || fixable) && (
          <p class="data-finding-remedy">
            {fixable && (
              <Button small onClick={() => offerFix(code)}>
                {FIXES.get(code)}…
              </Button>
            )}
            {remedy &&
              ("run" in remedy ? (
                <Button small onClick={remedy.run}>
                  {remedy.label}
                </Button>
              ) : (
                remedy.done
              ))}
          </p>
        )}
        <ul class="data-finding-rows">
          {listed.map(({ row, where, excerpt }) => (
            <li key={row}>
              <a href={hrefOf(row)} title={clean(where, 200)}>
                Row {number(row)}
              </a>
              <bdi class="hint">{clean(excerpt, 80)}</bdi>
              {fixable && (
                <Button
                  small
                  kind="quiet"
                  aria-label={`Fix row ${number(row)}: ${FIXES.get(code)}`}
                  onClick={() => offerFix(code, row)}
                >
                  Fix
                </Button>
              )}
              {excludable && (
                <Button
                  small
                  kind="quiet"
                  aria-label={`${out ? "Exclude" : "Include"} row ${number(row)}`}
                  onClick={() => exclude([row], out)}
                >
                  {out ? "Exclude" : "Include"}
                </Button>
              )}
            </li>
          ))}
        </ul>
        {count > 1 && canFilter(code) && (
          <Button small kind="quiet" onClick={() => filter(code)}>
            List only these {number(count)} rows
          </Button>
        )}
      </details>
    </li>
  );
}
