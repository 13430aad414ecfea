/** The conversation: its visible branch, from the first question down. */

import { branch, shownTargets } from "../../../chat/model/tree";
import { busy } from "../../../chat/session";
import { current } from "../../../chat/storage/conversations";
import { Empty } from "../../../ui/empty";
import { useOpeners } from "./openers";
import { TurnView } from "./turn";

/** `searched`: whether the models have been requested; until then the page does not say that none exists. */
export function Thread({ ask, searched }: { ask: (text: string) => void; searched: boolean }) {
  const conversation = current.value;
  const turns = branch(conversation);
  return (
    <div class="pg-thread">
      {turns.map((turn, index) => (
        <TurnView
          key={turn.id}
          conversation={conversation}
          turn={turn}
          last={index === turns.length - 1}
          busy={busy.value}
        />
      ))}
      {turns.length === 0 && (
        <Start
          ask={ask}
          compared={conversation.columns.length > 1}
          known={conversation.targets.length > 0}
          searched={searched}
        />
      )}
    </div>
  );
}

interface StartProps {
  ask: (text: string) => void;
  compared: boolean;
  known: boolean;
  searched: boolean;
}

function Start({ ask, compared, known, searched }: StartProps) {
  const openers = useOpeners(shownTargets(current.value));
  if (!known && !searched) return null;
  if (!known) {
    return (
      <Empty title="There is no model to ask yet">
        Run a training first, or choose a model above and type its name.
      </Empty>
    );
  }
  return (
    <Empty title={compared ? "Ask both the same question" : "Ask something"}>
      <ul class="pg-openers">
        {openers.map((text) => (
          <li key={text}>
            <button type="button" class="pg-opener" onClick={() => ask(text)}>
              {text}
            </button>
          </li>
        ))}
      </ul>
    </Empty>
  );
}
