/** An answer's footer: how it ended, its timing, and its actions. */

import type { Answer, Timing, Turn } from "../../../chat/model/types";
import { chatRequest, messagesFor } from "../../../chat/request";
import { busy } from "../../../chat/session";
import { current } from "../../../chat/storage/conversations";
import { tokensPerSecond } from "../../../chat/stream";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { CopyButton, copyText } from "../../../ui/controls/copy";
import { say } from "../../../ui/controls/live";
import { Menu } from "../../../ui/controls/menu";

interface Props {
  turn: Turn;
  column: number;
  answer: Answer;
  regenerate: (exact?: boolean) => void;
  /** Opens the answer for correction. */
  correct: () => void;
  /** Shows the rows behind the answer; absent where they are not known. */
  why?: (() => void) | undefined;
}

export function AnswerFoot({ turn, column, answer, regenerate, correct, why }: Props) {
  const copyAs = async (form: "asCurl" | "asPython"): Promise<void> => {
    const write = (await import("../../../chat/snippets"))[form];
    const request = { ...current.peek(), ...answer.asked };
    const body = chatRequest(
      messagesFor(request, turn.id, column),
      answer.by,
      request.params,
      answer.asked?.more,
    );
    say((await copyText(write(body, location.origin))) ? "Copied" : "The browser did not allow copying");
  };
  const end = ending(answer);
  return (
    <footer class="chat-foot">
      <p class="chat-timing num">
        {end}
        {answer.timing && (
          <span class="chat-timing">
            {end && " · "}
            {timingText(answer.timing)}
            {answer.engine && ` · ${clean(answer.engine, 200)}`}
            {answer.engine?.startsWith("llama.cpp") && features.value.has("engines") && (
              <Button kind="quiet" small disabled={busy.value} onClick={() => regenerate(true)}>
                Ask exactly
              </Button>
            )}
          </span>
        )}
      </p>
      <div class="chat-tools">
        {why && (
          <Button kind="quiet" small onClick={why}>
            Why?
          </Button>
        )}
        {answer.text !== "" && <CopyButton small text={answer.text} label="Copy answer" />}
        {answer.text.trim() !== "" &&
          ([true, false] as const).map((good) => (
            <Button
              key={String(good)}
              kind="quiet"
              small
              icon={good ? "good" : "bad"}
              aria-label={good ? "Good answer" : "Bad answer"}
              title={good ? "Good answer" : "Bad answer"}
              aria-pressed={answer.rated?.good === good}
              onClick={async () => (await import("./rated")).rate({ turn, column, answer }, good)}
            />
          ))}
        <Button
          kind="quiet"
          small
          icon="refresh"
          aria-label="Regenerate"
          title="Regenerate"
          disabled={busy.value}
          onClick={() => regenerate()}
        />
        <Button
          kind="quiet"
          small
          icon="edit"
          aria-label="Correct the answer"
          title="Correct the answer"
          onClick={correct}
        />
        <Menu
          small
          icon="more"
          label="More"
          items={[
            { label: "Copy as curl", run: () => void copyAs("asCurl") },
            { label: "Copy as Python", run: () => void copyAs("asPython") },
          ]}
        />
      </div>
    </footer>
  );
}

function ending({ state, finish, text }: Answer): string {
  if (state === "stopped") return text === "" ? "" : "Stopped";
  if (state === "full") return `Stopped at ${number(text.length)} characters`;
  return finish === "length" ? "Ended at the token limit" : "";
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;

/** Shows loading time separately: it is spent once, the rest with every question. */
export function timingText(timing: Timing): string {
  const speed = tokensPerSecond(timing);
  const about = timing.counted ? "" : "≈ ";
  return [
    `${seconds(timing.firstMs - timing.loadMs)} to first token`,
    timing.loadMs >= 100 ? `after ${seconds(timing.loadMs)} of loading` : "",
    speed === null ? "" : `${about}${speed < 10 ? speed.toFixed(1) : number(Math.round(speed))} tokens/s`,
    `${about}${number(timing.tokens)} ${timing.tokens === 1 ? "token" : "tokens"}`,
  ]
    .filter(Boolean)
    .join(" · ");
}
