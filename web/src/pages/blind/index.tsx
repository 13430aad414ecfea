/** A blind test: two anonymous answers to a question, a vote for the better one, and at the end the models' names. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { errorText } from "../../api/client";
import type { Target } from "../../chat/model/types";
import type { Preferred } from "../../chat/preferences";
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
  const firstTarget = first && answerable(first, features.value, jobs.value);
  const other = second && answerable(second, features.value, jobs.value);
  return (
    <article style={styles.page}>
      <h1 tabIndex={-1}>Blind test</h1>
      {!firstTarget || !other || sameTarget(firstTarget, other) ? (
        <Empty title="Nothing to compare" action={<a href="#/jobs">Choose a job</a>}>
          A finished job’s page leads here, and so does Compare with two adapters.
        </Empty>
      ) : jobsState.value.loaded ? (
        <Test key={`${targetKey(firstTarget)} ${targetKey(other)}`} firstTarget={firstTarget} other={other} />
      ) : (
        <Skeleton lines={6} height={18} />
      )}
    </article>
  );
}

const votesOf = (label: string, ballots: readonly Ballot[]): number =>
  ballots.filter((ballot) => ballot.voter === label.trim()).length;

/** The two answers as a pair to learn from; null for a tie, and for answers that do not differ. */
function pairOf(
  { question, left, right, leftIs }: Pair,
  asked: Question | undefined,
  choice: "left" | "right" | "tie",
  keys: Readonly<Record<Side, string>>,
  by: string,
): Preferred | null {
  const [first, second] = [left.trim(), right.trim()];
  if (choice === "tie" || first === "" || second === "" || first === second) return null;
  const models = leftIs === "one" ? [keys.one, keys.other] : [keys.other, keys.one];
  const answers = [left, right];
  if (choice === "right") for (const list of [models, answers]) list.reverse();
  return {
    prompt: asked?.messages ?? [{ role: "user", content: question }],
    chosen: answers[0]!,
    rejected: answers[1]!,
    models,
    by,
  };
}

type Phase = "start" | "voting" | "result";

function Test({ firstTarget, other }: { firstTarget: Target; other: Target }) {
  const id = jobOf(firstTarget, other);
  const job = id === null ? undefined : jobById(id);
  const names = { one: fullName(firstTarget, jobs.value), other: fullName(other, jobs.value) };
  const [phase, setPhase] = useState<Phase>("start");
  const [storedVotes, setStoredVotes] = useState<readonly Vote[]>([]);
  const [pairs, setPairs] = useState<Pairs | null>(null);
  const [index, setIndex] = useState(0);
  /** The number of earlier votes: a test that is continued counts on. */
  const [before, setBefore] = useState(0);
  const ballots = useMemo(() => new Ballots(id), [id]);
  /** The indices of the questions that were voted on, and why the last vote could not be undone. */
  const [votedOn, setVotedOn] = useState<readonly number[]>([]);
  const [stays, setStays] = useState("");
  const newVotes = ballots.given.value;
  useEffect(() => {
    if (id !== null) void keptVotes(job, id, firstTarget, other).then(setStoredVotes, () => undefined);
  }, [id, features.value]);
  useEffect(() => () => pairs?.stop(), [pairs]);

  const mine = votesOf(voter.value, [...storedVotes, ...newVotes]);
  const answered = useMemo(
    () =>
      new Set(
        [...storedVotes, ...newVotes]
          .filter((vote) => vote.voter === voter.value.trim())
          .map(({ question }) => question),
      ),
    [storedVotes, newVotes, voter.value],
  );
  const begin = (questions: readonly Question[]): void => {
    setBefore(mine);
    const targets = { one: firstTarget, other };
    setPairs(new Pairs(questions, (question, signal) => pairFor(question, targets, signal)));
    setIndex(0);
    setVotedOn([]);
    setPhase("voting");
  };
  const next = (pair: Pair, choice: "left" | "right" | "tie" | "skip"): void => {
    const rightIs: Side = pair.leftIs === "one" ? "other" : "one";
    setStays("");
    if (choice !== "skip") {
      const by = voter.peek().trim();
      const keys = { one: targetKey(firstTarget), other: targetKey(other) };
      const preferred = choice === "tie" ? "tie" : choice === "left" ? pair.leftIs : rightIs;
      const { question, leftIs: left } = pair;
      const ballot = { voter: by, ...keys, choice: preferred, left, question } as const;
      ballots.give(ballot, pairOf(pair, pairs?.questions[index], choice, keys, by));
      setVotedOn([...votedOn, index]);
    }
    advance();
  };
  const takeBack = async (): Promise<void> => {
    try {
      await ballots.takeBack();
      setIndex(votedOn.at(-1) ?? index);
      setVotedOn(votedOn.slice(0, -1));
      setPhase("voting");
      setStays("");
      announce("Vote undone");
    } catch (fault) {
      setStays(errorText(fault));
    }
  };
  const advance = (): void => {
    const count = pairs?.questions.length ?? 0;
    if (index + 1 < count) {
      setIndex(index + 1);
      announce(`Question ${before + index + 2} of ${before + count}`);
    } else
      setPhase(
        votesOf(voter.peek(), [...storedVotes, ...ballots.given.peek()]) >= LEAST ? "result" : "start",
      );
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
      {phase === "start" && (
        <Start job={job} given={newVotes.length} mine={mine} answered={answered} begin={begin} />
      )}
      {phase === "voting" && pairs && (
        <Voting pairs={pairs} before={before} index={index} next={next} skip={advance} />
      )}
      {phase === "result" && (
        <Result
          keys={{ one: targetKey(firstTarget), other: targetKey(other) }}
          names={names}
          ballots={[...storedVotes, ...newVotes]}
        />
      )}
      {votedOn.length > 0 && (
        <Button small kind="quiet" onClick={() => void takeBack()}>
          Undo the last vote
        </Button>
      )}
      {stays !== "" && <ErrorNote title="The vote stays" error={stays} />}
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
