/** A blind test: two anonymous answers to a question, a vote for the better one, and at the end the models' names. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Target } from "../../chat/model/types";
import { answerable } from "../../chat/strength";
import { fullName, sameTarget, targetKey, targetsOfQuery } from "../../chat/targets";
import type { Ballot, Vote } from "../../contract.gen";
import { plural } from "../../lib/format";
import { jobHref, route } from "../../router";
import { setTitle } from "../../store/document-title";
import { features } from "../../store/features";
import { jobById, jobs, jobsState } from "../../store/jobs";
import { Button } from "../../ui/controls/button";
import { announce } from "../../ui/controls/live";
import { Empty, ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { type Pair, Pairs, pairFor, type Question } from "./pairs";
import { Result } from "./result";
import { Start } from "./start";
import { styles } from "./styles";
import { Ballots, jobOf, keptVotes, voter } from "./votes";
import { Voting } from "./voting";
import { LEAST, type Side } from "./wilson";

export default function BlindPage() {
  const { query } = route.value;
  useEffect(() => setTitle("Blind test"), []);
  const [first, second] = targetsOfQuery(query);
  const one = first && answerable(first, features.value, jobs.value);
  const other = second && answerable(second, features.value, jobs.value);
  return (
    <article style={styles.page}>
      <h1 tabIndex={-1}>Blind test</h1>
      {!one || !other || sameTarget(one, other) ? (
        <Empty title="Nothing to compare" action={<a href="#/jobs">Choose a job</a>}>
          A finished job’s page leads here, and so does Compare with two adapters.
        </Empty>
      ) : jobsState.value.loaded ? (
        <Test key={`${targetKey(one)} ${targetKey(other)}`} one={one} other={other} />
      ) : (
        <Skeleton lines={6} height={18} />
      )}
    </article>
  );
}

const votesOf = (label: string, ballots: readonly Ballot[]): number =>
  ballots.filter((ballot) => ballot.voter === label.trim()).length;

type Phase = "start" | "voting" | "result";

function Test({ one, other }: { one: Target; other: Target }) {
  const id = jobOf(one, other);
  const job = id === null ? undefined : jobById(id);
  const names = { one: fullName(one, jobs.value), other: fullName(other, jobs.value) };
  const [phase, setPhase] = useState<Phase>("start");
  const [kept, setKept] = useState<readonly Vote[]>([]);
  const [pairs, setPairs] = useState<Pairs | null>(null);
  const [index, setIndex] = useState(0);
  const ballots = useMemo(() => new Ballots(id), [id]);
  const given = ballots.given.value;
  useEffect(() => {
    if (id !== null) void keptVotes(job, id, one, other).then(setKept, () => undefined);
  }, [id, features.value]);
  useEffect(() => () => pairs?.stop(), [pairs]);

  const mine = votesOf(voter.value, [...kept, ...given]);
  const begin = (questions: readonly Question[]): void => {
    const targets = { one, other };
    setPairs(new Pairs(questions, (question, signal) => pairFor(question, targets, signal)));
    setIndex(0);
    setPhase("voting");
  };
  const next = (pair: Pair, choice: "left" | "right" | "tie" | "skip"): void => {
    const rightIs: Side = pair.leftIs === "one" ? "other" : "one";
    if (choice !== "skip")
      ballots.give({
        voter: voter.peek().trim(),
        one: targetKey(one),
        other: targetKey(other),
        choice: choice === "tie" ? "tie" : choice === "left" ? pair.leftIs : rightIs,
        left: pair.leftIs,
        question: pair.question,
      });
    advance();
  };
  const advance = (): void => {
    const count = pairs?.questions.length ?? 0;
    if (index + 1 < count) {
      setIndex(index + 1);
      announce(`Question ${index + 2} of ${count}`);
    } else setPhase(votesOf(voter.peek(), [...kept, ...ballots.given.peek()]) >= LEAST ? "result" : "start");
  };

  return (
    <>
      <p style={styles.quiet}>
        {names.one} and {names.other}
        {job && (
          <>
            {" · "}
            <a href={jobHref(job.id)}>the job</a>
          </>
        )}
      </p>
      {ballots.trouble.value !== "" && (
        <ErrorNote
          title="The last votes could not be kept"
          error={ballots.trouble.value}
          retry={() => ballots.send()}
        />
      )}
      {phase === "start" && <Start job={job} given={given.length} mine={mine} begin={begin} />}
      {phase === "voting" && pairs && <Voting pairs={pairs} index={index} next={next} skip={advance} />}
      {phase === "result" && (
        <Result
          keys={{ one: targetKey(one), other: targetKey(other) }}
          names={names}
          ballots={[...kept, ...given]}
        />
      )}
      {phase !== "result" && mine > 0 && (
        <p style={styles.quiet}>
          {mine < LEAST ? (
            <>
              {plural(mine, "vote")} so far. The result is shown after {LEAST}.
            </>
          ) : (
            <>
              {plural(mine, "vote")} so far.{" "}
              <Button small onClick={() => setPhase("result")}>
                Show the result
              </Button>
            </>
          )}
        </p>
      )}
      {phase === "result" && (
        <Button small onClick={() => setPhase("start")}>
          Ask more questions
        </Button>
      )}
    </>
  );
}
