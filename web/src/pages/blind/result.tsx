/** The result of a blind test: how often each was preferred, how certain that is, and by whom. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Ballot } from "../../contract.gen";
import { number } from "../../lib/format";
import { displayName } from "../../lib/text";
import { styles } from "./styles";
import { type Side, tallyOf, verdictOf, votesIn, wilson } from "./wilson";
import "../../chart/chart.css";

const MOST_VOTERS = 30;

interface Props {
  keys: Readonly<Record<Side, string>>;
  names: Readonly<Record<Side, string>>;
  ballots: readonly Ballot[];
}

export function Result({ keys, names, ballots }: Props) {
  const tally = tallyOf(ballots, keys.one, keys.other);
  const voters = [...new Set(ballots.map((ballot) => ballot.voter))];
  const decided = tally.one + tally.other;
  const interval = wilson(tally.other, decided);
  const head = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => head.current?.focus({ preventScroll: true }), []);
  return (
    <section style={styles.whole} aria-label="Result">
      <h2 ref={head} tabIndex={-1}>
        Result
      </h2>
      <p style={styles.verdict}>{verdictOf(tally, names)}</p>
      {interval && (
        <Share
          share={tally.other / decided}
          interval={interval}
          label={`${names.other} was preferred in ${Math.round((100 * tally.other) / decided)} % of the decided votes, 95 % interval ${Math.round(100 * interval.low)} to ${Math.round(100 * interval.high)} %`}
          ends={names}
        />
      )}
      <div class="chart-statistics-table" tabIndex={0} role="group" aria-label="Votes by person">
        <table>
          <thead>
            <tr>
              <th scope="col">Voter</th>
              <th scope="col" style={styles.name}>
                {names.one}
              </th>
              <th scope="col" style={styles.name}>
                {names.other}
              </th>
              <th scope="col" style={styles.name}>
                No difference
              </th>
              <th scope="col">Votes</th>
            </tr>
          </thead>
          <tbody>
            {voters.slice(0, MOST_VOTERS).map((voter) => {
              const own = tallyOf(
                ballots.filter((ballot) => ballot.voter === voter),
                keys.one,
                keys.other,
              );
              return (
                <tr key={voter}>
                  <th scope="row">
                    <bdi>{displayName(voter)}</bdi>
                  </th>
                  <td class="num">{number(own.one)}</td>
                  <td class="num">{number(own.other)}</td>
                  <td class="num">{number(own.ties)}</td>
                  <td class="num">{number(votesIn(own))}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="hint">
        The share and its interval (Wilson’s) are of the votes that chose one; questions are taken as
        independent of each other.
        {voters.length > MOST_VOTERS &&
          ` ${number(voters.length - MOST_VOTERS)} more voters are counted and not listed.`}
      </p>
    </section>
  );
}

interface ShareProps {
  share: number;
  interval: { low: number; high: number };
  label: string;
  ends: Readonly<Record<Side, string>>;
}

/** The share as a dot on a line between the two models, its interval as a bar, with the middle marked. */
function Share({ share, interval: { low, high }, label, ends }: ShareProps) {
  const at = (part: number): string => `${100 * part}%`;
  return (
    <div style={styles.share}>
      <svg role="img" aria-label={label} width="100%" height="24" style={{ overflow: "visible" }}>
        <line stroke="var(--line-strong)" x1="0" x2="100%" y1="12" y2="12" />
        <line stroke="var(--ink-3)" stroke-dasharray="2 3" x1="50%" x2="50%" y1="2" y2="22" />
        <line
          stroke="var(--second)"
          stroke-width="4"
          stroke-linecap="round"
          x1={at(low)}
          x2={at(high)}
          y1="12"
          y2="12"
        />
        <circle fill="var(--second)" stroke="var(--bg)" stroke-width="2" cx={at(share)} cy="12" r="5" />
      </svg>
      <p class="hint" style={styles.ends} aria-hidden="true">
        <span style={styles.end}>{ends.one}</span>
        <span style={{ ...styles.end, textAlign: "end" }}>{ends.other}</span>
      </p>
    </div>
  );
}
