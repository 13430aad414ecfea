/** One answer, streaming or complete. */

import { useState } from "preact/hooks";
import type { LiveAnswer } from "../../../chat/live-answer";
import type { Answer, Target, Turn } from "../../../chat/model/types";
import { messagesFor } from "../../../chat/request";
import { askColumn, busy, liveAnswer, regenerate } from "../../../chat/session";
import { current } from "../../../chat/storage/conversations";
import { answerable } from "../../../chat/strength";
import { fullName, nameTarget, sameTarget } from "../../../chat/targets";
import { splitThoughts } from "../../../chat/thoughts";
import { now } from "../../../lib/clock";
import { late } from "../../../lib/late";
import { Markdown } from "../../../markdown";
import { features } from "../../../store/features";
import { jobs } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { ErrorNote } from "../../../ui/empty";
import { AnswerFoot } from "./foot";
import { LazyCorrect, LazyRated } from "./lazy-correct";
import { Loading } from "./loading";

const useStructured = late(() => import("./structured"));
const useWhy = late(() => import("../../../chat/why"));

interface Props {
  turn: Turn;
  column: number;
  /** The column's current target; the answer may come from a previous one. */
  target: Target;
  compared: boolean;
  last: boolean;
  /** Edits the question. */
  edit: () => void;
}

export function AnswerView({ turn, column, target, compared, last, edit }: Props) {
  const answer = turn.answers[column];
  const live = liveAnswer(turn.id, column);
  if (!answer) return <NotAsked turn={turn} column={column} target={target} last={last} />;
  const next = answerable(target, features.value, jobs.value);
  const other = !sameTarget(answer.by, next);
  return (
    <article class="chat-answer" aria-label={`Answer of ${answer.name}`} aria-busy={live !== undefined}>
      {(compared || other) && <p class={other ? "chat-by chat-by-other" : "chat-by"}>{answer.name}</p>}
      {live ? (
        <Streaming answer={answer} live={live} />
      ) : answer.state === "streaming" ? (
        <Elsewhere answer={answer} />
      ) : (
        <Ended {...{ turn, column, answer, edit }} />
      )}
      {other && last && !live && (
        <p class="chat-note">
          <Button small disabled={busy.value} onClick={() => regenerate(turn, column)}>
            Ask {fullName(next, jobs.value)} the same
          </Button>
        </p>
      )}
    </article>
  );
}

/** The answer's content: Markdown, or JSON if that was requested, after the thoughts. */
function Text({ answer, text }: { answer: Answer; text: string }) {
  const json = answer.asked?.more?.responseFormat !== undefined;
  const split = splitThoughts(text);
  const parts = useStructured(json || split !== null);
  const content = split ? split.answer : text;
  return (
    <>
      {split && parts && <parts.Thoughts {...split} />}
      {content === "" ? null : json ? (
        parts && <parts.Json text={content} state={answer.state} />
      ) : (
        <Markdown text={content} />
      )}
    </>
  );
}

function Streaming({ answer, live }: { answer: Answer; live: LiveAnswer }) {
  const { text, progress } = live.view.value;
  if (text !== "") return <Text answer={answer} text={text} />;
  return progress ? <Loading progress={progress} /> : <Waiting since={live.startedAt} />;
}

/** Another tab receives the answer, and stores it every few seconds. */
function Elsewhere({ answer }: { answer: Answer }) {
  return (
    <>
      <Text answer={answer} text={answer.text} />
      <p class="chat-note">Being answered in another tab.</p>
    </>
  );
}

/** Shows the waiting time once it is long enough to matter. */
function Waiting({ since }: { since: number }) {
  const seconds = Math.floor((now.value - since) / 1000);
  return <p class="chat-waiting">Waiting for the first token{seconds >= 3 ? ` · ${seconds} s` : ""}</p>;
}

function NotAsked({ turn, column, target, last }: Omit<Props, "compared" | "edit">) {
  if (!last) return <p class="chat-note">Not asked.</p>;
  return (
    <p class="chat-note">
      <Button small onClick={() => askColumn(turn, column)}>
        Ask {nameTarget(target, jobs.value).name} too
      </Button>
    </p>
  );
}

const TITLES: Readonly<Record<number, string>> = {
  404: "Model not found",
  409: "This model cannot answer yet",
  504: "The answer took too long",
};

function Ended({ turn, column, answer, edit }: Pick<Props, "turn" | "column" | "edit"> & { answer: Answer }) {
  const calls = useStructured(answer.calls !== undefined);
  const [editing, setEditing] = useState(false);
  const [asksWhy, setAsksWhy] = useState(false);
  const why = useWhy(asksWhy);
  const again = (exact?: boolean): void => regenerate(turn, column, exact);
  const failed = answer.state === "failed";
  const cut = answer.state === "cut";
  if ((failed || cut) && answer.text === "" && !answer.calls) {
    // The text itself already reports that the daemon is unreachable.
    const title = answer.status === 0 ? {} : { title: TITLES[answer.status ?? -1] ?? "No answer came" };
    return (
      <ErrorNote {...title} error={answer.error ?? ""} retry={() => askColumn(turn, column)}>
        <Button small disabled={busy.value} onClick={edit}>
          Edit the question
        </Button>
      </ErrorNote>
    );
  }
  return (
    <>
      <Text answer={answer} text={answer.text} />
      {answer.calls
        ? calls && <calls.Calls calls={answer.calls} />
        : answer.text === "" && <p class="chat-note">{emptyNote(answer)}</p>}
      {(failed || cut) && (
        <ErrorNote
          title="The answer broke off here"
          error={`${answer.error ?? ""} Partial answer kept.`.trim()}
        >
          <Button small disabled={busy.value} onClick={() => again()}>
            Regenerate
          </Button>
        </ErrorNote>
      )}
      <AnswerFoot
        turn={turn}
        column={column}
        answer={answer}
        regenerate={again}
        correct={() => setEditing(!editing)}
        why={traceable(answer) ? () => setAsksWhy(!asksWhy) : undefined}
      />
      {why && answer.by.kind === "final" && (
        <why.Why
          jobId={answer.by.jobId}
          messages={messagesFor({ ...current.peek(), ...answer.asked }, turn.id, column)}
          answer={answer.text}
          onClose={() => setAsksWhy(false)}
        />
      )}
      <LazyRated turn={turn} column={column} answer={answer} />
      <LazyCorrect
        turn={turn}
        column={column}
        answer={answer}
        editing={editing}
        onClose={() => setEditing(false)}
      />
    </>
  );
}

/** Whether a complete, text-only answer came from a job's result at full strength. */
function traceable({ by, state, text, finish, calls, asked }: Answer): boolean {
  return (
    features.value.has("attribution") &&
    by.kind === "final" &&
    (by.strength ?? 1) === 1 &&
    state === "done" &&
    finish !== "length" &&
    text.trim() !== "" &&
    calls === undefined &&
    asked?.more?.tools === undefined
  );
}

function emptyNote(answer: Answer): string {
  if (answer.state === "stopped") return "Stopped before the first token.";
  return "The model returned an empty answer. Rephrasing may help.";
}
