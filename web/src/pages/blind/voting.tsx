/** One question with its two answers, to be judged. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useActions } from "../../actions/actions";
import { cleanBlock } from "../../lib/text";
import { Markdown } from "../../markdown";
import { Button } from "../../ui/controls/button";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import type { Pair, Pairs } from "./pairs";
import { styles } from "./styles";
import { useArrows } from "./use-arrows";
import "../playground/thread/thread.css";

const LONGEST = 20_000;
const QUESTION = 4000;

export type Judgement = "left" | "right" | "tie" | "skip";

interface Props {
  pairs: Pairs;
  /** The number of questions answered before this session. */
  before: number;
  index: number;
  next: (pair: Pair, judgement: Judgement) => void;
  /** Continues if there is no pair. */
  skip: () => void;
}

const ACTIONS = [
  ["←", "Left is better", "left"],
  ["→", "Right is better", "right"],
  ["↓", "No difference", "tie"],
] as const;
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie" } as const;

export function Voting({ pairs, before, index, next, skip }: Props) {
  const [got, setGot] = useState<{ pairs: Pairs; index: number; pair: Pair | null } | null>(null);
  const box = useRef<HTMLElement>(null);
  // Ignore the response to another question.
  const current = got !== null && got.pairs === pairs && got.index === index ? got : null;
  const pair = current?.pair ?? null;
  const failed = current !== null && pair === null;
  const look = (): void => {
    setGot(null);
    pairs.at(index).then(
      (loaded) => setGot({ pairs, index, pair: loaded }),
      () => setGot({ pairs, index, pair: null }),
    );
  };
  useEffect(look, [pairs, index]);
  useLayoutEffect(() => box.current?.focus({ preventScroll: true }), []);
  const judge = (judgement: Judgement): void => {
    if (pair) next(pair, judgement);
  };
  useArrows((key) => judge(KEYS[key]));
  // For the sheet of keys: they are not single characters, so they are handled separately.
  useActions(
    "Blind test",
    ACTIONS.map(([keys, label, judgement]) => ({
      name: `blind.${judgement}`,
      label,
      keys,
      hidden: true,
      run: () => judge(judgement),
    })),
  );
  const question = pairs.questions[index]?.text ?? "";
  const position = `Question ${before + index + 1} of ${before + pairs.questions.length}`;
  const alike = pair !== null && pair.left.trim() === pair.right.trim();
  return (
    <section ref={box} tabIndex={-1} class="blind-question" aria-label={position}>
      <p class="hint num">{position}</p>
      <p style={styles.asked} dir="auto">
        {cleanBlock(question, QUESTION)}
      </p>
      {!failed && (
        <div style={styles.judge} role="group" aria-label="Which answer is better?">
          <Button busy={pair === null} onClick={() => judge("left")}>
            <kbd aria-hidden="true">←</kbd> Left is better
          </Button>
          <Button busy={pair === null} onClick={() => judge("tie")}>
            <kbd aria-hidden="true">↓</kbd> No difference
          </Button>
          <Button busy={pair === null} onClick={() => judge("right")}>
            Right is better <kbd aria-hidden="true">→</kbd>
          </Button>
          <Button kind="quiet" small busy={pair === null} onClick={() => judge("skip")}>
            Skip
          </Button>
        </div>
      )}
      {failed ? (
        // The reason is hidden: the backend's message may name the model that failed.
        <ErrorNote
          title="One of the two could not answer"
          error="Try again, or continue with the next question."
          retry={look}
        >
          <Button small onClick={skip}>
            Next question
          </Button>
        </ErrorNote>
      ) : (
        <div class="chat-answers chat-answers-two" style={{ width: "100%" }} aria-busy={pair === null}>
          <Answer label="Left answer" text={pair?.left} />
          <Answer label="Right answer" text={pair?.right} />
        </div>
      )}
      {pair === null && !failed && (
        <p class="hint" role="status">
          Both models are answering.
        </p>
      )}
      {alike && <p class="hint">Both say the same, word for word.</p>}
    </section>
  );
}

function Answer({ label, text }: { label: string; text: string | undefined }) {
  return (
    <article style={{ minWidth: 0 }} aria-label={label}>
      <h2 style={styles.label}>{label}</h2>
      {text === undefined ? (
        <Skeleton lines={4} height={16} />
      ) : text.trim() === "" ? (
        <p class="dim">Nothing</p>
      ) : (
        <Markdown text={text.slice(0, LONGEST)} />
      )}
    </article>
  );
}
