/** Before a blind test: who votes, and on which questions. */
import { useEffect, useState } from "preact/hooks";
import type { Job } from "../../contract.gen";
import { plural } from "../../lib/format";
import { route } from "../../router";
import { features } from "../../store/features";
import { Button } from "../../ui/controls/button";
import { Chips, Field } from "../../ui/controls/switch";
import { type Question, questionsIn, shuffled } from "./pairs";
import { styles } from "./styles";
import { canKeep, heldOutQuestions, preferredQuestions, voter } from "./votes";
import { LEAST } from "./wilson";

const MOST_LABEL = 40;

type Source = "held-out" | "preferences" | "own";

interface Props {
  job: Job | undefined;
  /** Votes of this session. */
  given: number;
  /** Votes under this label, including earlier days. */
  mine: number;
  /** The questions of those votes. */
  answered: ReadonlySet<string>;
  begin: (questions: readonly Question[]) => void;
}

export function Start({ job, given, mine, answered, begin }: Props) {
  const [heldOut, setHeldOut] = useState<readonly Question[] | null>(null);
  const [preferred, setPreferred] = useState<readonly Question[]>([]);
  const [chosen, choose] = useState<Source | null>(null);
  const [text, setText] = useState("");
  useEffect(() => {
    heldOutQuestions(job).then(setHeldOut, () => setHeldOut([]));
    preferredQuestions(job).then(setPreferred, () => setPreferred([]));
    // The list may learn of a run's evaluation after its page has said that it is complete.
  }, [job?.id, job?.evaluation === undefined, features.value]);
  const some = heldOut !== null && heldOut.length > 0;
  // Other questions follow the held-out ones.
  const usePreferences = route.value.query.get("questions") === "preferences" && preferred.length > 0;
  const first: Source = usePreferences ? "preferences" : some ? "held-out" : "own";
  const source = chosen ?? (given === 0 ? first : "own");
  const questions = { "held-out": heldOut ?? [], preferences: preferred, own: questionsIn(text) }[source];
  // A test that is continued asks what is left, or everything again.
  const left = questions.filter(({ text }) => !answered.has(text));
  const asked = left.length > 0 ? left : questions;
  const ready = voter.value.trim() !== "" && questions.length > 0;
  return (
    <form
      style={styles.start}
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) begin(source === "own" ? asked : shuffled(asked));
      }}
    >
      <p>You compare two answers to each question. Model names are revealed after {LEAST} votes.</p>
      <Field
        label="Your name, or any label"
        for="blind-voter"
        hint={`${
          canKeep()
            ? "Your votes are kept with the job under this name."
            : "This backend keeps no votes after the page is closed."
        } Answers that you prefer become rows of data/preferences.jsonl.`}
      >
        <input
          id="blind-voter"
          class="ui-input"
          maxLength={MOST_LABEL}
          autoComplete="nickname"
          value={voter.value}
          onInput={(event) => {
            voter.value = event.currentTarget.value;
          }}
        />
      </Field>
      {(some || preferred.length > 0) && (
        <Chips
          label="Questions"
          value={source}
          items={[
            ...(some
              ? [{ value: "held-out", label: "Held-out questions", count: heldOut.length } as const]
              : []),
            ...(preferred.length > 0
              ? [{ value: "preferences", label: "Prompts it learned from", count: preferred.length } as const]
              : []),
            { value: "own", label: "Questions of my own" },
          ]}
          onChange={choose}
        />
      )}
      {source === "own" && (
        <Field label="Questions, one a line" for="blind-questions">
          <textarea
            id="blind-questions"
            class="ui-input"
            rows={6}
            dir="auto"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </Field>
      )}
      <div style={styles.row}>
        <Button
          kind="primary"
          type="submit"
          disabled={!ready}
          aria-describedby={ready ? undefined : "blind-missing"}
        >
          {mine > 0 ? "Continue" : "Start"}
        </Button>
        {!ready && (
          <p class="hint" id="blind-missing">
            {voter.value.trim() === "" ? "Enter a name or label to start." : "Enter a question to start."}
          </p>
        )}
        {asked.length > 0 && mine + asked.length < LEAST && (
          <p class="hint">
            {plural(asked.length, "question")}: the result needs {LEAST} votes.
          </p>
        )}
      </div>
    </form>
  );
}
