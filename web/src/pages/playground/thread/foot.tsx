/** An answer's footer: how it ended, its timing, and its actions. */

import type { Answer, Timing, Turn } from "../../../chat/model/types";
import { busy } from "../../../chat/session";
import { tokensPerSecond } from "../../../chat/stream";
import { number } from "../../../lib/format";
import { late } from "../../../lib/late";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { Menu } from "../../../ui/controls/menu";

const useEngine = late(() => import("./engine"));

interface Props {
  turn: Turn;
  column: number;
  answer: Answer;
  regenerate: () => void;
  /** Edits it into what it should have been. */
  correct: () => void;
}

export function AnswerFoot({ turn, column, answer, regenerate, correct }: Props) {
  const engine = useEngine(answer.engine !== undefined);
  const copyAs = async (form: "asCurl" | "asPython"): Promise<void> =>
    (await import("../../../chat/snippets")).copyAs(form, turn, column, answer);
  const end = ending(answer);
  return (
    <footer class="chat-foot">
      <p class="chat-timing num">
        {end}
        {answer.timing && (
          <span class="chat-timing">
            {end && " · "}
            {timingText(answer.timing)}
            {engine && <engine.Engine turn={turn} column={column} answer={answer} />}
          </span>
        )}
      </p>
      <div class="chat-tools">
        {answer.text !== "" && <CopyButton small text={answer.text} label="Copy answer" />}
        <Button
          kind="quiet"
          small
          icon="refresh"
          aria-label="Regenerate"
          title="Regenerate"
          disabled={busy.value}
          onClick={regenerate}
        />
        <Button
          kind="quiet"
          small
          icon="edit"
          aria-label="Correct the answer"
          title="Correct the answer, for the data"
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
