/** The conversation: its shown branch, from the first question down. */
import { busy } from "../../../chat/session";
import { current } from "../../../chat/storage/conversations";
import { branch } from "../../../chat/tree";
import { Empty } from "../../../ui";
import { searched } from "../address";
import { TurnView } from "./turn";

export function Thread({ ask }: { ask: (text: string) => void }) {
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
        <Start ask={ask} compared={conversation.columns.length > 1} known={conversation.targets.length > 0} />
      )}
    </div>
  );
}

const OPENERS = [
  "Who are you, and what can you help with?",
  "Write a short note to a customer whose parcel is late.",
];

function Start({ ask, compared, known }: { ask: (text: string) => void; compared: boolean; known: boolean }) {
  if (!known && !searched.value) return null;
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
        {OPENERS.map((text) => (
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
