/** What computed an answer and why it was not the quick engine; after the quick one, the press that asks the exact one. */

import type { Answer, Turn } from "../../../chat/model/types";
import { busy, regenerate } from "../../../chat/session";
import { clean } from "../../../lib/text";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";

interface Props {
  turn: Turn;
  column: number;
  answer: Answer;
}

export function Engine({ turn, column, answer }: Props) {
  const by = answer.engine ?? "";
  return (
    <>
      {` · ${clean(by, 200)}`}
      {by.startsWith("llama.cpp") && features.value.has("engines") && (
        <Button
          kind="quiet"
          small
          title="Ask transformers the same"
          disabled={busy.value}
          onClick={() => regenerate(turn, column, true)}
        >
          Ask exactly
        </Button>
      )}
    </>
  );
}
